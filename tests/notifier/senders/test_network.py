"""The outcome of a request that is interrupted."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpcore
import pytest
from gateway_http import answers, gateway

from notifier.senders.base import Ambiguous, TemporaryFailure
from notifier.senders.http import HttpGateway

BODY = b"the whole body"
TIMEOUT_S = 0.4


class HeldUpStream(httpcore.NetworkStream):
    """A connection that sleeps for longer than a request may take, after it has sent what ends with `after`."""

    def __init__(self, stream: httpcore.NetworkStream, after: bytes) -> None:
        self._stream = stream
        self._after = after

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        if buffer.endswith(self._after):
            time.sleep(TIMEOUT_S * 1.5)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        raise AssertionError("nothing here speaks TLS")

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@pytest.mark.parametrize(
    ("after", "failure", "bodies"), [(BODY, Ambiguous, [BODY]), (b"\r\n\r\n", TemporaryFailure, [])]
)
def test_a_request_is_ambiguous_once_its_body_was_sent(
    monkeypatch: pytest.MonkeyPatch, after: bytes, failure: type[Exception], bodies: list[bytes]
) -> None:
    class HeldUpBackend(httpcore.SyncBackend):
        def connect_tcp(self, *place: Any, **options: Any) -> httpcore.NetworkStream:
            return HeldUpStream(super().connect_tcp(*place, **options), after)

    monkeypatch.setattr(httpcore, "SyncBackend", HeldUpBackend)
    with gateway(answers(200)) as server:
        http = HttpGateway("test", TIMEOUT_S)
        with pytest.raises(failure):
            http.post(server.url, BODY, {})
        http.close()
    assert [request.body for request in server.requests if request.body == BODY] == bodies
