"""Celery workers, started with ``celery -A … worker -c 2``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.notifier.messages import CHANNEL
from bench.notifier.senders import PATH
from bench.running import cpu_s, running, wait_until

PROCESSES: Final = 2
_STOP_TIMEOUT_S: Final = 20


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that was started, with its processes."""

    process: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """The processor time of it and its processes since their start, in seconds."""
        parent = psutil.Process(self.process.pid)
        return cpu_s([parent, *parent.children()])

    def wait_until(self, holds: Callable[[], bool], timeout_s: float, lasting_s: float = 0.0) -> float:
        return wait_until(holds, self.process, self.log, timeout_s, lasting_s)


def store_variables(store: Path) -> dict[str, str]:
    """The environment of workers and the API for the SQLite file `store` and the sender of the bench."""
    return {"STORE_URL": f"sqlite:///{store}", "NOTIFY_SENDERS": f"{CHANNEL}={PATH}", "NOTIFY_RATE_LIMITS": ""}


@contextmanager
def running_worker(application: str, name: str, variables: Mapping[str, str], scratch: Path) -> Iterator[Worker]:
    """Run a worker of `application` until the end of the block. It may not be ready yet when the block begins.

    :param name: a unique name.
    :param variables: additional environment variables.
    :param scratch: folder for its log.
    """
    log = scratch / f"worker-{name}.log"
    command = [sys.executable, "-m", "celery", "-A", application, "worker", "-c", str(PROCESSES), "-n", f"{name}@bench"]
    with running(command, log, _STOP_TIMEOUT_S, variables) as process:
        yield Worker(process, log)
