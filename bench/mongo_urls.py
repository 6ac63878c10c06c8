"""Replaces the database in URLs of MongoDB servers; everything else in the URL stays."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_OUTSIDE: Final = frozenset({"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI", "PLAIN"})
"""Mechanisms whose users no database of the server holds."""


def database_of(url: str) -> str:
    """The name of the database in `url`, or an empty string."""
    return unquote(urlsplit(url).path[1:]).partition(".")[0]


def with_database(url: str, name: str) -> str:
    """The URL of the database `name` of the same server.

    The database of a URL is also where its user is looked up, unless ``authSource`` says otherwise: that stays.
    """
    parts = urlsplit(url)
    options = {option.lower(): value for option, value in parse_qsl(parts.query, keep_blank_values=True)}
    query = parts.query
    # What a mongodb+srv:// URL leaves out is in the DNS.
    if "@" in parts.netloc and "authsource" not in options and parts.scheme == "mongodb":
        source = "$external" if options.get("authmechanism") in _OUTSIDE else "admin"
        query = "&".join(filter(None, (query, f"authSource={quote(database_of(url) or source, safe='$')}")))
    return parts._replace(path=f"/{quote(name)}", query=query).geturl()
