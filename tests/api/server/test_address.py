"""API_BIND: valid listen addresses, and how they are shown."""

from __future__ import annotations

import pytest

from api.server.address import Address, parse_address
from core.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("127.0.0.1:8000", Address("127.0.0.1", 8000), "http://127.0.0.1:8000/"),
        ("0.0.0.0:80", Address("0.0.0.0", 80), "http://127.0.0.1:80/"),
        ("localhost:0", Address("localhost", 0), "http://localhost:0/"),
        ("[::1]:8000", Address("::1", 8000), "http://[::1]:8000/"),
        ("[::]:8000", Address("::", 8000), "http://[::1]:8000/"),
        ("unix:/run/api.sock", Address("unix:/run/api.sock", None), "unix:/run/api.sock"),
    ],
)
def test_a_listen_address_is_parsed(text: str, address: Address, url: str) -> None:
    assert parse_address(text) == address
    assert (address.bind, address.url) == (text, url)


@pytest.mark.parametrize("text", ["", "8000", ":8000", "127.0.0.1", "127.0.0.1:", "h:65536", "h:-1", "a b:1", "::1:80"])
def test_an_invalid_listen_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="API_BIND is"):
        parse_address(text)
