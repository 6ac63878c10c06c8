"""Failures of a cluster: a run survives lost workers, or fails without publishing and releases its workers."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from command_line import CommandLine
from forked_dask import Nursery, nursery
from web_server import Answer, WebServer, as_it_is

from core.calendar.days import LocalDays
from core.errors import ServiceError
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.counting import Counted, Counting
from jobs.partitions.daily_sums import all_sums
from jobs.sources.recognise import open_source
from jobs.sources.remote.options import RemoteOptions

pytest_plugins = ["remote_fixtures"]
pytestmark = pytest.mark.usefixtures("small_ranges")

SHOP: Final = Path(__file__).parents[3] / "data" / "shop" / "transaction.bson"
EVER: Final = Window(-(2**62), 2**62, -(2**62), 2**62)
WAIT_S: Final = 120
OF_A_CLIENT: Final = 2
"""Number of responses to the client before the first to a worker."""
OF_A_COMMAND: Final = 3
"""A command also reads the age of the source."""


@pytest.fixture(scope="module")
def started() -> Iterator[Nursery]:
    with nursery() as found:
        yield found


@pytest.fixture(scope="module")
def address(started: Nursery) -> str:
    """The scheduler of all tests but that which kills it."""
    _, address = started.scheduler()
    return address


@pytest.fixture
def worker(started: Nursery, address: str) -> Iterator[int]:
    """The process of the only worker, which a test may lose."""
    process_id = started.worker(address)
    yield process_id
    _kill(process_id)


@pytest.fixture
def others(started: Nursery, address: str) -> Iterator[Callable[[], int]]:
    """Starts another worker."""
    found: list[int] = []

    def start() -> int:
        found.append(started.worker(address))
        return found[-1]

    yield start
    for process_id in found:
        _kill(process_id)


@pytest.fixture
def source(web: WebServer) -> str:
    """The URL of a file of several ranges."""
    web.files["/shop.bson"] = SHOP.read_bytes()
    return f"{web.url}/shop.bson"


def counted(source: str, quarantine: Path, cluster: str | None) -> Counted:
    """The result of counting `source` locally; any number of rejects is allowed."""
    counting = Counting(
        Fields(), EVER, LocalDays("Asia/Tehran"), 1.0, 2, lambda _: None, lambda **_: None, cluster=cluster
    )
    opened = partial(open_source, source, Fields(), None, remote=RemoteOptions(timeout_s=WAIT_S))
    return counting.count([opened], quarantine).collected()


def figures(found: Counted) -> tuple[object, ...]:
    """The part of a result that must be identical for every way of counting."""
    quarantine = None if found.quarantine is None else found.quarantine.read_bytes()
    return all_sums(found.daily).rows(), found.counts, found.rejects_by_reason, quarantine, found.file_formats


class Stalling:
    """Lets the answer to a worker wait, which is then at work, and meanwhile calls `act`.

    :param before: how many answers are not for a worker.
    """

    def __init__(self, web: WebServer, before: int, act: Callable[[], object]) -> None:
        self._begun = threading.Event()
        self._web = web
        web.troubles.extend([as_it_is] * before + [self._stall])
        self._acting = threading.Thread(target=self._act, args=(act,), daemon=True)
        self._acting.start()

    def _stall(self, answer: Answer) -> Answer:
        self._begun.set()
        return self._web.stall(answer)

    def _act(self, act: Callable[[], object]) -> None:
        if self._begun.wait(WAIT_S):
            act()

    def end(self) -> None:
        """Require that a worker was at work, and answer."""
        self._acting.join(WAIT_S)
        assert self._begun.is_set()
        self._web.released.set()


def on_scheduler(address: str, call: Callable[..., Any]) -> None:
    """Call it in the process of the scheduler."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.run_on_scheduler(call)


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_the_work_of_a_killed_worker_is_reassigned(
    worker: int, others: Callable[[], int], address: str, web: WebServer, source: str, tmp_path: Path
) -> None:
    local = figures(counted(source, tmp_path / "local", None))

    def lose() -> None:
        _kill(worker)
        others()

    stalling = Stalling(web, OF_A_CLIENT, lose)
    assert figures(counted(source, tmp_path / "cluster", address)) == local
    stalling.end()


