"""Tasks and results of cluster workers, on threads of this process."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import bson
import polars as pl
import pytest
from command_line import wait_until
from counted import CountedSources, plan_of
from dask_cluster import DaskCluster, cluster_here, dask_cluster
from effort import THOROUGH

from core.errors import ServiceError, SourceError
from core.stores.runs import Counts
from jobs.partitions.checkpoint import Entry, LocalFolder
from jobs.partitions.cluster_runner import Cluster, ClusterSums, cluster_at, local_cluster
from jobs.partitions.cluster_work import (
    ExpectedCounts,
    WorkerResult,
    WorkerTask,
    bucket_of,
    count,
    environment,
    merge_results,
    sum_frames,
    zones_of,
)
from jobs.partitions.count_partition import CountingState, PartitionResult, count_partition
from jobs.partitions.daily_sums import all_sums, in_order
from jobs.partitions.merging import Merger, Task
from jobs.runs.rejects import RejectLimits
from jobs.sources.partition import Opened, Partition, ReadOptions, Source
from jobs.sources.recognise import open_source

SHOP: Final = Path(__file__).parents[3] / "data" / "shop" / "transaction.bson"
THREADS: Final = 8
TOGETHER: Final = threading.Barrier(THREADS)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of one worker, which has several threads of this process."""
    from distributed import Client

    with cluster_here(THREADS) as cluster, Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client


def run(client: Any, source: Source, state: CountingState) -> tuple[CountedSources, list[PartitionResult], ClusterSums]:
    """The counts of `source` on the cluster, the results that the client received, and the sums."""
    cluster, found, results = Cluster(client, "here"), CountedSources(), list[PartitionResult]()

    def take(task: Task, result: PartitionResult, positions_before: int) -> None:
        cluster.take(task, result)
        found.take(task, result, positions_before)
        results.append(result)

    sums = cluster.count(Merger([source], take), plan_of(), state, lambda: None)
    return found, results, sums


@dataclass(frozen=True, slots=True)
class Waiting(Partition):
    """A partition without documents that waits until as many partitions are opened as there are threads."""

    name: str = "waiting"
    size: int | None = None
    start: int = 0
    end: int | None = None

    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        TOGETHER.wait(40)
        raise SourceError("all were opened at once")

    def beginning_at(self, start: int) -> Self:
        raise AssertionError(start)


def test_the_threads_of_a_worker_count_partitions_concurrently(client: Any) -> None:
    with pytest.raises(SourceError, match="all were opened at once"):
        run(client, Source("waiting", "waiting", (Waiting(),) * THREADS), CountingState())


def test_the_client_receives_counts_and_rejects_before_sums(client: Any) -> None:
    local = count_partition(open_source(str(SHOP), plan_of().reading.fields, None).partitions[0], plan_of())
    found, results, sums = run(client, open_source(str(SHOP), plan_of().reading.fields, None), CountingState())
    assert sum(len(result.daily) + len(result.kinds) for result in results) == 0
    assert all_sums(sums).rows() == in_order(local.daily).rows()
    assert len(found.rejects) == local.counts.rejected > 0


def test_rejects_are_not_collected_once_the_quarantine_is_full(client: Any) -> None:
    state = CountingState()
    state.takes_rejects = False
    found, results, _ = run(client, open_source(str(SHOP), plan_of().reading.fields, None), state)
    assert found.counts.rejected
    assert not found.rejects
    assert [result.rejects.size for result in results] == [0] * len(results)


def test_a_worker_counts_no_partition_after_one_that_fails(client: Any, tmp_path: Path) -> None:
    plan = plan_of()
    whole = open_source(str(SHOP), plan.reading.fields, None).partitions[0]
    damaged = tmp_path / "damaged.bson"
    damaged.write_bytes(SHOP.read_bytes()[:-1])
    cut = open_source(str(damaged), plan.reading.fields, None).partitions[0]
    works = [WorkerTask(one, plan, environment(zones_of(plan))) for one in (whole, cut, whole)]
    answers = client.submit(count, works).result(timeout=40)
    assert [answer.result.failure is None for answer in answers] == [True, False]


def test_a_worker_ends_a_batch_once_its_rejects_exceed_the_limit_of_one_partition(client: Any) -> None:
    plan = plan_of()
    partition = open_source(str(SHOP), plan.reading.fields, None).partitions[0]
    size = count_partition(partition, plan).rejects.size
    limited = replace(plan, rejects=RejectLimits(size))
    works = [WorkerTask(partition, limited, environment(zones_of(plan)))] * 3
    answers = client.submit(count, works).result(timeout=40)
    assert [answer.result.rejects.size for answer in answers] == [size, size]


CANCELLATION: Final = threading.Event()
STOPPED: Final = threading.Event()
ASSIGNED_AGAIN: Final = threading.Event()


@dataclass(frozen=True, slots=True)
class Stopped(Partition):
    """A partition that is not read before its task has been cancelled and assigned again."""

    read: Partition
    name: str = "stopped"
    size: int | None = None
    start: int = 0
    end: int | None = None

    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        if not STOPPED.is_set():
            CANCELLATION.set()
            assert stop.wait(40)
            STOPPED.set()
            assert ASSIGNED_AGAIN.wait(40)
        return self.read.open(reading, stop)

    def beginning_at(self, start: int) -> Self:
        raise AssertionError(start)


