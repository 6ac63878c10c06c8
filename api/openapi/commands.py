"""Examples as people run and read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, Final

import orjson

_AS_JSON: Final = ("Content-Type", "application/json")


def curl(
    target: str, method: str, headers: Iterable[tuple[str, str]] = (), sent: Any = None, *, with_key: bool = False
) -> str:
    """The command for a shell with the variables ``API`` and ``KEY``.

    :param target: path and query.
    :param sent: the body, which is sent as JSON, or None.
    """
    all_headers = list(headers)
    if sent is not None and _AS_JSON not in all_headers:
        all_headers.append(_AS_JSON)
    words = ["curl", *([] if method == "GET" else [f"-X {method}"])]
    words += ['-H "Authorization: Bearer $KEY"'] if with_key else []
    words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in all_headers]
    words += [f'"$API{target}"']
    if sent is not None:
        words.append(f"-d {shlex.quote(orjson.dumps(sent).decode())}")
    return " ".join(words)


def pretty_json(body: Any) -> str:
    """`body` for people to read."""
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
