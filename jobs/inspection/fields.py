"""The fields of some documents: their paths, types and values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bson import DatetimeMS, Decimal128, ObjectId

from jobs.decode.plan import MAX_DEPTH
from jobs.inspection.first_documents import Document, OtherType
from jobs.inspection.values import MISSING, type_name

_URL: Final = re.compile(r"(\w[\w+.-]*:)?//[^\s\"'<>]+")
_AUTHORITY: Final = re.compile(r"(?P<scheme>(?:\w[\w+.-]*:)?//)(?:[^/?#]*@)?(?P<host>[^/?#@]*)(?P<rest>.*)", re.DOTALL)
_QUERY: Final = re.compile(r"(/[^\s?]*)\?\S+")
_NAME: Final = re.compile(r"[^\x00-\x1f\"\\]+")
"""Names that are valid in paths for every format; see `jobs.decode.plan.plan_paths`."""
_LONGEST_EXAMPLE: Final = 40
_EXAMPLES: Final = 3


@dataclass(slots=True)
class FieldFound:
    """A field of the documents.

    :param path: as in options.
    :param values: its values in all documents that have it.
    :param is_reachable: whether options can name it: names with a dot or a quotation mark cannot be written in a path.
    """

    path: str
    is_reachable: bool
    values: list[Any] = field(default_factory=list)

    @property
    def types(self) -> Counter[str]:
        """The number of values of each type."""
        return Counter(map(type_name, self.values))

    def examples(self) -> tuple[str, ...]:
        """A few distinct values, as text for people."""
        found: dict[str, None] = {}
        for value in self.values:
            found.setdefault(example(value))
            if len(found) == _EXAMPLES:
                break
        return tuple(found)


def fields_of(documents: Iterable[Document], is_flat: bool) -> list[FieldFound]:
    """The fields of `documents`, including those of embedded documents, in order of occurrence.

    :param is_flat: whether names with dots are column names.
    """
    found: dict[tuple[str, ...], FieldFound] = {}
    for document in documents:
        for names, value in _leaves(document, ()):
            if names not in found:
                reachable = len(names) <= MAX_DEPTH and all(_NAME.fullmatch(name) for name in names)
                reachable = reachable and (is_flat or not any("." in name for name in names))
                found[names] = FieldFound(".".join(names), reachable)
            found[names].values.append(value)
    return list(found.values())


def _leaves(document: Document, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in document.items():
        if isinstance(value, dict) and value and len(above) <= MAX_DEPTH:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def value_at(document: Document, path: str, is_flat: bool) -> Any:
    """The value of `document` at `path`, or `MISSING`."""
    value: Any = document
    for name in [path] if is_flat else path.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def example(value: Any) -> str:
    """`value` as a short line of text; URLs are reduced to their host, as the rest may be secret.

    >>> example("see https://user:pw@shop.example/pay?token=5f3")
    'see https://shop.example/…'
    """
    match value:
        case DatetimeMS() | datetime():
            text = _instant(value)
        case str():
            text = without_secrets(value)
        case ObjectId() | Decimal128():
            text = str(value)
        case OtherType():
            text = value.kind
        case list() | dict():
            text = without_secrets(json.dumps(value, ensure_ascii=False, default=str))
        case None | bool() | int() | float():
            text = json.dumps(value)
        case _:
            text = type(value).__name__
    return text if len(text) <= _LONGEST_EXAMPLE else text[: _LONGEST_EXAMPLE - 1] + "…"


def _instant(value: DatetimeMS | datetime) -> str:
    if isinstance(value, DatetimeMS):
        if not -62_135_596_800_000 <= int(value) < 253_402_300_800_000:
            return f"{int(value)} ms"
        value = datetime.fromtimestamp(int(value) // 1000, UTC)
    return value.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def without_secrets(text: str) -> str:
    """`text` with every URL reduced to scheme and host.

    >>> without_secrets("mongodb://reader:s3cret@db.example/shop")
    'mongodb://db.example/…'
    """
    return _QUERY.sub(r"\1?…", _URL.sub(lambda url: _shortened(url[0]), text))


def _shortened(url: str) -> str:
    parts = _AUTHORITY.fullmatch(url)
    if parts is None or ":" in parts["rest"].partition("/")[0]:
        return url.partition("//")[0] + "//…"
    # An @ after the host may end a password with a slash: then it is not a host.
    if "@" in parts["rest"]:
        return parts["scheme"] + "…"
    return parts["scheme"] + parts["host"] + ("/…" if parts["rest"].strip("/") else parts["rest"])
