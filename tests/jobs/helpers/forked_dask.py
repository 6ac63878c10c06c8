"""A Dask scheduler and its workers, each in its own process, which a test may kill.

Each is forked off one process, in which everything is imported and the kernels of BSON are loaded: a fifth of a second
of work instead of several. ``forked_dask.py`` is that process: it reads ``scheduler``, or ``worker ADDRESS BYTES``, and
answers with the id and the address of the process that it has started.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from unmeasured import unmeasured

_ROOT: Final = Path(__file__).parents[3]
_HELPERS: Final = (_ROOT, _ROOT / "tests" / "helpers", Path(__file__).parent)


class Nursery:
    """The process that the others are forked off."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def scheduler(self) -> tuple[int, str]:
        """Start a scheduler: (its process id, its address)."""
        return self._started("scheduler")

    def worker(self, scheduler: str, memory: int = 0) -> int:
        """Start a worker of one thread; its process id.

        :param memory: memory limit in bytes, enforced by a nanny process that restarts it; 0: no limit.
        """
        process_id, _ = self._started(f"worker {scheduler} {memory}")
        return process_id

    def _started(self, what: str) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        process_id, address = self._process.stdout.readline().split()
        return int(process_id), address


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A `Nursery`; what it has started is killed after the block."""
    paths = {"PYTHONPATH": os.pathsep.join(map(str, _HELPERS))}
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=unmeasured() | paths,
        start_new_session=True,
    ) as process:
        try:
            yield Nursery(process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


async def _serve(kind: Any, *arguments: Any, **options: Any) -> None:
    async with kind(*arguments, host="127.0.0.1", dashboard=False, **options) as server:
        print(os.getpid(), server.address, flush=True)
        await server.finished()


def _start(what: str, *arguments: str) -> None:
    from distributed import Nanny, Scheduler, Worker

    if what == "scheduler":
        asyncio.run(_serve(Scheduler))
    else:
        scheduler, memory = arguments[0], int(arguments[1])
        asyncio.run(_serve(Nanny if memory else Worker, scheduler, nthreads=1, memory_limit=memory))


def _main() -> None:
    import dask
    import distributed  # noqa: F401
    from kernels import run_kernels

    import jobs.sources.remote.http  # noqa: F401
    from jobs.partitions import cluster_work

    # What each worker would otherwise do for itself takes longer than the tests.
    dask.config.set({"distributed.admin.log-length": 0, "distributed.worker.profile.enabled": False})
    run_kernels("transaction.bson")
    cluster_work.environment(("Asia/Tehran",))
    cluster_work._warm = lambda: None  # type: ignore[assignment]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            try:
                _start(*line.split())
            finally:
                os._exit(1)


if __name__ == "__main__":
    _main()
