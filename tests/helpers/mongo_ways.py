"""URLs of a MongoDB server with another address, user or option, and with all else that they say."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_OF_MANY_SERVERS: Final = frozenset({"replicaset", "loadbalanced", "directconnection", "srvmaxhosts", "srvservicename"})


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
