"""URLs of live collections and remote objects: told from files, and shown without their secrets."""

from __future__ import annotations

import re
from typing import Final

from jobs.sources.remote.url import is_remote, redacted_remote

# Also what is misspelt after the scheme, so that it is never taken for a file's name and shown, password and all.
_SCHEME: Final = re.compile(r"mongodb(\+srv)?:", re.IGNORECASE)
# Anything else, such as a password whose @ or / is not percent-encoded, is not shown at all.
_HOST: Final = r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\]|%2[Ff][\w.%-]+)(?::\d{1,5})?"
_SHOWN: Final = re.compile(
    rf"(?P<scheme>mongodb(?:\+srv)?://)(?:[^@/?#]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<database>/[\w-]*)?(?:\?[^@]*)?"
)


def is_live(argument: str) -> bool:
    """Whether `argument` is the URL of a MongoDB server, even a misspelt one, and no file."""
    return _SCHEME.match(argument) is not None


def redacted(argument: str) -> str:
    """`argument` without user, password and options where it is a URL; a file as it is.

    >>> redacted("mongodb://reader:s3cret@db.example/shop?tls=true")
    'mongodb://db.example/shop'
    >>> redacted("mongodb://reader:p@ss/word@db.example/shop")
    'mongodb://…'
    >>> redacted("https://files.example/shop.bson?X-Amz-Signature=a1b2")
    'https://files.example/shop.bson?…'
    """
    scheme = _SCHEME.match(argument)
    if scheme is None:
        return redacted_remote(argument) if is_remote(argument) else argument
    shown = _SHOWN.fullmatch(argument)
    return f"{scheme[0]}//…" if shown is None else shown["scheme"] + shown["hosts"] + (shown["database"] or "")
