"""A Dask scheduler and workers, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

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
        own = {"DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0", "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
        self._settings = own | settings
        self.log = folder / "log"
        self.scheduler, self.address = self._started("scheduler.py", _SCHEDULER)
        self.workers: list[subprocess.Popen[str]] = []

    def add_worker(self, memory: int = 0, root: Path = _ROOT) -> subprocess.Popen[str]:
        """Start a worker of one thread.

        :param memory: memory limit in bytes, enforced by a nanny process that restarts it; 0: no limit.
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


@contextmanager
def cluster_here(threads: int, workers: int = 1) -> Iterator[Any]:
    """A `LocalCluster` of so many workers, each of which has so many threads of this process; with Dask's pages."""
    import dask
    from distributed import LocalCluster

    options = {"n_workers": workers, "threads_per_worker": threads, "processes": False}
    pages = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),  # it can hang a worker before Python 3.11.9
        LocalCluster(host="127.0.0.1", protocol="tcp://", **options, **pages) as cluster,  # type: ignore[no-untyped-call]
    ):
        yield cluster


def pages_of(cluster: Any) -> dict[str, str]:
    """The pages of the scheduler of `cluster` and of its workers, by path: also of every task and worker there is."""
    scheduler = cluster.scheduler
    ports = [scheduler.http_server.port, *(worker.http_server.port for worker in cluster.workers.values())]
    tasks = [f"/info/{kind}/{quote(str(key))}.html" for key in list(scheduler.tasks) for kind in ("task", "call-stack")]
    kinds = ("worker", "logs", "call-stacks")
    workers = [f"/info/{kind}/{quote(address, safe='')}.html" for address in scheduler.workers for kind in kinds]
    main = [f"/info/main/{name}.html" for name in ("workers", "exceptions", "logs")]
    found = {}
    for port in ports:
        for path in [
            *main,
            *tasks,
            *workers,
            "/json/identity.json",
            "/json/counts.json",
            "/metrics",
            "/tasks",
            "/graph",
        ]:
            try:
                with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                    found[f"{port}{path}"] = answer.read().decode()
            except HTTPError as error:
                error.close()  # there is no such page here, or the task is gone
    return found
