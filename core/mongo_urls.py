"""URLs of MongoDB servers as they may be shown. The driver is not imported."""

from __future__ import annotations

import re
from typing import Final

# Anything else, such as a password whose @ or / is not percent-encoded, is not shown at all.
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
