"""URLs of live collections and remote objects: distinguished from files, and shown without their secrets."""

from __future__ import annotations

import re
from typing import Final

from core.mongo_urls import without_password
from jobs.sources.remote.url import is_remote, redacted_remote

# Also misspelt URLs, so that they are not taken for file names and printed with their password.
_SCHEME: Final = re.compile(r"mongodb(\+srv)?:", re.IGNORECASE)


def is_live(argument: str) -> bool:
    """Whether `argument` is a URL of a MongoDB server, even a misspelt one, and not a file."""
    return _SCHEME.match(argument) is not None


def redacted_url(argument: str) -> str:
    """A URL without user, password and options; a file name unchanged.

    >>> redacted_url("mongodb://reader:s3cret@db.example/shop?tls=true")
    'mongodb://db.example/shop'
    >>> redacted_url("mongodb://reader:p@ss/word@db.example/shop")
    'mongodb://…'
    >>> redacted_url("https://files.example/shop.bson?X-Amz-Signature=a1b2")
    'https://files.example/shop.bson?…'
    """
    if is_live(argument):
        return without_password(argument)
    return redacted_remote(argument) if is_remote(argument) else argument
