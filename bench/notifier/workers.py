"""Celery workers, each one as ``celery -A … worker -c 2`` makes it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.notifier.messages import CHANNEL
from bench.notifier.senders import PATH
from bench.running import cpu_s, not_done, running

PROCESSES: Final = 2
_STOP_TIMEOUT_S: Final = 20
_POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that was started, with its processes."""

    process: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """What it and its processes have computed since they were started."""
        parent = psutil.Process(self.process.pid)
        return cpu_s([parent, *parent.children()])

    def wait_until(self, holds: Callable[[], bool], timeout_s: float, lasting_s: float = 0.0) -> float:
        """Wait until `holds`, and goes on to for `lasting_s`; the instant when it began to, by `time.perf_counter`.

        :raises BenchFailed: the worker has ended, or it took longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        since: float | None = None
        while True:
            now = time.perf_counter()
            since = (since or now) if holds() else None
            if since is not None and now - since >= lasting_s:
                return since
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise not_done(self.process, self.log)
            time.sleep(_POLL_S)


def store_variables(store: Path) -> dict[str, str]:
    """What leads workers and the API to the SQLite file `store`, and lets them send with ours of the bench."""
    return {"STORE_URL": f"sqlite:///{store}", "NOTIFY_SENDERS": f"{CHANNEL}={PATH}", "NOTIFY_RATE_LIMITS": ""}


@contextmanager
def running_worker(application: str, name: str, variables: Mapping[str, str], scratch: Path) -> Iterator[Worker]:
    """Run a worker of `application` until the end of the block. It may not be ready yet when the block begins.

    :param name: no other worker's.
    :param variables: of its environment, beside ours.
    :param scratch: folder for its log.
    """
    log = scratch / f"worker-{name}.log"
    command = [sys.executable, "-m", "celery", "-A", application, "worker", "-c", str(PROCESSES), "-n", f"{name}@bench"]
    with running(command, log, _STOP_TIMEOUT_S, variables) as process:
        yield Worker(process, log)
