"""The network backend of httpcore: one deadline for each request, and connections to allowed addresses only."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore

from notifier.senders.dialling import Deadline, IpAddress, connected


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to the addresses that were checked; TLS and ``Host`` still have the name of the host.

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
        """The deadline of this thread."""
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
