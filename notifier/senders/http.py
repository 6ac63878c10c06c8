"""HTTP for senders: one request, one deadline, and an exact result whether the request may have arrived.

This uses httpcore, the base of httpx, and not httpx itself. An httpx client logs every URL, and those of Kavenegar and
Telegram have the key in them; it also stores cookies, which receivers of webhooks could set for each other. Proxies and
``.netrc`` of the environment are not used: a proxy would connect to addresses that were not checked. Redirects are
never followed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from notifier.senders.base import Ambiguous, NotSent, Sender, Unreachable
from notifier.senders.dialling import AddressRefused, Deadline, IpAddress, anywhere, connected

_MAX_BODY_BYTES: Final = 65_536
# Shorter than the idle timeout of servers: it is not known whether a request arrived on a connection that was being
# closed.
_IDLE_S: Final = 4.0
_HEADERS: Final = (("user-agent", "transaction-summary-service"), ("accept-encoding", "identity"))
_SENT: Final = "http11.send_request_body.complete"


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """The response of a gateway.

    :param headers: by name in lower case; the last of a repeated one.
    :param body: its first 64 KiB; less if the connection was lost.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpGateway:
    """Requests to one gateway, over a pool of connections of this process.

    :param name: the name in failures, such as ``Kavenegar``.
    :param timeout_s: the timeout of a whole request: DNS, connection, TLS, response.
    :param may_connect: whether connecting to an address is allowed.
    :param tls: the trusted certificates; by default those of the system.
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
        self._network = _GuardedNetwork(may_connect)
        self._tls = tls
        self._pool: httpcore.ConnectionPool | None = None
        self._process = 0

    def deadline(self) -> Deadline:
        """The deadline of a request that begins now."""
        return Deadline.after(self._timeout_s)

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str], deadline: Deadline | None = None
    ) -> GatewayResponse:
        """Post `content` to `url`.

        :param deadline: of several requests together; by default each request has its own.
        :raises Unreachable: the request was not sent, or not completely.
        :raises NotSent: connecting to the host is not allowed.
        :raises Ambiguous: the request was sent completely, and there was no response.
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


class HttpSender(Sender):
    """A sender whose gateway is asked by HTTP."""

    _http: HttpGateway

    def close(self) -> None:
        self._http.close()


class _GuardedNetwork(httpcore.NetworkBackend):
    """Connects httpcore to the addresses that were checked; TLS and ``Host`` still have the name of the host.

    The timeouts of httpcore are for single reads and writes, so a peer that sends one byte per second would block a
    worker for ever. Here every step has the time left before the deadline that `until` sets for the thread.

    :param may_connect: whether connecting to an address is allowed.
    """

    def __init__(self, may_connect: Callable[[IpAddress], bool]) -> None:
        self._may_connect = may_connect
        self._plain = httpcore.SyncBackend()
        self._thread = threading.local()

    @contextlib.contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        """Set the deadline for all that this thread does on the network in the block."""
        self._thread.deadline = deadline
        try:
            yield
        finally:
            del self._thread.deadline

    def deadline(self) -> Deadline:
        deadline: Deadline = self._thread.deadline
        return deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """See `httpcore.NetworkBackend.connect_tcp`.

        :raises AddressRefused: connecting to the host is not allowed.
        """

        def connect(address: tuple[str, int], timeout_s: float) -> httpcore.NetworkStream:
            return self._plain.connect_tcp(*address, timeout_s, local_address, socket_options)

        failures = httpcore.ConnectError, httpcore.ConnectTimeout
        try:
            stream = connected(host, port, self.deadline(), self._may_connect, connect, *failures)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        return _TimedStream(stream, self._left_s)

    def _left_s(self, too_late: type[httpcore.TimeoutException]) -> float:
        try:
            return self.deadline().left_s()
        except TimeoutError as error:
            raise too_late(error) from error


class _TimedStream(httpcore.NetworkStream):
    """A connection of which each step ends before the deadline."""

    def __init__(
        self, stream: httpcore.NetworkStream, left_s: Callable[[type[httpcore.TimeoutException]], float]
    ) -> None:
        self._stream = stream
        self._left_s = left_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            # The end of a request that was sent completely: the deadline must not make it look unsent.
            return
        self._stream.write(buffer, self._left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = self._left_s(httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left_s), self._left_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@functools.cache
def _system_tls() -> ssl.SSLContext:
    # Reading the certificates of the system takes longer than a request.
    return ssl.create_default_context()


def _read(response: httpcore.Response) -> GatewayResponse:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    body = bytearray()
    # If the connection is lost here, the status is still known.
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                break
    return GatewayResponse(response.status, headers, bytes(body[:_MAX_BODY_BYTES]))


def _words(error: Exception) -> str:
    cause = error.args[0] if error.args else None  # the error that httpcore has caught
    match error:
        case httpcore.ConnectError() if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        case httpcore.ConnectError() if isinstance(cause, OSError) and cause.strerror:
            return f"no connection ({cause.strerror})"
    return _WORDS.get(type(error), "the connection failed")


_WORDS: Final[Mapping[type[Exception], str]] = {
    httpcore.ConnectTimeout: "no connection in time",
    httpcore.PoolTimeout: "too many requests are in progress",
    httpcore.WriteTimeout: "the request could not be sent in time",
    httpcore.WriteError: "the connection was lost while the request was sent",
    httpcore.ReadTimeout: "no answer in time",
    httpcore.ReadError: "the connection was lost before an answer",
    httpcore.RemoteProtocolError: "the connection was closed without an answer that is HTTP",
}
