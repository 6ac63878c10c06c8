"""URLs of a MongoDB server with another database or another address, and with all else that they say."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_OUTSIDE: Final = frozenset({"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI", "PLAIN"})
"""Mechanisms whose users no database of the server holds."""
_OF_MANY_SERVERS: Final = frozenset({"replicaset", "loadbalanced", "directconnection", "srvmaxhosts", "srvservicename"})


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
        query = _and(query, f"authSource={quote(database_of(url) or source, safe='$')}")
    return parts._replace(path=f"/{quote(name)}", query=query).geturl()


def with_address(url: str, address: str) -> str:
    """The same database over another way: `address` is host and port of one server."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(
        scheme="mongodb",
        netloc=f"{user}@{address}" if user else address,
        path=parts.path or "/",
        query=_and(_without(parts.query, _OF_MANY_SERVERS), "directConnection=true"),
    ).geturl()


def with_user(url: str, user: str) -> str:
    """The same for another `user`, as ``name:password``."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl()


def with_option(url: str, option: str) -> str:
    """The same with `option`, as ``name=value``, in the place of an earlier one of that name."""
    parts = urlsplit(url)
    query = _without(parts.query, frozenset({option.partition("=")[0].lower()}))
    return parts._replace(path=parts.path or "/", query=_and(query, option)).geturl()


def _without(query: str, names: frozenset[str]) -> str:
    options = query.split("&") if query else []
    return "&".join(one for one in options if one.partition("=")[0].lower() not in names)


def _and(query: str, option: str) -> str:
    return f"{query}&{option}" if query else option
