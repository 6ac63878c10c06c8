"""An HTTP server on loopback that serves files, or forwards to another server, and can inject failures."""

from __future__ import annotations

import functools
import hashlib
import http.client
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
_SLOW_DOWN: Final = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"


@dataclass(slots=True)
class Answer:
    """An answer before it is sent; `sent` bytes of the body are, or all."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: int | None = None


Trouble = Callable[[Answer], Answer]
"""Replaces the response to one GET."""


def slow_down(_: Answer) -> Answer:
    """Throttle as S3 does."""
    return Answer(503, {"Content-Type": "application/xml"}, _SLOW_DOWN)


def cut(answer: Answer) -> Answer:
    """Close the connection after half of the body."""
    answer.sent = len(answer.body) // 2
    return answer


def as_it_is(answer: Answer) -> Answer:
    return answer


@dataclass(slots=True)
class WebServer:
    """The served content and injected failures; may be changed at any time.

    :param files: by path, such as ``/dump/a.bson``, or by path and query; a path that ends with a slash is a page of
        links.
    :param origin: the host and port to which requests are passed on instead.
    :param troubles: for the GETs to come, one each, in this order.
    :param has_ranges: whether parts can be asked for; likewise `has_versions`, whether ETag and Last-Modified are sent.
    :param released: set when answers that are waited for shall come; see `stall`.
    :param asked: method, path with query, and headers of each request so far.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    origin: tuple[str, int] | None = None
    troubles: deque[Trouble] = field(default_factory=deque)
    has_ranges: bool = True
    has_etags: bool = True
    has_dates: bool = True
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Remove all injected failures, and clear the recorded requests."""
        self.troubles.clear()
        self.asked.clear()
        self.released.set()
        self.released = threading.Event()

    def stall(self, answer: Answer) -> Answer:
        """Do not respond until the end of the test."""
        self.released.wait(60)
        return answer

    def changing(self, path: str, content: bytes) -> Trouble:
        """A failure that changes the content of `path` from this answer on."""

        def change(_: Answer) -> Answer:
            self.files[path] = content
            return self.answer("GET", path, {})

        return change

    def answer(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        """The response to a request, without injected failures."""
        if self.origin is not None:
            return self._from_origin(method, target, headers)
        path = target.partition("?")[0]
        if path.endswith("/"):
            inside = {name[len(path) :].split("/")[0] + "/" * ("/" in name[len(path) :]) for name in self.files
                      if name.startswith(path)}  # fmt: skip
            if not inside:
                return Answer(404, {}, b"")
            links = "".join(f'<a href="./{name}">{name}</a>' for name in sorted(inside))  # as Caddy's
            return Answer(200, {"Content-Type": "text/html"}, links.encode())
        content = self.files.get(target, self.files.get(path))
        if content is None and any(name.startswith(f"{path}/") for name in self.files):
            return Answer(301, {"Location": f"{path}/"}, b"")
        if content is None:
            return Answer(404, {}, b"no such file")
        known: dict[str, str] = {}
        if self.has_etags:
            known["ETag"] = _etag(content)
        if self.has_dates:
            known["Last-Modified"] = formatdate(1_700_000_000, usegmt=True)
        wanted = _RANGE.fullmatch(headers.get("Range", ""))
        if not self.has_ranges or wanted is None:
            return Answer(200, known, content)
        start, end = int(wanted[1]), min(int(wanted[2]) + 1, len(content))
        if start >= len(content):
            return Answer(416, known | {"Content-Range": f"bytes */{len(content)}"}, b"")
        known["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return Answer(206, known, content[start:end])

    def _from_origin(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        assert self.origin is not None
        connection = http.client.HTTPConnection(*self.origin, timeout=60)
        try:
            connection.request(method, target, headers=headers)
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()


@functools.lru_cache
def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


@contextmanager
def web_server(kind: type[WebServer] = WebServer) -> Iterator[WebServer]:
    """A server, until the end of the block."""
    served = kind()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = dict(self.headers.items())
            served.asked.append((self.command, self.path, headers))
            answer = served.answer(self.command, self.path, headers)
            if self.command == "GET" and not self.path.endswith("/") and served.troubles:
                answer = served.troubles.popleft()(answer)
            self.send_response_only(answer.status)
            length = {"Content-Length": answer.headers.get("Content-Length", str(len(answer.body)))}
            if self.command == "GET":
                length = {"Content-Length": str(len(answer.body))}
            hop_by_hop = ("Connection", "Transfer-Encoding", "Content-Length")
            for name, value in ({n: v for n, v in answer.headers.items() if n not in hop_by_hop} | length).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body[: answer.sent])
            self.close_connection = answer.sent is not None

        do_HEAD = do_GET  # noqa: N815 - named by the standard library

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client gave up
                super().handle()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            served.released.set()
            server.shutdown()
            thread.join()
