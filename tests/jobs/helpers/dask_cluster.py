"""A Dask scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[3]
_SCHEDULER = """
import asyncio
from distributed import Scheduler
async def serve():
    async with Scheduler(host="127.0.0.1", dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(serve())
"""
_WORKER = """
import asyncio, sys
from distributed import Nanny, Worker
async def serve(address, memory):
    kind = Nanny if memory else Worker
    async with kind(address, nthreads=1, host="127.0.0.1", dashboard=False, memory_limit=memory or 0) as worker:
        print(worker.address, flush=True)
        await worker.finished()
if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
"""


class DaskCluster:
    """A scheduler and the workers that a test starts.

    :param folder: where the workers' program and spilled data are.
    """

    def __init__(self, folder: Path, stack: ExitStack, **settings: str) -> None:
        self._folder = folder
        self._stack = stack
        self._settings = {"DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0"} | settings
        self.log = folder / "log"
        self.scheduler, self.address = self._started("scheduler.py", _SCHEDULER)
        self.workers: list[subprocess.Popen[str]] = []

    def add_worker(self, memory: int = 0, root: Path = _ROOT) -> subprocess.Popen[str]:
        """Start a worker of one thread.

        :param memory: so many bytes it may have, with a parent that ends it and begins another; 0: any, without one.
        :param root: the folder of the program.
        """
        process, _ = self._started("worker.py", _WORKER, self.address, str(memory), root=root)
        self.workers.append(process)
        return process

    def _started(
        self, name: str, program: str, *arguments: str, root: Path = _ROOT
    ) -> tuple[subprocess.Popen[str], str]:
        path = self._folder / name
        path.write_text(program)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(path), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._folder,
                env=os.environ | self._settings | {"PYTHONPATH": str(root)},
                start_new_session=True,
            )
        self._stack.callback(_end, process)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            pytest.fail(f"{name} did not start:\n{self.log.read_text()[-2000:]}")
        return process, address


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, 9)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@contextmanager
def dask_cluster(folder: Path, workers: int, **settings: str) -> Iterator[DaskCluster]:
    """A scheduler with so many workers, until the end of the block.

    :param settings: environment variables of Dask.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = DaskCluster(folder, stack, **settings)
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
