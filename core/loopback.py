"""Whether a host is this machine, for connections that need no encryption."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine, by its name or address; without DNS.

    >>> is_loopback("LocalHost"), is_loopback("[::1]"), is_loopback("10.0.0.1")
    (True, True, False)
    """
    name = (host or "").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
