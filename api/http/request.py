"""A request, as far as Falcon's own does not do, and the client that trusted proxies name for it."""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote_from_bytes

import falcon
import falcon.asgi

from core.settings.api import UNIX_PEERS

_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?", re.ASCII)


class Request(falcon.asgi.Request):
    """A request whose query may hold bytes that should have been encoded: people type Persian into curl as it is.

    ``peer`` is the address of the peer, or an empty text where it has none (a Unix socket); Falcon would take such a
    peer for this host.
    """

    def __init__(self, scope: dict[str, Any], *arguments: Any, **options: Any) -> None:
        if not scope["query_string"].isascii():
            scope = scope | {"query_string": quote_from_bytes(scope["query_string"], string.printable).encode()}
        super().__init__(scope, *arguments, **options)
        self.peer: str = next(iter(scope.get("client") or ("",))) or ""


def has_json_type(req: falcon.Request) -> bool:
    """Whether the body of `req` is said to be JSON."""
    return (req.content_type or "").partition(";")[0].strip().lower() == falcon.MEDIA_JSON


class ClientAddresses:
    """Reads ``X-Forwarded-For``, ``Forwarded`` and ``X-Forwarded-Proto``, but only from proxies that are trusted.

    :param trusted: addresses, networks (``10.0.0.0/8``), and `UNIX_PEERS` for the peers of a Unix socket.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        named = list(trusted)
        self._unix = UNIX_PEERS in named
        self._networks = [ipaddress.ip_network(name) for name in named if name != UNIX_PEERS]
        self._is_trusted = lru_cache(maxsize=4096)(self._in_networks)

    def of(self, req: Request) -> str:
        """The address of the client; an empty text where it has none (a Unix socket).

        It is the rightmost address of the chain that is no trusted proxy. A proxy appends to one of the two headers and
        may pass the other on as the client made it up: where they disagree, the peer counts.
        """
        peer = unmapped(req.peer)
        if not self._is_trusted(peer):
            return peer
        chains = []
        if (listed := req.get_header("X-Forwarded-For")) is not None:
            chains.append([part.strip() for part in listed.split(",")])
        if req.forwarded is not None:
            chains.append([hop.src or "" for hop in req.forwarded])
        clients = {self._client(peer, chain) for chain in chains}
        return clients.pop() if len(clients) == 1 else peer

    def is_https(self, req: Request) -> bool:
        """Whether the client called over TLS: this server, or, as it says, the trusted proxy nearest to it."""
        if req.scope["scheme"] == "https":
            return True
        if not self._is_trusted(unmapped(req.peer)):
            return False
        if (protocols := req.get_header("X-Forwarded-Proto")) is not None:
            return protocols.rpartition(",")[2].strip().lower() == "https"
        return any((hop.scheme or "").lower() == "https" for hop in (req.forwarded or ())[-1:])

    def _client(self, peer: str, chain: list[str]) -> str:
        client = peer
        for hop in _addresses(reversed(chain)):
            client = hop
            if not self._is_trusted(hop):
                break
        return client

    def _in_networks(self, address: str) -> bool:
        if not address:
            return self._unix
        with suppress(ValueError):
            parsed = ipaddress.ip_address(address)
            return any(parsed in network for network in self._networks)
        return False


@lru_cache(maxsize=4096)
def unmapped(address: str) -> str:
    """`address`, of an IPv4 address inside an IPv6 one that: so a socket that serves both families shows its peers."""
    with suppress(ValueError):
        if mapped := ipaddress.IPv6Address(address).ipv4_mapped:
            return str(mapped)
    return address


def _addresses(chain: Iterable[str]) -> Iterator[str]:
    """The hops of `chain` without ports, as far as they are addresses."""
    for hop in chain:
        found = _WITH_PORT.fullmatch(hop)
        text = (found[1] or found[2]) if found else hop
        try:
            yield unmapped(str(ipaddress.ip_address(text)))
        except ValueError:
            return  # `unknown` or a made-up name: nothing further to the left can be believed
