"""A counting HTTP server on loopback with one behaviour per request: respond, hang, cut off, drip."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Behaviour = Callable[["_Handler"], None]


@dataclass(frozen=True)
class Request:
    """A received request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """Its body as a form, each field once."""
        return {name: values[0] for name, values in parse_qs(self.body.decode("ascii"), strict_parsing=True).items()}

    @property
    def json(self) -> Any:
        """Its body as JSON."""
        return json.loads(self.body)


@dataclass
class Gateway:
    """The requests to the server at `url`. Each request uses the next behaviour; the last one is repeated."""

    url: str
    port: int
    behaviours: list[Behaviour]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def next_behaviour(self) -> Behaviour:
        """The behaviour of the next request."""
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway
    asked: Request
    reads = True

    def setup(self) -> None:
        super().setup()
        self.gateway.connections += 1

    def do_POST(self) -> None:
        behaviour = self.gateway.next_behaviour()
        if behaviour is unread:
            return behaviour(self)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Request(self.command, self.path, headers, body)
        self.gateway.requests.append(self.asked)
        return behaviour(self)

    def log_message(self, *_: object) -> None:
        pass


def answers(status: int, body: bytes | dict[str, Any] = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    """Sends a complete response."""
    content = json.dumps(body, ensure_ascii=False).encode() if isinstance(body, dict) else body

    def behave(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return behave


def answers_with(made: Callable[[Gateway, Request], dict[str, Any]]) -> Behaviour:
    """Responds 200, with the body that `made` computes from the request and all earlier ones."""

    def behave(handler: _Handler) -> None:
        answers(200, made(handler.gateway, handler.asked), {"content-type": "application/json"})(handler)

    return behave


def hangs(handler: _Handler) -> None:
    """Reads the request, and sends nothing."""
    handler.gateway.over.wait(60)
    handler.close_connection = True


def cuts(handler: _Handler) -> None:
    """Reads the request, and closes the connection."""
    handler.close_connection = True


def resets(handler: _Handler) -> None:
    """Reads the request, and resets the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def unread(handler: _Handler) -> None:
    """Closes the connection before the body is read."""
    resets(handler)


def cuts_within(status: int, body: bytes) -> Behaviour:
    """Closes the connection in the middle of the response."""

    def behave(handler: _Handler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body) + 10))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return behave


def drips(handler: _Handler) -> None:
    """Sends a byte every tenth of a second, without end: no single read takes long."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-filler: ")
        while not handler.gateway.over.wait(0.1):
            handler.wfile.write(b"x")
    handler.close_connection = True


def endless(handler: _Handler) -> None:
    """Responds 200 with an endless body."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not handler.gateway.over.is_set():
            handler.wfile.write(b"x" * 65_536)
    handler.close_connection = True


def rubbish(handler: _Handler) -> None:
    """Sends a response that is not HTTP."""
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
    handler.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # clients that leave are what is tested


@contextlib.contextmanager
def gateway(*behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    """A running server on a free port."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        port = server.server_address[1]
        found = Gateway(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port, list(behaviours) or [answers(200)])
        handler.gateway = found  # type: ignore[attr-defined]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.over.set()
            server.shutdown()
            thread.join(60)


def timeout_for(*behaviours: Behaviour) -> float:
    """The time-out in seconds: short if no response is expected, long if a busy machine may be slow."""
    return 0.6 if {hangs, drips, endless} & set(behaviours) else 10.0


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