def test_a_reassigned_task_drops_the_result_of_its_cancelled_run(client: Any, tmp_path: Path) -> None:
    plan = plan_of(chunk_bytes=1000)
    partition = open_source(str(SHOP), plan.reading.fields, None).partitions[0]
    entry = Entry(LocalFolder(tmp_path / "kept"), "a-b-c.partition", exists=True)
    work = WorkerTask(Stopped(partition), plan, environment(zones_of(plan)), entry)
    tasks = client.cluster.workers[0].state.tasks
    first = client.submit(count, (work,), key="again")
    assert CANCELLATION.wait(40)
    first.cancel()
    assert STOPPED.wait(40)
    second = client.submit(count, (work,), key="again")
    wait_until(lambda: tasks["again"].state == "executing")
    ASSIGNED_AGAIN.set()
    whole = count_partition(partition, plan).counts
    assert [answer.result.counts for answer in second.result(timeout=40)] == [whole]
    stored = entry.load(plan)
    assert stored is not None
    assert stored.counts == whole


def kills_its_worker(_: DaskCluster) -> Callable[[pl.DataFrame], None]:
    return lambda _: os._exit(1)


def kills_the_scheduler(cluster: DaskCluster) -> Callable[[pl.DataFrame], None]:
    scheduler = cluster.scheduler.pid

    def kill(_: pl.DataFrame) -> None:
        os.kill(scheduler, 9)
        time.sleep(60)

    return kill


@pytest.mark.skipif(not THOROUGH, reason="THOROUGH=1 starts clusters to end their processes")
@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (kills_its_worker, "the workers that counted the sums died, 1 in a row"),
        (kills_the_scheduler, "the connection to the scheduler at here was lost"),
    ],
)
def test_sums_lost_during_the_merge_are_reported(
    function: Callable[[DaskCluster], Callable[[pl.DataFrame], None]], sentence: str, tmp_path: Path
) -> None:
    from distributed import Client

    with (
        dask_cluster(tmp_path / "dask", 1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as dask,
        Client(dask.address, set_as_default=False, timeout=1) as client,  # type: ignore[no-untyped-call]
    ):
        cluster = Cluster(client, "here")
        sums = ClusterSums(cluster, [cluster.submit("range", pl.DataFrame)], [])
        with pytest.raises(ServiceError) as caught:
            sums.map(function(dask))
        assert caught.value.sentence == sentence


def test_a_transfer_that_waits_for_others_does_not_time_out(client: Any) -> None:
    others = client._gather_semaphore
    taken = 0
    while not others.locked():
        client.sync(others.acquire)
        taken += 1
    for _ in range(taken):
        threading.Timer(0.5, client.loop.add_callback, [others.release]).start()
    cluster = Cluster(client, "here")
    cluster.wait_for([cluster.submit("nap", time.sleep, 0.05)], lambda: None)


def counted(tmp_path: Path) -> PartitionResult:
    """The result of a small file."""
    path = tmp_path / "x.bson"
    documents = [{"merchantId": i % 11, "amount": i, "createdAt": bson.datetime_ms.DatetimeMS(i)} for i in range(50)]
    path.write_bytes(b"".join(map(bson.encode, documents)))
    return count_partition(open_source(str(path), plan_of().reading.fields, None).partitions[0], plan_of())


def test_the_ranges_of_a_result_add_up_to_it(tmp_path: Path) -> None:
    result = counted(tmp_path)
    frames = merge_results([{0: ExpectedCounts("x", result.counts)}], [WorkerResult(result, 0)])
    parts = [bucket_of(frames, number, 3) for number in range(3)]
    assert min(len(daily) for daily, _ in parts) > 0
    daily, kinds = sum_frames(*parts)
    texts = pl.col("merchant_id").cast(pl.String)
    assert sorted(daily.with_columns(texts).rows()) == sorted(result.daily.with_columns(texts).rows())
    assert sorted(kinds.rows()) == sorted(result.kinds.rows())


def test_a_recount_with_another_result_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^shop\.orders changed while it was read") as caught:
        merge_results([{0: ExpectedCounts("shop.orders", Counts())}], [WorkerResult(counted(tmp_path), 0)])
    assert "Run the same command again" in caught.value.hint


def require_refused(address: str) -> None:
    """Raise unless what listens at `address` of Dask ends a connection of a client that has no key."""
    scheme, _, place = address.partition("://")
    assert scheme == "tls"
    host, port = place.rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), 40) as plain,
        context.wrap_socket(plain) as encrypted,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        encrypted.recv(1)


@pytest.mark.skipif(not THOROUGH, reason="THOROUGH=1 starts a cluster to be refused by it")
def test_local_processes_refuse_other_users() -> None:
    from distributed import Client

    with local_cluster(1) as address, Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        (worker, about), *_ = client.scheduler_info()["workers"].items()
        for one in (address, worker, about["nanny"]):
            require_refused(one)


def test_an_unreadable_certificate_is_reported(tmp_path: Path) -> None:
    import dask
    import distributed  # noqa: F401 - otherwise the end of `set` would remove the settings that its import adds

    files = {f"distributed.comm.tls.{name}": str(tmp_path / "none.pem") for name in ("ca-file", "client.cert")}
    with (
        dask.config.set(files),
        pytest.raises(ServiceError, match=r"for TLS: .*No such file"),
        cluster_at("tls://h:8786"),
    ):
        pass


def test_tls_without_certificates_is_refused_and_the_settings_named() -> None:
    with pytest.raises(ServiceError, match="needs the settings of Dask for TLS") as caught, cluster_at("tls://h:8786"):
        pass
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in caught.value.hint
