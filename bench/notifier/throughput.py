"""Measures the messages per second of one worker: ours, and those of a task that does nothing."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis
from celery import Celery

from bench.notifier import NOTHING
from bench.notifier.broker import Broker
from bench.notifier.messages import CHANNEL, add_messages, add_users
from bench.notifier.workers import Worker, running_worker, store_variables
from bench.running import BenchFailed, say
from core.notifications.broker import DELIVERIES, SEND, make_celery
from core.notifications.events import LogStatus
from core.notifications.model import new_id
from core.settings import Settings
from core.stores import Stores, open_stores
from core.stores.notifications import ChannelCounts

_HELD: Final = "held"
_UNACKNOWLEDGED: Final = "unacked"  # where Celery keeps the messages that workers have taken
_TIMEOUT_S: Final = 300
_STORE_TIMEOUT_S: Final = 30
_LASTING_S: Final = 0.2  # between the queue and the unacknowledged messages a message is not visible
_SHARED_MEMORY: Final = Path("/dev/shm")
_WARM_UP: Final = 50
_SYNCING_S: Final = 0.5
_SYNCED: Final = bytes(4096)


@dataclass(slots=True)
class Rate:
    """The results of one comparison, one value per round.

    :param cpu_ms: processor time of the worker and its processes per message; `broker_cpu_ms` is that of Redis.
    """

    name: str
    label: str
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    broker_cpu_ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Contest:
    """A worker, and what is queued for it.

    :param queueing: queues under another name than the worker listens to.
    :param client: of the database in which its queue is.
    :param stores: the stores of its messages; None if they are not stored.
    :param given: number of earlier messages.
    """

    rate: Rate
    broker: Broker
    worker: Worker
    queueing: Celery
    client: redis.Redis
    stores: Stores | None
    given: int = 0

    def measure(self, messages: int) -> None:
        before_s = self.worker.cpu_s(), self.broker.cpu_s()
        self.rate.per_s.append(messages / self.run(messages))
        self.rate.cpu_ms.append((self.worker.cpu_s() - before_s[0]) / messages * 1e3)
        self.rate.broker_cpu_ms.append((self.broker.cpu_s() - before_s[1]) / messages * 1e3)

    def run(self, messages: int) -> float:
        """Queue messages and let the worker consume them; returns the seconds until none is left.

        :raises BenchFailed: a message was not run exactly once.
        """
        task = NOTHING if self.stores is None else SEND
        ids = [new_id() for _ in range(messages)] if self.stores is None else add_messages(self.stores, messages)
        for notification_id in ids:
            self.queueing.send_task(task, args=(notification_id,), retry=False, ignore_result=True)
        began = time.perf_counter()
        self.client.rename(_HELD, DELIVERIES)
        ended = self.worker.wait_until(self._none_left, _TIMEOUT_S, _LASTING_S)
        self.given += messages
        self._require_all_run(task)
        return ended - began

    def _none_left(self) -> bool:
        return not self.client.llen(DELIVERIES) and not self.client.hlen(_UNACKNOWLEDGED)

    def _require_all_run(self, task: str) -> None:
        totals = (self.queueing.control.inspect(timeout=2, limit=1).stats() or {}).values()
        if sum(stats["total"].get(task, 0) for stats in totals) != self.given:
            raise BenchFailed(f"{self.rate.name}: of {self.given} messages the worker has run {list(totals)}")
        if self.stores is not None:
            counts = self.stores.notifications.counts()
            if counts != [ChannelCounts(CHANNEL, LogStatus.SUCCESS, self.given)]:
                raise BenchFailed(f"{self.rate.name}: {self.given} messages were given, and in the store are {counts}")


@contextmanager
def nothing(broker: Broker, database: int, scratch: Path) -> Iterator[Contest]:
    """A worker whose task does nothing, over two databases of Redis from that on."""
    rate = Rate("nothing", "a Celery task that does nothing")
    variables = broker.variables(database)
    with running_worker("bench.notifier.noop", rate.name, variables, scratch) as worker:
        yield _contest(rate, broker, database, worker, None)


@contextmanager
def ours(name: str, label: str, broker: Broker, database: int, store: Path, scratch: Path) -> Iterator[Contest]:
    """Our worker over a new SQLite file at `store`, and over two databases of Redis from that on."""
    variables = broker.variables(database) | store_variables(store)
    with (
        open_stores(variables["STORE_URL"], timeout_s=_STORE_TIMEOUT_S) as stores,
        running_worker("core", name, variables, scratch) as worker,
    ):
        add_users(stores)
        yield _contest(Rate(name, label), broker, database, worker, stores)


def _contest(rate: Rate, broker: Broker, database: int, worker: Worker, stores: Stores | None) -> Contest:
    urls = broker.url(database), broker.url(database + 1)
    queueing = make_celery(Settings(celery_broker_url=urls[0], celery_result_backend=urls[1]))
    queueing.conf.task_default_queue = _HELD
    return Contest(rate, broker, worker, queueing, broker.client(database), stores)


@dataclass(frozen=True, slots=True)
class Throughput:
    """The results of this part.

    :param messages: number in one round of one comparison.
    :param rates: by name.
    :param syncs_per_s: how often the disk of the store can make a write durable, one value per round.
    """

    messages: int
    rates: dict[str, Rate]
    syncs_per_s: list[float]


def measure_throughput(broker: Broker, scratch: Path, rounds: int, messages: int) -> Throughput:
    """Measure the comparisons alternately.

    :param scratch: a folder on the disk to measure on.
    :raises BenchFailed: a worker failed, or a message was not sent exactly once.
    """
    syncs: list[float] = []
    with ExitStack() as running:
        contests = [running.enter_context(nothing(broker, 0, scratch))]
        disk = ours("ours", "ours, the store on disk", broker, 2, scratch / "throughput.db", scratch)
        contests.append(running.enter_context(disk))
        if _SHARED_MEMORY.is_dir():
            folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=_SHARED_MEMORY)))
            label = "ours, the store in memory (`/dev/shm`)"
            memory = ours("ours-memory", label, broker, 4, folder / "throughput.db", scratch)
            contests.append(running.enter_context(memory))
        for contest in contests:
            contest.run(_WARM_UP)
        for number in range(1, rounds + 1):
            syncs.append(_syncs_per_s(scratch))
            for contest in contests:
                contest.measure(messages)
                say(f"round {number} of {rounds}: {contest.rate.name}: {contest.rate.per_s[-1]:.0f} a second")
    return Throughput(messages, {contest.rate.name: contest.rate for contest in contests}, syncs)


def _syncs_per_s(folder: Path) -> float:
    """How often per second 4 KiB can be appended to a file in `folder` with ``fdatasync``."""
    path = folder / "syncs"
    done = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < _SYNCING_S:
            os.write(descriptor, _SYNCED)
            os.fdatasync(descriptor)
            done += 1
    finally:
        os.close(descriptor)
        path.unlink()
    return done / took
