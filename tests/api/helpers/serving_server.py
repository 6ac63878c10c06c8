"""The API as gunicorn serves it: a master, its workers, what they log, and raw connections to them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from warm_programs import WarmProgram

ROOT: Final = Path(__file__).parents[3]
PATIENCE_S: Final = 2.0
"""How long the servers of the tests wait for a client, `API_REQUEST_TIMEOUT_S`."""

_START_TIMEOUT_S: Final = 60
_STOP_TIMEOUT_S: Final = 60
_ANSWER_TIMEOUT_S: Final = 60
_SERVED_AT: Final = re.compile(r"Summaries are served at http://127\.0\.0\.1:([0-9]+)/")
GUNICORN: Final = ("gunicorn", "--config", "api/gunicorn_conf.py")
"""The server of production, but for its application."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it was received."""

    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The value of a header field, or None."""
        found = re.search(rf"(?im)^{re.escape(name)}:[ \t]*(.*?)\r?$", self.head)
        return found[1] if found else None


class Client:
    """One TCP connection, over which bytes are sent as they are."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(_ANSWER_TIMEOUT_S)
        self.socket.connect(("127.0.0.1", port))
        self._reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> Client:
        """Send `data`."""
        self.socket.sendall(data)
        return self

    def answer(self, method: str = "GET") -> Answer:
        """The next answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._reader.readline()
            assert line, f"the connection ended after {head!r}"
            head += line
        text = head.decode("latin-1")
        status = int(text.split(" ")[1])
        length = re.search(r"(?im)^content-length:[ \t]*([0-9]+)\r$", text)
        size = int(length[1]) if length and method != "HEAD" and status not in (100, 304) else 0
        return Answer(status, text, self._reader.read(size))

    def is_closed(self) -> bool:
        """Whether the server closes without another byte; waits for it."""
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    def reset(self) -> None:
        """Reset the connection, as a crashed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()

    def close(self) -> None:
        """Close it."""
        self._reader.close()
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Server:
    """A running server; `port` is where it listens on 127.0.0.1."""

    process: WarmProgram
    folder: Path
    port: int = 0

    def client(self, *, receive_buffer: int | None = None) -> Client:
        """A new connection."""
        return Client(self.port, receive_buffer=receive_buffer)

    def ask(self, path: str = "/healthz", *headers: str, method: str = "GET") -> Answer:
        """The response to a request over a new connection."""
        with self.client() as client:
            return client.send(request(path, *headers, "Connection: close", method=method)).answer(method)

    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def log(self) -> list[dict[str, Any]]:
        """What it wrote to standard output, line by line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def out(self) -> str:
        """What it wrote to standard output."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it wrote to standard error."""
        return (self.folder / "err").read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal `number`; returns the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends; returns the exit code."""
        return self.process.wait(_STOP_TIMEOUT_S)


def request(path: str = "/healthz", *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """The bytes of a request without a body."""
    lines = [f"{method} {path} {version}", "Host: 127.0.0.1", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def sqlite_url(folder: Path) -> str:
    """The URL of a SQLite store in `folder`."""
    return f"sqlite:///{folder / 'summaries.db'}"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a server or command whose files are in `folder`."""
    passed_on = ("PATH", "HOME", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")
    kept = {name: os.environ[name] for name in passed_on if name in os.environ}
    (folder / "tmp").mkdir(exist_ok=True)
    defaults = {
        "STORE_URL": sqlite_url(folder),
        "API_BIND": "127.0.0.1:0",
        "API_ACCESS": "open-loopback",
        "API_WORKERS": "1",
        "API_REQUEST_TIMEOUT_S": str(PATIENCE_S),
        "API_RATE_LIMIT": "1000000/second",
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
    }
    return kept | defaults | settings


@contextmanager
def serving(
    folder: Path, *arguments: str, command: Sequence[str] = (*GUNICORN, "api:get_app()"), **settings: str
) -> Iterator[Server]:
    """A server whose store and temporary files are in `folder`, until the end of the block.

    :param arguments: further ones of the command.
    :param command: the name of a module, and arguments; the module is run in a process that has imported most it needs.
    :param settings: environment variables.
    """
    process = WarmProgram([*command, *arguments], ROOT, environment(folder, **settings), folder / "out", folder / "err")
    server = Server(process, folder)
    try:
        eventually(lambda: _SERVED_AT.search(server.err) or process.poll() is not None, _START_TIMEOUT_S)
        found = _SERVED_AT.search(server.err)
        assert found, f"it did not start: {server.err}"
        server.port = int(found[1])
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever is left of it
        process.wait(_STOP_TIMEOUT_S)


def eventually(holds: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait until `holds()` is true; fail when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"this did not come true in {timeout_s:g} s")
        time.sleep(0.02)
