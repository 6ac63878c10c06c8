"""The address of the server: the value of ``API_BIND``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.errors import SettingsError

_HOST_AND_PORT: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})", re.ASCII)
_UNIX: Final = "unix:"
_LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address, or the path of a Unix socket.

    :param host: name or address, without brackets; the whole of ``unix:/path`` for a Unix socket.
    :param port: None for a Unix socket; 0 for any free port.
    """

    host: str
    port: int | None

    @property
    def bind(self) -> str:
        """The address in gunicorn's form."""
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL for a browser on this host."""
        if self.port is None:
            return self.host
        local = Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)
        return f"http://{local.bind}/"


def parse_address(text: str) -> Address:
    """The address in `text`: ``host:port``, ``[IPv6]:port`` or ``unix:/path``.

    :raises SettingsError: it is not an address.
    """
    if text.startswith(_UNIX) and len(text) > len(_UNIX):
        return Address(text, None)
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None or int(found["port"]) > _LARGEST_PORT:
        raise SettingsError(
            f"API_BIND is {text!r}: it must be an address and a port, such as 127.0.0.1:8000",
            "Use 0.0.0.0:8000 to be reached from other hosts, [::1]:8000 for IPv6, or unix:/path for a Unix socket.",
        )
    return Address(found["host"].strip("[]"), int(found["port"]))
