"""Options of a cluster: impossible ones are refused, and tasks show no secret of the source."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.calendar.days import LocalDays
from core.errors import UsageError
from jobs.decode.classify import Window
from jobs.decode.formats import Formats
from jobs.decode.plan import Fields
from jobs.partitions.cluster_runner import Cluster, _Counted, _Pace, _require_picklable, _Waiting, require_cluster
from jobs.partitions.cluster_work import WorkerResult, WorkerTask, differences_between, environment, zones_of
from jobs.partitions.count_partition import CountPlan, PartitionResult
from jobs.partitions.merging import Merger
from jobs.runs.rejects import RejectLimits
from jobs.sources.file_partition import FileFormat, FilePartition
from jobs.sources.partition import ReadOptions, Source
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import RemoteObject
from jobs.sources.remote.stored import StoredObject
from jobs.sources.stored import SinglePass

SECRET = "s1gnature"
PLAN = CountPlan(ReadOptions(Fields(), Window(0, 1, 0, 1)), LocalDays("Asia/Tehran"), RejectLimits(0))


@pytest.mark.parametrize("argument", ["local:0", "local:", "local", "tcp://host", "http://host:8786", "host:8786", ""])
def test_an_invalid_cluster_option_is_refused(argument: str) -> None:
    with pytest.raises(UsageError, match="is not a cluster"):
        require_cluster(argument)


@pytest.mark.parametrize(
    "argument", ["local:2", "tcp://10.0.0.5:8786", "tls://scheduler.example:8786", "tcp://[::1]:8786"]
)
def test_a_cluster_is_a_scheduler_url_or_a_number_of_local_processes(argument: str) -> None:
    require_cluster(argument)


def test_standard_input_is_read_by_the_local_process() -> None:
    stored = SinglePass("standard input", io.BytesIO(b""))
    merger = Merger(
        [Source("standard input", "BSON", (FilePartition(stored, FileFormat.BSON, None),))], lambda *_: None
    )
    with pytest.raises(UsageError, match="standard input can be read only by this process"):
        _require_picklable(merger)


def test_task_names_shown_by_dask_contain_no_secret() -> None:
    found = RemoteObject(f"https://files.example/shop.bson?X-Amz-Signature={SECRET}", 1, "ETag")
    partition = FilePartition(StoredObject(found, RemoteOptions()), FileFormat.BSON, 1)
    assert SECRET not in repr((WorkerTask(partition, PLAN, environment(zones_of(PLAN))), partition))


def test_every_version_mismatch_is_reported() -> None:
    here = environment(zones_of(PLAN))
    assert differences_between(here, here) == ""
    there = here | {"numba": "0.1", "rules of Asia/Tehran": "00000000"}
    named = differences_between(here, there)
    assert f"numba 0.1 instead of {here['numba']}" in named
    assert "rules of Asia/Tehran 00000000 instead of" in named


def test_time_zone_rules_are_compared_by_content_and_not_by_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = Fields(formats=Formats(time_format="iso", text_zone="Europe/Berlin"))
    plan = replace(PLAN, reading=replace(PLAN.reading, fields=fields))
    here = environment(zones_of(plan))
    assert {name for name in here if name.startswith("rules of ")} == {"rules of Asia/Tehran", "rules of Europe/Berlin"}
    monkeypatch.setenv("PYTHONTZPATH", "/elsewhere")
    assert environment(zones_of(plan)) == here
    assert environment(("Nowhere/Nothing",))["rules of Nowhere/Nothing"] == "missing"


def test_a_straggler_partition_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731 - it is patched in
    monkeypatch.setattr("jobs.partitions.cluster_runner.time.monotonic", clock)
    pace = _Pace()
    assert pace.slowest({"a", "b"}) is None
    now[0] = 6.0
    assert pace.slowest({"b", "c"}) is None
    now[0] = 17.0
    assert pace.slowest({"b", "c"}) is None, "that is less than three times what others took"
    now[0] = 19.0
    assert pace.slowest({"b", "c"}) == "b"


def waiting(size: int | None, partitions: int) -> _Waiting:
    """That many partitions of `size` bytes."""
    partition = FilePartition(SinglePass("x", io.BytesIO(b"")), FileFormat.BSON, size)
    return _Waiting(Merger([Source("x", "BSON", (partition,) * partitions)], lambda *_: None))


def batches(tasks: _Waiting, threads: int) -> list[int]:
    """The lengths of all batches that may be submitted before a result is merged."""
    return [len(batch) for batch in iter(lambda: tasks.batch(threads), [])]


def test_partitions_are_counted_in_batches_that_become_smaller_towards_the_end() -> None:
    assert batches(waiting(2**27, 20), 2) == [4, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1]
    assert batches(waiting(100, 64), 1) == [32, 16, 8, 4, 2, 1, 1]
    assert batches(waiting(2**40, 5), 1) == [1, 1, 1]


def test_partitions_of_unknown_size_are_counted_one_by_one_and_few_ahead_of_the_merged_ones() -> None:
    assert batches(waiting(None, 100), 4) == [1] * 12


def test_partitions_that_were_put_back_are_next_in_the_order_of_the_source() -> None:
    tasks = waiting(2**27, 50)
    submitted = [tasks.batch(4) for _ in range(12)]
    tasks.put_back(submitted[0][2:])
    tasks.put_back(submitted[9])
    # The merger waits for partition 0, and workers were lost: the batches far ahead have to wait.
    assert [task.number for task in tasks.batch(1)] == [2, 3]
    assert tasks.batch(1) == []


def test_few_results_are_merged_together_even_if_the_first_batch_ends_last(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, merged = Cluster(None, "here"), list[int]()

    def submit(kind: str, function: object, *arguments: list[dict[int, object]]) -> None:
        if kind == "merge":
            merged.append(sum(map(len, arguments[0])))

    monkeypatch.setattr(cluster, "submit", submit)
    tasks, result = waiting(2**27, 80)._merger.tasks, PartitionResult(first=0, last=1)
    futures = [object() for _ in tasks]
    for task in tasks:
        batch, number = divmod(task.number, 3)
        cluster._counted[task.number] = _Counted(task, WorkerResult(result, 100_000), futures[batch], number)
    for task in tasks:
        cluster.take(task, result)
    assert merged == [18, 18, 18, 18]
