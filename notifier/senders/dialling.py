"""Resolves hosts, checks their addresses and connects, all before one deadline."""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "168.63.129.16/32")))
"""Not public, although `ipaddress` may say so: protocol assignments, 6to4 relays, documentation, and the address at
which virtual machines of Azure reach their host."""
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")


class AddressRefused(Exception):
    """A host resolves to an address that may not be connected to."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The instant at which all steps of an operation must have ended."""

    at_s: float = field(repr=False)

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The instant `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Seconds until then, more than 0.

        :raises TimeoutError: it has passed.
        """
        left_s = self.at_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time-out was reached")
        return left_s


def is_public(address: IpAddress) -> bool:
    """Whether `address` is one host of the public internet.

    An IPv4 address in an IPv6 address (mapped, NAT64, 6to4) is checked itself: a gateway or this machine may connect to
    it.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if carried is not None:
            return is_public(carried)
        if address not in _UNICAST or address.teredo is not None:
            return False
    if any(address in network for network in _NEVER):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def anywhere(_: IpAddress) -> bool:
    return True


def resolved(host: str, port: int, deadline: Deadline, may_connect: Callable[[IpAddress], bool]) -> list[str]:
    """The addresses of `host`, in the order in which to try them: at least one.

    Connect to these, and not to `host`: a second lookup may return other addresses, which were not checked.

    :raises AddressRefused: one of them is not allowed.
    :raises OSError: `host` has none, or the resolver did not answer in time (`TimeoutError`).
    """
    found = list(dict.fromkeys(_looked_up(host, port, deadline)))
    # One bad address refuses the host: an attacker who can add it can also make the others fail.
    if not all(may_connect(ipaddress.ip_address(text)) for text in found):
        raise AddressRefused
    return found


def _looked_up(host: str, port: int, deadline: Deadline) -> list[str]:
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(info[4][0]) for info in infos] or socket.gaierror(socket.EAI_NONAME, "no address"))
        except OSError as error:
            answers.put(error)
        except UnicodeError:  # a label that is empty or too long
            answers.put(socket.gaierror(socket.EAI_NONAME, "no such host name"))

    # getaddrinfo has no timeout, so it runs in its own thread, which may end later.
    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left_s())
    except queue.Empty:
        raise TimeoutError("the resolver does not answer") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def connected(
    host: str,
    port: int,
    deadline: Deadline,
    may_connect: Callable[[IpAddress], bool],
    connect: Callable[[tuple[str, int], float], T],
    *failures: type[Exception],
) -> T:
    """The result of `connect` for the first address of `host` for which it raises none of `failures`.

    :param connect: takes an address with `port`, and seconds: as `socket.create_connection`.
    :raises AddressRefused: an address of `host` is not allowed.
    :raises OSError: `host` has no address, or the time is over (`TimeoutError`).
    """
    *others, last = resolved(host, port, deadline, may_connect)
    for number, address in enumerate(others):
        with contextlib.suppress(*failures):
            # The remaining time is shared, so that an address that does not answer leaves time for the next.
            return connect((address, port), deadline.left_s() / (len(others) + 1 - number))
    return connect((last, port), deadline.left_s())
