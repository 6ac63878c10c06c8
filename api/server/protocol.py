"""uvicorn's HTTP/1.1 protocol with limits: for slow or idle clients, large heads, and clients that do not read."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.request import RESPOND
from api.problems import refusal

_HEAD_BYTES: Final = 32_768
_LINE_BYTES: Final = 8_190
_FIELDS: Final = 64
_HOSTS: Final = {"1.0": (0, 1), "1.1": (1,)}  # how many headers Host a request may have (RFC 9112, 3.2)
_LEAST_TAKEN_BYTES: Final = 64 * 1024  # of a response; a client that reads so many gets the whole time again
_LAST_S: Final = 1.0  # for a request that is on its way when the process stops
_LINGER_S: Final = 2.0  # for a client that still sends when it is refused, so that it receives the response
_LINGER_BYTES: Final = 8 * 1024 * 1024


class Protocol(HttpToolsProtocol):
    """A connection, which `check` closes if its client takes longer than `timeout_s` to send or to read."""

    timeout_s: ClassVar[float] = 10.0
    most_connections: ClassVar[int] = 1000
    draining: ClassVar[bool] = False
    """Whether the process is stopping: responses then close their connections."""
    _silent: ClassVar[dict[Protocol, None]] = {}
    """The connections that have not sent a complete request yet, the longest waiting first."""
    _idle: ClassVar[dict[Protocol, None]] = {}
    """The connections that wait for a further request, the longest waiting first."""

    def __init__(self, **options: Any) -> None:
        """Store the options: uvicorn's protocol is only initialised for clients that send something."""
        self._options: dict[str, Any] | None = options
        self.loop, self.connections = asyncio.get_running_loop(), options["server_state"].connections
        self.cycle = None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request; with more than `most_connections`, close the one that has waited the longest.

        It is one without any request if those are the majority of all that wait, else one of the others: clients that
        send nothing displace each other, and not those that send requests.
        """
        self.transport = transport
        self.connections.add(self)
        self._head_bytes = self._lingered_bytes = self._unsent = 0
        self._lingering, self._refusal = False, (400, "The request is not valid HTTP.")
        self._sent_at = self.loop.time()
        self._request_by: float | None = self._sent_at + self.timeout_s
        self._silent[self] = None
        if len(self.connections) > self.most_connections:
            waiting = self._silent if len(self._silent) > len(self._idle) else self._idle
            next(iter(waiting)).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection was closed."""
        self._stop_waiting()
        self.connections.discard(self)
        if self._options is None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request was received."""
        if self._options is not None:
            transport, options, self._options = self.transport, self._options, None
            super().__init__(**options)
            super().connection_made(transport)
            # uvicorn asks the socket, which has no address any more after a reset.
            if self.client is None and isinstance(peer := transport.get_extra_info("peername"), tuple):
                self.client = peer[0], peer[1]
        if self._lingering:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > _LINGER_BYTES:
                self.transport.abort()
            return
        if self._request_by is None and not self._answering:
            self._request_by = self.loop.time() + self.timeout_s
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > _HEAD_BYTES and not self._lingering:
            self._refuse(431, "The head of the request, or the framing of its body, is too large.")

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; its current request is still answered."""
        if self._answering:
            self.cycle.keep_alive = False
        return self._answering

    def shutdown(self) -> None:
        """Close after the response; an idle connection a little later, because its next request may be arriving."""
        if self._lingering or self._answering:
            super().shutdown()
        else:
            self._request_by = self.loop.time() + _LAST_S

    def on_headers_complete(self) -> None:
        """Begin to answer; refuse what is too large, no HTTP/1, or sent before the response to the request before."""
        self._head_bytes = 0
        if len(self.url) > _LINE_BYTES:
            self._refusal = 414, "The request line is too long."
        elif len(self.headers) > _FIELDS or sum(len(value) for _, value in self.headers) > _HEAD_BYTES:
            self._refusal = 431, "The header fields are too many or too long."
        elif (version := self.parser.get_http_version()) not in _HOSTS:
            self._refusal = 505, f"HTTP/{version} is not supported."
        elif [name for name, _ in self.headers].count(b"host") not in _HOSTS[version]:
            self._refusal = 400, "The request must have exactly one Host header."
        elif not self._answering:
            super().on_headers_complete()
            self.cycle.keep_alive = self.cycle.keep_alive and not self.draining
            self.scope[RESPOND] = self.respond  # type: ignore[typeddict-unknown-key]
            self.headers = []  # for the trailers of a chunked body, which are no headers (RFC 9110, 6.5.1)
            return
        raise ValueError(self._refusal[1])

    def on_body(self, body: bytes) -> None:
        """A part of a body was received; from here, chunk sizes and trailers are counted."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request was received completely."""
        self._head_bytes, self._request_by = 0, None
        self._stop_waiting()
        super().on_message_complete()

    def respond(self, status: int, lines: bytes, body: bytes) -> bool:
        """Send the whole response to the current request; False if it must be sent as events, as to slow clients.

        uvicorn would check every header of every response again.

        :param lines: valid headers, each with its line break.
        """
        if not self.cycle.keep_alive or self.cycle.disconnected or self.flow.write_paused:
            return False
        self.cycle.response_started = self.cycle.response_complete = True
        defaults = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.writelines([STATUS_LINE[status], *defaults, lines, b"\r\n", body])
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        """Wait for the next request, unless most of this one was not read."""
        if self.cycle.more_body and not self.transport.is_closing():
            self.server_state.total_requests += 1
            self._linger()
            return
        super().on_response_complete()
        if not self.transport.is_closing():
            self._idle[self] = None

    def _stop_waiting(self) -> None:
        self._silent.pop(self, None)
        self._idle.pop(self, None)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not a valid request."""
        self._refuse(*self._refusal)

    def _unsupported_upgrade_warning(self) -> None:
        """No warning: a client that asks for HTTP/2 or a WebSocket gets a response in HTTP/1.1."""

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: int, detail: str) -> None:
        if self._answering and (self.cycle.response_started or not self.cycle.more_body):
            self.cycle.keep_alive = False  # after the response to the request before
            self._lingering = True
            return
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(refusal(status, detail))
        self._linger()

    def _linger(self) -> None:
        """Close after the client does: closing while it still sends could discard the response."""
        self._lingering, self._request_by = True, self.loop.time() + _LINGER_S
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.transport.write_eof()

    def check(self, now: float) -> None:
        """Close the connection if the client is too slow."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent > self._unsent or unsent <= self._unsent - _LEAST_TAKEN_BYTES:
            self._unsent, self._sent_at = unsent, now
        elif now > self._sent_at + self.timeout_s:
            self.transport.abort()
        if self._request_by is None or now < self._request_by:
            return
        if self._lingering:
            self.transport.abort()
        elif not (self._head_bytes or self._answering):
            self.transport.close()  # when the client has read the last response
        else:
            self._refuse(408, "The request took too long to arrive.")
