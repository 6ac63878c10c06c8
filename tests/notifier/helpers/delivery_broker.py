"""A Redis process that a test can kill and restart; its append-only file keeps the queue."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import redis

from core.errors import ServiceError
from stack.redis_server import find_redis_server

_START_TIMEOUT_S = 60


class RedisProcess:
    """Redis on a free port of loopback, with its files in `folder`.

    :param missing: called if the machine has no Redis.
    """

    def __init__(self, folder: Path, missing: Callable[[str], NoReturn]) -> None:
        try:
            self._program = find_redis_server()
        except ServiceError as error:
            missing(f"{error.sentence}: it is the broker of the notifier")
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            self.port: int = reserved.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int) -> str:
        """The URL of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self, *more: str, wait: bool = True) -> None:
        """Start it with `more` options, and with `wait`, wait until it answers."""
        options = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(self._folder),
            "--save": "",
            "--appendonly": "yes",
            "--appendfsync": "always",
        }
        arguments = [part for pair in options.items() for part in pair]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *arguments, *more], stdout=log, stderr=log)
        if not wait:
            return
        deadline = time.monotonic() + _START_TIMEOUT_S
        with redis.Redis(port=self.port, socket_timeout=1) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.exceptions.ConnectionError:  # also while it loads its file
                    assert time.monotonic() < deadline, (self._folder / "redis.log").read_text()
                    time.sleep(0.02)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
            self._process = None
