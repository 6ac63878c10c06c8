"""Redacts URLs of MongoDB servers, without importing the driver."""

from __future__ import annotations

import re
from typing import Final

# Nothing else is shown, for example if the @ or / of a password is not percent-encoded.
_HOST: Final = r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\]|%2[Ff][\w.%-]+)(?::\d{1,5})?"
_SHOWN: Final = re.compile(
    rf"(?P<scheme>mongodb(?:\+srv)?://)(?:[^@/?#]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<database>/[\w-]*)?(?:\?[^@]*)?"
)


def without_password(url: str) -> str:
    """`url` without user, password and options.

    >>> without_password("mongodb://reader:s3cret@db.example/shop?tls=true")
    'mongodb://db.example/shop'
    >>> without_password("mongodb://reader:p@ss/word@db.example/shop")
    'mongodb://…'
    """
    shown = _SHOWN.fullmatch(url)
    if shown is None:
        return f"{url.partition(':')[0]}://…"
    return shown["scheme"] + shown["hosts"] + (shown["database"] or "")
