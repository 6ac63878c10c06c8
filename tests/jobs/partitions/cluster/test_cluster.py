"""A Dask cluster gives the local result, or fails and publishes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import pytest
from command_line import ROOT, CommandLine, wait_until
from dask_cluster import dask_cluster
from effort import THOROUGH
from unmeasured import unmeasured
from web_server import Answer, WebServer, as_it_is

from core.calendar.days import LocalDays
from core.errors import ServiceError
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.counting import Counted, Counting, Progress
from jobs.partitions.daily_sums import all_sums
from jobs.sources.recognise import open_source
from jobs.sources.remote.options import RemoteOptions

pytest_plugins = ["remote_fixtures"]
pytestmark = pytest.mark.usefixtures("small_ranges")
thorough = pytest.mark.skipif(not THOROUGH, reason="THOROUGH=1 starts clusters of every kind")

SHOP: Final = Path(__file__).parents[3] / "data" / "shop"
EVER: Final = Window(-(2**62), 2**62, -(2**62), 2**62)
FORMS = [
    "transaction.bson",
    "shop.archive.gz",
    "transaction.csv",
    "transaction.relaxed.jsonl",
    "transaction.array.json",
]
WAIT_S: Final = 120
_OF_A_COMMAND: Final = 3
"""Number of responses to a command before the first to a worker: it also reads the age of the source."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The scheduler of a cluster of two workers that no test kills."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster.address


@pytest.fixture
def source(web: WebServer) -> str:
    """The URL of a file of several ranges."""
    web.files["/shop.bson"] = (SHOP / "transaction.bson").read_bytes()
    return f"{web.url}/shop.bson"


def counted(
    sources: Sequence[str | Path],
    quarantine: Path,
    cluster: str | None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Counted:
    """The result of counting `sources` locally; any number of rejects is allowed."""
    days = LocalDays("Asia/Tehran")
    counting = Counting(Fields(), EVER, days, 1.0, 2, progress, lambda **_: None, cluster=cluster)
    remote = RemoteOptions(timeout_s=WAIT_S)
    opened = [partial(open_source, str(one), Fields(), None, remote=remote) for one in sources]
    return counting.count(opened, quarantine).collected()


def figures(found: Counted) -> tuple[object, ...]:
    """The part of a result that must be identical for every way of counting."""
    quarantine = None if found.quarantine is None else found.quarantine.read_bytes()
    return all_sums(found.daily).rows(), found.counts, found.rejects_by_reason, quarantine, found.file_formats


class Stalling:
    """Lets the answer to one range wait, so that a worker is at work on it until `go_on`.

    :param before: how many answers are for the client, which recognises the source.
    """

    def __init__(self, web: WebServer, before: int = 2) -> None:
        self.begun = threading.Event()
        self._going_on = threading.Event()
        web.troubles.extend([as_it_is] * before + [self._stall])

    def _stall(self, answer: Answer) -> Answer:
        self.begun.set()
        self._going_on.wait(WAIT_S)
        return answer

    def go_on(self) -> None:
        """Answer."""
        self._going_on.set()


@thorough
def test_a_cluster_gives_the_local_result_for_every_source_format(address: str, tmp_path: Path) -> None:
    sources = [SHOP / form for form in FORMS]
    local = counted(sources, tmp_path / "local", None)
    assert local.counts.rejected
    assert figures(counted(sources, tmp_path / "cluster", address)) == figures(local)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_local_processes_give_the_same_result_with_progress(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(os.environ).difference(unmeasured()):  # the processes
        monkeypatch.delenv(name)
    shown: list[str] = []
    path = SHOP / "transaction.bson"
    found = counted([path], tmp_path / "cluster", f"local:{workers}", lambda progress: shown.append(progress.cluster))
    assert figures(found) == figures(counted([path], tmp_path / "local", None))
    assert shown[-1].startswith(f"{workers} workers, ")
    done, _, partitions, _ = shown[-1].removeprefix(f"{workers} workers, ").split(" ")
    assert done == partitions != "1"


@thorough
def test_ctrl_c_stops_the_local_processes(web: WebServer, source: str, tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path}/store.db")
    stalling = Stalling(web, _OF_A_COMMAND)
    running = jobs.start("rebuild", source, "--max-reject-ratio", "1", "--cluster", "local:1")
    assert stalling.begun.wait(WAIT_S)
    of_cluster = psutil.Process(running.pid).children(recursive=True)
    assert of_cluster
    running.send(signal.SIGINT)
    assert running.wait().code == 130
    stalling.go_on()
    wait_until(lambda: not any(map(_is_alive, of_cluster)), WAIT_S)


@thorough
def test_a_worker_of_another_version_is_refused(source: str, tmp_path: Path) -> None:
    other = tmp_path / "program"
    for package in ("core", "jobs", "sql"):
        shutil.copytree(ROOT / package, other / package)
    with (other / "core" / "__init__.py").open("a") as file:
        file.write('\n__version__ = "0.0.1"\n')
    with dask_cluster(tmp_path / "dask", 0) as cluster:
        cluster.add_worker(root=other)
        with pytest.raises(ServiceError, match=r"worker tcp://.* has program 0\.0\.1 .* instead of "):
            counted([source], tmp_path / "cluster", cluster.address)


@thorough
def test_url_secrets_reach_workers_but_no_log(web: WebServer, source: str, tmp_path: Path) -> None:
    url = source.replace("http://", "http://reader:s3cret@") + "?X-Amz-Signature=s1gnature"
    with dask_cluster(tmp_path / "dask", 1) as cluster:
        web.asked.clear()
        counted([url], tmp_path / "rejects", cluster.address)
        assert all("Authorization" in headers and "s1gnature" in path for _, path, headers in web.asked)
        web.troubles.extend([as_it_is] * 2 + [lambda _: Answer(403, {}, b"")] * 9)
        with pytest.raises(ServiceError, match="the server answered 403"):
            counted([url], tmp_path / "rejects", cluster.address)
        log = cluster.log.read_text()
    assert "s3cret" not in log
    assert "s1gnature" not in log


@thorough
def test_an_unreachable_scheduler_is_reported(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.partitions.cluster_runner._CONNECT_S", 1)
    with pytest.raises(ServiceError, match=r"the scheduler at tcp://127\.0\.0\.1:1 does not answer"):
        counted([source], tmp_path / "rejects", "tcp://127.0.0.1:1")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
