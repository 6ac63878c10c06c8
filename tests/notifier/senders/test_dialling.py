"""Public and private addresses, and time-outs of look-ups and connections."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from typing import Any

import pytest
from gateway_http import answers, gateway

from notifier.senders.dialling import Deadline, anywhere, connected, is_public, resolved
from notifier.senders.http import HttpGateway


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "185.143.233.1", "2001:4860:4860::8888", "64:ff9b::808:808", "2a00:1450::1"]
)
def test_internet_addresses_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.31.255.255",
        "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "203.0.113.1", "224.0.0.251", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1",
        "64:ff9b:1::808:808", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::", "2002:7f00:1::", "fc00::1", "fd12::1",
        "fe80::1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_private_and_multicast_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


def test_an_unreachable_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(answers(200)) as server:
        real = socket.socket.connect

        def connect(sock: socket.socket, place: tuple[str, int]) -> None:
            if place[0] == "127.0.0.9":
                time.sleep(min(sock.gettimeout() or 9, 9))
                raise TimeoutError
            real(sock, place)

        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, server.port)) for text in ("127.0.0.9", "127.0.0.1")]
        genuine = socket.getaddrinfo

        def lookup(host: str, *rest: Any, **options: Any) -> Any:
            return both if host == "two.example" else genuine(host, *rest, **options)

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        monkeypatch.setattr(socket.socket, "connect", connect)
        with connected(
            "two.example", server.port, Deadline.after(1.0), anywhere, socket.create_connection, OSError
        ) as sock:
            assert sock.getpeername()[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "x..example"])
def test_an_invalid_host_is_an_os_error(host: str) -> None:
    with pytest.raises(socket.gaierror):
        resolved(host, 80, Deadline.after(5.0), anywhere)


def test_a_passed_deadline_leaves_no_time() -> None:
    with pytest.raises(TimeoutError):
        Deadline.after(0).left_s()


def test_a_forked_process_opens_its_own_connections() -> None:
    with gateway(answers(200)) as server:
        http = HttpGateway("test", 10.0)
        http.post(server.url, b"1", {})
        child = os.fork()
        if child == 0:
            os._exit(0 if http.post(server.url, b"2", {}).status == 200 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert http.post(server.url, b"3", {}).status == 200
        http.close()
    assert [request.body for request in server.requests] == [b"1", b"2", b"3"]
    assert server.connections == 2
