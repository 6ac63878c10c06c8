"""A Redis of the bench's own, as it should be run: what it has taken is in its append-only file within a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import redis

from bench.running import cpu_s, free_port, running, wait_until

PROGRAM: Final = "redis-server"
_START_TIMEOUT_S: Final = 20
_STOP_TIMEOUT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Broker:
    """A Redis that is running."""

    port: int
    process_id: int
    version: str

    def url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def variables(self, database: int) -> dict[str, str]:
        """What leads workers and the API to `database` for the queue, and to the next one for results."""
        return {"CELERY_BROKER_URL": self.url(database), "CELERY_RESULT_BACKEND": self.url(database + 1)}

    def client(self, database: int) -> redis.Redis:
        """A client of `database`; the caller closes it."""
        return redis.Redis(port=self.port, db=database, socket_timeout=10)

    def cpu_s(self) -> float:
        return cpu_s([psutil.Process(self.process_id)])


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Run Redis on a free port of loopback, with its files in `folder`, until the end of the block.

    :raises BenchFailed: it does not start; shows the end of its log.
    """
    port, log = free_port(), folder / "redis.log"
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": ""}
    options |= {"appendonly": "yes", "appendfsync": "everysec"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with (
        running([PROGRAM, *arguments], log, _STOP_TIMEOUT_S) as process,
        redis.Redis(port=port, socket_timeout=1) as client,
    ):
        wait_until(lambda: _answers(client), process, log, _START_TIMEOUT_S)
        version = str(client.info("server")["redis_version"])  # type: ignore[index, unused-ignore]
        yield Broker(port, process.pid, version)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False
