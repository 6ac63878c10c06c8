"""Falcon's request with a few additions, and the address of the client as named by trusted proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import falcon
import falcon.asgi

from core.settings.api import UNIX_PEERS

FAILED: Final = "tss.failed"
"""In the scope of a request: why it could not be answered on the fast path, for Falcon to report."""
RESPOND: Final = "tss.respond"
"""In the scope of a request: `api.server.protocol.Protocol.respond`; not under another server, as in tests."""

_PAIR: Final = r'([^=;"]++)=("[^"]*+"|[^;"]*+)'  # of Forwarded (RFC 7239); nothing is matched twice, as it may be long
_ELEMENT: Final = re.compile(f"{_PAIR}(?:;{_PAIR})*+")
_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?", re.ASCII)


class Request(falcon.asgi.Request):
    """A request with ``peer``: the address of the peer.

    It is an empty string if the peer has none (a Unix socket), which Falcon would treat as this host.
    """

    def __init__(self, scope: dict[str, Any], *arguments: Any, **options: Any) -> None:
        super().__init__(scope, *arguments, **options)
        self.peer: str = next(iter(scope.get("client") or ("",))) or ""


def has_json_type(req: falcon.Request) -> bool:
    """Whether the Content-Type of `req` is JSON."""
    return (req.content_type or "").partition(";")[0].strip().lower() == falcon.MEDIA_JSON


class ClientAddresses:
    """Reads ``X-Forwarded-For``, ``Forwarded`` and ``X-Forwarded-Proto`` of trusted proxies only.

    :param trusted: addresses, networks (``10.0.0.0/8``), and `UNIX_PEERS` for the peers of a Unix socket.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        named = list(trusted)
        self._unix = UNIX_PEERS in named
        self._networks = [ipaddress.ip_network(name) for name in named if name != UNIX_PEERS]
        self._is_trusted = lru_cache(maxsize=4096)(self._in_networks)

    def of(self, req: Request) -> str:
        """The address of the client; an empty string if it has none (a Unix socket).

        It is the rightmost address of the chain that is no trusted proxy. A proxy appends to one of the headers, and
        may pass on the other as the client sent it: if they disagree, it is the address of the peer.
        """
        peer = unmapped(req.peer)
        if not self._is_trusted(peer):
            return peer
        chains = []
        if (listed := req.get_header("X-Forwarded-For")) is not None:
            chains.append([part.strip() for part in listed.split(",")])
        if (listed := req.get_header("Forwarded")) is not None:
            chains.append(_parameters(listed, "for"))
        clients = {self._client(peer, chain) for chain in chains}
        return clients.pop() if len(clients) == 1 else peer

    def is_https(self, req: Request) -> bool:
        """Whether the client used TLS, to this server or, by its headers, to a trusted proxy."""
        if req.scope["scheme"] == "https":
            return True
        if not self._is_trusted(unmapped(req.peer)):
            return False
        if (protocols := req.get_header("X-Forwarded-Proto")) is not None:
            return protocols.rpartition(",")[2].strip().lower() == "https"
        return _parameters(req.get_header("Forwarded") or "", "proto")[-1].lower() == "https"

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
            forms = [ipaddress.ip_address(address)]
            if forms[0].version == 4:  # the network may be written as IPv4-mapped IPv6 addresses
                forms.append(ipaddress.ip_address(f"::ffff:{address}"))
            return any(form in network for form in forms for network in self._networks)
        return False


@lru_cache(maxsize=4096)
def unmapped(address: str) -> str:
    """`address`; the IPv4 address of an IPv4-mapped IPv6 address, as sockets of both families have."""
    with suppress(ValueError):
        if mapped := ipaddress.IPv6Address(address).ipv4_mapped:
            return str(mapped)
    return address


def _parameters(forwarded: str, name: str) -> list[str]:
    """The parameter `name` of each element of a header Forwarded; an empty string where it is missing.

    Elements end at every comma: else a quotation mark that a client leaves open would hide what the proxy has added.
    What is then no whole element, such as a part of a quoted Host of the client, has no parameters.
    """
    found = []
    for element in forwarded.split(","):
        pairs = re.findall(_PAIR, element) if _ELEMENT.fullmatch(element.strip()) else ()
        values = {key.strip().lower(): value.strip('" ') for key, value in pairs}
        found.append(values.get(name, ""))
    return found


def _addresses(chain: Iterable[str]) -> Iterator[str]:
    """The hops of `chain` without ports, up to the first that is no address."""
    for hop in chain:
        found = _WITH_PORT.fullmatch(hop)
        text = (found[1] or found[2]) if found else hop
        try:
            yield unmapped(str(ipaddress.ip_address(text)))
        except ValueError:
            return  # `unknown` or an invented name: nothing further to the left can be trusted