def test_the_work_of_a_paused_worker_is_reassigned(
    worker: int, others: Callable[[], int], address: str, web: WebServer, source: str, tmp_path: Path
) -> None:
    local = figures(counted(source, tmp_path / "local", None))

    async def give_up(dask_scheduler: Any) -> None:
        """Remove a worker as the scheduler does after its ``worker-ttl`` without a heartbeat."""
        for one in dask_scheduler.workers.values():
            one.last_seen = 0
        await dask_scheduler.check_worker_ttl()

    def lose() -> None:
        os.kill(worker, signal.SIGSTOP)
        on_scheduler(address, give_up)
        others()

    stalling = Stalling(web, OF_A_CLIENT, lose)
    assert figures(counted(source, tmp_path / "cluster", address)) == local
    stalling.end()


@pytest.fixture
def strict(address: str) -> Iterator[None]:
    """A scheduler that gives up a partition after one lost worker instead of four."""
    on_scheduler(address, lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    yield
    on_scheduler(address, lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3))


@pytest.mark.usefixtures("strict")
def test_a_partition_that_kills_workers_fails_the_run_and_is_named(
    worker: int, address: str, web: WebServer, source: str, tmp_path: Path
) -> None:
    stalling = Stalling(web, OF_A_CLIENT, partial(_kill, worker))
    with pytest.raises(ServiceError, match=r"shop\.bson from \d+ to .* died, 1 in a row") as caught:
        counted(source, tmp_path / "cluster", address)
    assert "read this source without --cluster" in caught.value.hint
    stalling.end()


@pytest.mark.usefixtures("strict")
def test_a_worker_with_too_little_memory_fails_the_run(
    started: Nursery, address: str, source: str, tmp_path: Path
) -> None:
    parent = started.worker(address, memory=150_000_000)
    try:
        with pytest.raises(ServiceError, match=r"shop\.bson from \d+ to .* died, 1 in a row") as caught:
            counted(source, tmp_path / "cluster", address)
    finally:
        _kill(parent)
    assert "Give the workers more memory" in caught.value.hint


def test_a_killed_scheduler_fails_the_run_without_publishing(
    started: Nursery, web: WebServer, source: str, tmp_path: Path
) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path}/store.db")
    scheduler, address = started.scheduler()
    started.worker(address)
    stalling = Stalling(web, OF_A_COMMAND, partial(_kill, scheduler))
    output = jobs("rebuild", source, "--max-reject-ratio", "1", "--cluster", address)
    stalling.end()
    output.require_failure(1, "was lost")
    assert json.loads(jobs("status", "--json").out)["published"] is None


class Endless(bytes):
    """An array of JSON as large as a file can be.

    :ivar is_read: set once it is read far beyond what a client reads to recognise it.
    """

    is_read: threading.Event
    _DOCUMENT = b'{"merchantId":"a","amount":1,"createdAt":{"$date":0}},\n'

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, part: Any) -> Any:
        assert isinstance(part, slice)
        start, stop, _ = part.indices(len(self))
        if start > 2**25:
            self.is_read.set()
        length, skipped = len(self._DOCUMENT), max(0, start - 1) % len(self._DOCUMENT)
        head = b"" if start else b"["
        wanted = stop - start
        return (head + (self._DOCUMENT * (wanted // length + 2))[skipped : skipped + wanted])[:wanted]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_releases_the_workers(
    number: signal.Signals, code: int, address: str, web: WebServer, tmp_path: Path
) -> None:
    from distributed import Client

    web.has_etags = False  # that of the content would be a digest of all of it
    endless = web.files["/shop.json"] = Endless()
    endless.is_read = threading.Event()
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path}/store.db")
    running = jobs.start("rebuild", f"{web.url}/shop.json", "--cluster", address)
    assert endless.is_read.wait(WAIT_S)
    running.send(number)
    assert running.wait().code == code
    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        assert client.submit(int).result(timeout=WAIT_S) == 0, "its only thread has time again"
