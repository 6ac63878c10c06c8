"""A Redis of the bench's own, as it should be run: what it has taken is in its append-only file within a second."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import redis

from bench.measure import BenchFailed

PROGRAM: Final = "redis-server"
_START_TIMEOUT_S: Final = 20
_STOP_TIMEOUT_S: Final = 10
_SHOWN_OF_LOG: Final = 2000


@dataclass(frozen=True, slots=True)
class Broker:
    """A Redis that is running."""

    port: int
    process_id: int
    version: str

    def url(self, database: int) -> str:
        """The URL of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def variables(self, database: int) -> dict[str, str]:
        """What leads workers and the API to `database` for the queue, and to the next one for results."""
        return {"CELERY_BROKER_URL": self.url(database), "CELERY_RESULT_BACKEND": self.url(database + 1)}

    def client(self, database: int) -> redis.Redis:
        """A client of `database`; the caller closes it."""
        return redis.Redis(port=self.port, db=database, socket_timeout=10)

    def cpu_s(self) -> float:
        """What it has computed since it was started."""
        times = psutil.Process(self.process_id).cpu_times()
        return float(times.user + times.system)


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Run Redis on a free port of loopback, with its files in `folder`, until the end of the block.

    :raises BenchFailed: it does not start; shows the end of its log.
    """
    port, log = free_port(), folder / "redis.log"
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": ""}
    options |= {"appendonly": "yes", "appendfsync": "everysec"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAM, *arguments], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Broker(port, process.pid, _version_when_ready(process, port, log))
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
    return port


def missing_tools() -> list[str]:
    """What must be installed before anything can be measured, in words."""
    wanted = {PROGRAM: "redis-server (Debian's package `redis-server`)", "wrk": "wrk (Debian's package `wrk`)"}
    return [words for tool, words in wanted.items() if shutil.which(tool) is None]


def _version_when_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    with redis.Redis(port=port, socket_timeout=1) as client:
        while True:
            try:
                return str(client.info("server")["redis_version"])  # type: ignore[index, unused-ignore]
            except redis.exceptions.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchFailed(f"Redis did not start:\n{log.read_text()[-_SHOWN_OF_LOG:]}") from None
            time.sleep(0.02)
