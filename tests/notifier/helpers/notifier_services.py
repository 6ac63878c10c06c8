"""The real notifier: Redis, a store, ``celery -A core worker`` and ``celery -A core beat`` as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import psutil
from celery import Celery
from delivery_broker import RedisProcess
from delivery_senders import FILE_VARIABLE, FileGateway
from warm_programs import WarmProgram

from core.notifications.broker import make_celery, queue_delivery
from core.notifications.model import Notification, NotificationStatus, new_id
from core.settings import Settings
from core.stores import Stores, open_stores, wall_clock_ms
from core.stores.notifications import Log, StoredNotification

LEASE_S = 3.0
MAX_ATTEMPTS = 2
_ROOT = Path(__file__).parents[3]
_START_TIMEOUT_S = 90
_WORKER = ("worker", "-l", "info", "--without-gossip", "--without-mingle")
_SENDERS = {
    "plain": "delivery_senders.PlainSender",
    "lookup": "delivery_senders.LookupSender",
    "idempotent": "delivery_senders.IdempotentSender",
}


@dataclass
class CeleryProcess:
    """A worker or beat, with its child processes and its log."""

    name: str
    process: WarmProgram | subprocess.Popen[bytes]
    log: Path

    def kill_all(self) -> None:
        """Kill it and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)

    def stop(self, timeout_s: float = 60) -> int:
        """Send SIGTERM; returns the exit code. If it does not end, the test fails with its log and thread stacks."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGABRT)  # see PYTHONFAULTHANDLER
            self.process.wait(timeout=timeout_s)
            raise AssertionError(self.log.read_text()) from None


@dataclass
class NotifierServices:
    """The services of the notifier, with short intervals and time-outs."""

    folder: Path
    redis: RedisProcess
    gateway: FileGateway
    stores: Stores
    running: list[CeleryProcess] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the processes."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "STORE_"))}
        return {
            **inherited,
            "PYTHONPATH": f"{_ROOT}:{Path(__file__).parent}",
            "PYTHONFAULTHANDLER": "1",
            "STORE_URL": f"sqlite:///{self.folder / 's.db'}",
            "CELERY_BROKER_URL": self.redis.url(0),
            "CELERY_RESULT_BACKEND": self.redis.url(1),
            "NOTIFY_SENDERS": ",".join(f"{channel}={path}" for channel, path in _SENDERS.items()),
            "NOTIFY_LEASE_S": str(LEASE_S),
            "NOTIFY_SEND_TIMEOUT_S": "0.5",
            "NOTIFY_SWEEP_S": "0.5",
            "NOTIFY_BACKOFF_S": "0.2",
            "NOTIFY_BACKOFF_MAX_S": "0.5",
            "NOTIFY_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
            FILE_VARIABLE: str(self.gateway.path),
        }

    def run(self, *arguments: str, **variables: str) -> CeleryProcess:
        """Run ``celery -A core …``."""
        command, log = self._command(arguments)
        process = WarmProgram(command, self.folder, self.environment | variables, log, log)
        return self._started(arguments[0], process, log)

    def run_cold(self, *arguments: str, **variables: str) -> CeleryProcess:
        """The same in a process that has imported nothing before."""
        command, log = self._command(arguments)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=self.environment | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._started(arguments[0], process, log)

    def _command(self, arguments: tuple[str, ...]) -> tuple[list[str], Path]:
        return ["celery", "-A", "core", *arguments], self.folder / f"celery-{len(self.running)}.log"

    def _started(self, name: str, process: WarmProgram | subprocess.Popen[bytes], log: Path) -> CeleryProcess:
        self.running.append(CeleryProcess(name, process, log))
        return self.running[-1]

    def worker(self, processes: int = 2) -> tuple[str, ...]:
        """The arguments of a worker with so many processes."""
        return (*_WORKER, "-c", str(processes), "-n", f"w{len(self.running)}@test")

    def run_worker(self, processes: int = 2, /, **variables: str) -> CeleryProcess:
        """Run a worker with so many processes."""
        return self.run(*self.worker(processes), **variables)

    def wait_for_workers(self) -> None:
        """Wait until all workers are ready."""
        workers = [one for one in self.running if one.name == "worker"]
        wait_until(lambda: all(" ready." in one.log.read_text() for one in workers), _START_TIMEOUT_S, self.logs)

    def add(self, *channels: str, body: str = "ok", queued: int = 1) -> str:
        """Add a notification, queue it so many times, and return its id."""
        now_ms = wall_clock_ms()
        notification = Notification(new_id(), "u1", "title", body, channels, "en", now_ms)
        self.stores.notifications.add(notification, now_ms + round(LEASE_S * 1000) if queued else now_ms)
        for _ in range(queued):
            queue_delivery(self.app, notification.id)
        return notification.id

    @cached_property
    def app(self) -> Celery:
        """The Celery app with which the API queues."""
        return make_celery(Settings(celery_broker_url=self.redis.url(0), celery_result_backend=self.redis.url(1)))

    def stored(self, notification_id: str) -> StoredNotification:
        """The stored notification."""
        stored = self.stores.notifications.get(notification_id)
        assert stored is not None
        return stored

    def ended(self, *notification_ids: str, timeout_s: float = 90) -> list[Log]:
        """Wait until no log is open; returns the logs."""

        def all_ended() -> bool:
            return all(self.stored(one).status is not NotificationStatus.PENDING for one in notification_ids)

        wait_until(all_ended, timeout_s, self.logs)
        return [log for one in notification_ids for log in self.stored(one).logs]

    def sender_of(self, log_id: str, nth: int = 1, timeout_s: float = 60) -> int:
        """Wait until a process sends the log for the n-th time; returns its id."""

        def begun() -> list[int]:
            return [pid for found, pid in self.gateway.lines("begun") if found == log_id]

        wait_until(lambda: len(begun()) >= nth, timeout_s, self.logs)
        return begun()[nth - 1]

    def logs(self) -> str:
        """The logs of all processes, for the report of a failed test."""
        return "\n".join(f"--- {one.name}\n{one.log.read_text()[-6000:]}" for one in self.running)


def wait_until(holds: Callable[[], bool], timeout_s: float, explanation: Callable[[], str]) -> None:
    """Wait until `holds`, or fail."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s:\n{explanation()}"
        time.sleep(0.05)


@contextmanager
def notifier_services(
    folder: Path, missing: Callable[[str], NoReturn], redis_folder: Path | None = None
) -> Iterator[NotifierServices]:
    """Services with a running Redis and no worker yet; all processes are killed at the end."""
    redis = RedisProcess(redis_folder or folder, missing)
    redis.start()
    try:
        with open_stores(f"sqlite:///{folder / 's.db'}", timeout_s=20) as stores:
            made = NotifierServices(folder, redis, FileGateway(folder / "gateway"), stores)
            try:
                yield made
            finally:
                _end(made.running)
    finally:
        redis.kill()


def _end(running: list[CeleryProcess]) -> None:
    for one in running:
        if one.process.poll() is None:
            children = psutil.Process(one.process.pid).children(recursive=True)
            one.kill_all()
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
