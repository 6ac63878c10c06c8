"""HTTP as senders need it: one request, one deadline, and an exact answer to whether it may have arrived.

This is httpcore, which httpx is built upon, and not httpx itself. An httpx client logs every URL, and those of
Kavenegar and Telegram hold the key; it keeps cookies, which receivers of webhooks could set for one another. Proxies,
``.netrc`` and the like of the environment are not read: a proxy would connect to addresses that were not validated.
Redirects are never followed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from notifier.senders.base import Ambiguous, NotSent, Unreachable
from notifier.senders.dialling import AddressRefused, Deadline, IpAddress, anywhere
from notifier.senders.network import GuardedNetwork

_MAX_BODY_BYTES: Final = 65_536
# Shorter than servers keep an idle connection, so that a request rarely meets one that is being closed: whether such a
# request arrived is unknown.
_IDLE_S: Final = 4.0
_HEADERS: Final = (("user-agent", "transaction-summary-service"), ("accept-encoding", "identity"))
_SENT: Final = "http11.send_request_body.complete"


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What a server answered.

    :param headers: by name in lower case; of a repeated one, the last.
    :param body: its first 64 KiB; less when the connection was lost within it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpGateway:
    """Requests to one gateway, over connections that are kept for the next one. Processes do not share them.

    :param name: what failures call it, such as ``Kavenegar``.
    :param timeout_s: seconds that a request may take altogether: name look-up, connection, TLS, answer.
    :param may_connect: judges the addresses that are connected to.
    :param tls: whose certificates are trusted; those of the system by default.
    """

    def __init__(
        self,
        name: str,
        timeout_s: float,
        *,
        may_connect: Callable[[IpAddress], bool] = anywhere,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._network = GuardedNetwork(may_connect)
        self._tls = tls
        self._pool: httpcore.ConnectionPool | None = None
        self._process = 0

    def deadline(self) -> Deadline:
        """When a request that begins now must be over."""
        return Deadline.after(self._timeout_s)

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str], deadline: Deadline | None = None
    ) -> GatewayResponse:
        """What `url` answers to `content`.

        :param deadline: of several requests together; by default this one has its own.
        :raises Unreachable: the request has not arrived, at least not whole.
        :raises NotSent: the host may not be connected to.
        :raises Ambiguous: the request was sent whole, and no answer came.
        """
        sent = False

        def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event == _SENT

        everything: list[tuple[bytes | str, bytes | str]] = [*_HEADERS, *headers.items()]
        connections = self._connections()
        extensions = {"trace": trace, "timeout": {"pool": self._timeout_s}}
        try:
            with (
                self._network.until(deadline or self.deadline()),
                connections.stream("POST", url, headers=everything, content=content, extensions=extensions) as response,
            ):
                return _read(response)
        except AddressRefused:
            raise NotSent(
                f"{self._name}: its host has an address that is not public, and WEBHOOK_ALLOW_PRIVATE is off"
            ) from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            failure = Ambiguous if sent else Unreachable
            raise failure(f"{self._name}: {_words(error)}{', after the request was sent' if sent else ''}") from None

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _connections(self) -> httpcore.ConnectionPool:
        if self._pool is None or self._process != os.getpid():
            # A forked process must not write into its parent's connections.
            self._process = os.getpid()
            self._pool = httpcore.ConnectionPool(
                ssl_context=self._tls or _system_tls(),
                max_connections=16,
                keepalive_expiry=_IDLE_S,
                network_backend=self._network,
            )
        return self._pool


@functools.cache
def _system_tls() -> ssl.SSLContext:
    # Reading the system's certificates takes longer than a request.
    return ssl.create_default_context()


def _read(response: httpcore.Response) -> GatewayResponse:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    body = bytearray()
    # When it is lost on the way, the status is known all the same, and says most.
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                break
    return GatewayResponse(response.status, headers, bytes(body[:_MAX_BODY_BYTES]))


def _words(error: Exception) -> str:
    cause = error.args[0] if error.args else None  # httpcore hands on what it has caught
    match error:
        case httpcore.ConnectError() if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        case httpcore.ConnectError() if isinstance(cause, OSError) and cause.strerror:
            return f"no connection ({cause.strerror})"
    return _WORDS.get(type(error), "the connection failed")


_WORDS: Final[Mapping[type[Exception], str]] = {
    httpcore.ConnectTimeout: "no connection in time",
    httpcore.PoolTimeout: "too many requests are under way",
    httpcore.WriteTimeout: "the request could not be sent in time",
    httpcore.WriteError: "the connection was lost while the request was sent",
    httpcore.ReadTimeout: "no answer in time",
    httpcore.ReadError: "the connection was lost before an answer",
    httpcore.RemoteProtocolError: "the connection was closed without an answer that is HTTP",
}
