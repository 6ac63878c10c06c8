"""Counts partitions on the workers of a Dask cluster.

Only the counts and rejects of a partition are sent to the client. Daily sums stay on the workers: one worker sums some
partitions and splits the result by a hash of the merchant, and each bucket is summed by one worker. At the end the
totals are split by ranges of merchants, and the client fetches one range at a time while it publishes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import pickle
import queue
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import polars as pl

from core.errors import ServiceError, UsageError
from jobs.partitions.checkpoint import Checkpoint
from jobs.partitions.cluster_work import (
    SAME,
    BucketSummary,
    ExpectedCounts,
    WorkerResult,
    WorkerTask,
    bucket_of,
    concat_sorted,
    count,
    environment,
    merge_results,
    require_same,
    rows_between,
    sorted_sums,
    sum_frames,
    summarise_bucket,
    visibility_error,
    without_frames,
    zones_of,
)
from jobs.partitions.count_partition import CountingState, CountPlan, PartitionResult
from jobs.partitions.daily_sums import PART_ROWS, DailySums, ranges_of
from jobs.partitions.merging import Merger, Task
from jobs.runs.rejects import RejectLimits

_LOCAL: Final = re.compile(r"local:([1-9]\d{0,3})")
_ADDRESS: Final = re.compile(r"(tcp|tls)://[\w.\[\]:-]+:\d{1,5}")
_CONNECT_S: Final = 30
_WORKERS_S: Final = 120
_TICK_S: Final = 0.1
_STATUS_S: Final = 1.0
_END_S: Final = 10
_BATCH_BYTES: Final = 512 * 1024 * 1024
"""The most bytes of partitions that are counted by one task."""
_BATCH_PARTITIONS: Final = 64
"""The most partitions, likewise."""
_BATCHES: Final = 2
"""Batches per worker thread into which the remaining partitions are divided, so that the last ones are small."""
_AHEAD: Final = 3
"""Full batches per worker thread that may be submitted beyond the first unmerged partition."""
_REDUCED_TOGETHER: Final = 16
"""The fewest partitions that are summed together before the sums are split, if they have more than `PART_ROWS`."""
_SLOW_TIMES: Final = 3
_SLOW_S: Final = 10.0
_SAMPLES: Final = 4
"""Merchants sampled per range over all buckets, to find the borders of ranges."""

T = TypeVar("T")


def require_cluster(argument: str) -> None:
    """Raise unless `argument` is a valid value of ``--cluster``.

    :raises UsageError: it is not.
    """
    if not _LOCAL.fullmatch(argument) and not _ADDRESS.fullmatch(argument):
        raise UsageError(
            f"--cluster {argument.rpartition('@')[2]} is not a cluster",
            "Write tcp://HOST:8786 for a scheduler, or local:N for N processes on this host.",
        )


@dataclass(slots=True)
class ClusterStatus:
    """The progress of a cluster.

    :param slow: a partition that takes much longer than others, or None.
    """

    workers: int = 0
    done: int = 0
    partitions: int = 0
    slow: str | None = None

    def __str__(self) -> str:
        text = f"{self.workers} workers, {self.done} of {self.partitions} partitions"
        return text if self.slow is None else f"{text}, slow: {self.slow}"


class Cluster:
    """A cluster as one run uses it.

    :param client: a `distributed.Client`.
    :param shown: its name in messages.
    """

    def __init__(self, client: Any, shown: str) -> None:
        self._client = client
        self._shown = shown
        self.status = ClusterStatus()
        self._keys = itertools.count()
        self._run = f"{time.time_ns():x}"
        self._counted: dict[int, _Counted] = {}
        self._confirmed: list[_Counted] = []
        self._confirmed_rows = 0
        self._sums: dict[int, Any] = {}
        self._buckets = 1
        self._threads = 1

    def take(self, task: Task, confirmed: PartitionResult) -> None:
        """Record a result that the `Merger` has confirmed."""
        counted = self._counted.pop(task.number)
        if counted.answer.result is not confirmed:
            return  # no document begins in the partition: the first guess was wrong
        # A batch is not divided, or its results would be sent twice.
        are_enough = len(self._confirmed) >= _REDUCED_TOGETHER and self._confirmed_rows >= PART_ROWS
        if are_enough and self._confirmed[-1].future is not counted.future:
            self._reduce()
        self._confirmed.append(counted)
        self._confirmed_rows += counted.answer.rows

    def count(
        self,
        merger: Merger,
        plan: CountPlan,
        state: CountingState,
        tick: Callable[[], None],
        checkpoint: Checkpoint | None = None,
    ) -> ClusterSums:
        """Count all partitions of `merger`; the sums stay on the workers.

        :param tick: called several times a second on the calling thread; its exceptions end the counting.
        :param checkpoint: stores results and provides stored ones; the workers read and write it.
        :raises ServiceError: the first error of a source; the cluster is lost, has another version, or does not share
            the checkpoint.
        """
        _require_picklable(merger)
        zones = zones_of(plan)
        expected = environment(zones)
        self._require_same(expected, zones)
        if checkpoint is not None:
            self._require_shared(checkpoint)
        self.status.partitions = len(merger.tasks)
        plan = replace(plan, rejects=RejectLimits(plan.rejects.size))
        waiting = _Waiting(merger)
        begun: dict[str, tuple[list[Task], Any, Any]] = {}
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        pace = _Pace()
        updated = 0.0
        while not merger.is_complete:
            while batch := waiting.batch(self._threads):
                works = [_work(task, plan, state.takes_rejects, expected, checkpoint) for task in batch]
                counted = self.submit("count", count, works)
                light = self.submit("counts", without_frames, counted)
                begun[light.key] = batch, counted, light
                light.add_done_callback(ended.put)
            if time.monotonic() > updated + _STATUS_S:
                updated = time.monotonic()
                self._update_status(begun, pace)
            tick()
            with contextlib.suppress(queue.Empty):
                light = ended.get(timeout=_TICK_S)
                batch, counted, _ = begun.pop(light.key)
                answers: list[WorkerResult] = self._result_of(light, batch)
                waiting.put_back(batch[len(answers) :])
                for number, (task, answer) in enumerate(zip(batch, answers, strict=False)):
                    if checkpoint is not None:
                        checkpoint.reused += answer.reused
                    self._counted[task.number] = _Counted(task, answer, counted, number)
                    state.read(task.partition.size or 0, answer.result.counts.read)
                    again = merger.add(task, answer.result)
                    if again is not None:
                        waiting.put_back([again])
                self.status.done = merger.next
        self._reduce()
        tick()
        return self._sums_by_range(tick)

    def _sums_by_range(self, tick: Callable[[], None]) -> ClusterSums:
        """Split the sums by ranges of merchants, which are published in order, instead of by hashes."""
        buckets = [self.submit("sort", sorted_sums, one) for one in self._sums.values()]
        self._sums = {}
        step = max(1, PART_ROWS // (_SAMPLES * max(1, len(buckets))))
        summaries = [self.submit("summary", summarise_bucket, one, step) for one in buckets]
        found: list[BucketSummary] = self.wait_for(summaries, tick)
        wanted = max(1, math.ceil(sum(one.rows for one in found) / PART_ROWS))
        ranges = ranges_of([merchant for one in found for merchant in one.borders], wanted)
        parts = [
            self.submit("range", concat_sorted, *(self.submit("slice", rows_between, one, *bounds) for one in buckets))
            for bounds in ranges
            if buckets
        ]
        return ClusterSums(self, parts, sorted(merchant for one in found for merchant in one.mixed_types))

    def submit(self, kind: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Submit a call of `function`; returns the future of its result.

        :raises ServiceError: the cluster is lost.
        """
        self._require_connected()
        # The prefix is Dask's task group, for which it measures durations.
        key = f"{kind}-{self._run}-{next(self._keys)}"
        return self._client.submit(function, *arguments, key=key, pure=False)

    def _reduce(self) -> None:
        """Submit the summing of the confirmed results."""
        if not self._confirmed:
            return
        expected: dict[Any, dict[int, ExpectedCounts]] = defaultdict(dict)
        for one in self._confirmed:
            expected[one.future][one.number] = ExpectedCounts(one.task.partition.name, one.answer.result.counts)
        self._confirmed, self._confirmed_rows = [], 0
        # Sum before splitting: consecutive results have most merchants in common.
        some = self.submit("merge", merge_results, list(expected.values()), *expected)
        for bucket in range(self._buckets):
            before = (self._sums[bucket],) if bucket in self._sums else ()
            part = self.submit("part", bucket_of, some, bucket, self._buckets)
            self._sums[bucket] = self.submit("sum", sum_frames, *before, part)

    def wait_for(self, futures: Sequence[Any], tick: Callable[[], None]) -> list[Any]:
        """Wait for the results of futures.

        :raises ServiceError: the cluster is lost; or a function's own error.
        """
        # No time-out for the results: Dask would cancel the transfer, and later ones that share it would fail.
        for future in futures:
            ended = threading.Event()
            future.add_done_callback(lambda _, ended=ended: ended.set())
            while not ended.wait(_TICK_S):
                self._require_connected()
                tick()
        return self._result_of(futures, None)  # type: ignore[no-any-return]

    def _result_of(self, futures: Any, batch: Sequence[Task] | None) -> Any:
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        self._require_connected()
        try:
            return self._client.gather(futures)
        except KilledWorker as error:
            what = "the sums" if batch is None else _shown(batch)
            raise ServiceError(
                f"the workers that counted {what} died, {error.allowed_failures + 1} in a row",
                "Nothing was published. Give the workers more memory, or read this source without --cluster.",
            ) from None
        except (CommClosedError, FutureCancelledError):  # also if the client has reconnected since
            raise self._scheduler_is_gone() from None
        except Exception:
            self._require_connected()
            raise

    def _require_same(self, expected: dict[str, str], zones: tuple[str, ...]) -> None:
        """Raise unless all workers that answer have the same environment."""
        found: dict[str, Any] = self._client.run(environment, zones, on_error="return")
        self._buckets = max(1, len(found))
        self._count_threads()
        for address, there in found.items():
            if isinstance(there, OSError):
                continue  # the worker is lost, and others do its work
            if isinstance(there, ServiceError):
                raise ServiceError(f"worker {address} cannot run the program: {there.sentence}", there.hint)
            if isinstance(there, BaseException):
                raise ServiceError(f"worker {address} cannot run the program ({type(there).__name__})", SAME)
            require_same(f"worker {address}", expected, there)

    def _require_shared(self, checkpoint: Checkpoint) -> None:
        """Raise unless all workers see this host's writes to the checkpoint.

        :raises ServiceError: one does not.
        """
        with checkpoint.mark() as (folder, name):
            found: dict[str, Any] = self._client.run(visibility_error, folder, name, on_error="return")
        for address, reason in found.items():
            if reason is not None and not isinstance(reason, OSError):
                raise ServiceError(
                    f"worker {address} cannot see files that this host writes to the checkpoint {folder.shown}: "
                    f"{reason}",
                    "Give the absolute path of a folder that all hosts share, or a URL such as s3://…",
                )

    def _count_threads(self) -> None:
        threads = self._client.nthreads()
        self.status.workers = len(threads)
        self._threads = max(1, sum(threads.values()))

    def _update_status(self, begun: dict[str, tuple[list[Task], Any, Any]], pace: _Pace) -> None:
        self._require_connected()
        try:
            self._count_threads()  # includes workers that joined later
            processing = {str(key) for keys in self._client.processing().values() for key in keys}
        except OSError:
            raise self._scheduler_is_gone() from None
        batches = {counted.key: batch for batch, counted, _ in begun.values()}
        slow = pace.slowest(processing & batches.keys())
        self.status.slow = None if slow is None else _shown(batches[slow])

    def _require_connected(self) -> None:
        if self._client.status != "running":
            raise self._scheduler_is_gone()

    def _scheduler_is_gone(self) -> ServiceError:
        return ServiceError(
            f"the connection to the scheduler at {self._shown} was lost",
            "Nothing was published. Start the cluster again, then run the same command.",
        )


class ClusterSums(DailySums):
    """`jobs.partitions.daily_sums.DailySums` on the workers, valid while the cluster is connected.

    :param parts: futures of the frames.
    :param mixed_types: merchants seen with several types, ascending.
    """

    def __init__(self, cluster: Cluster, parts: Sequence[Any], mixed_types: list[str]) -> None:
        self._cluster = cluster
        self._parts = parts
        self.mixed_types = mixed_types

    def map(self, function: Callable[[pl.DataFrame], T]) -> list[T]:
        futures = [self._cluster.submit("map", function, part) for part in self._parts]
        return self._cluster.wait_for(futures, _nothing)

    def parts(self) -> Iterator[pl.DataFrame]:
        for part in self._parts:
            (frame,) = self._cluster.wait_for([part], _nothing)
            yield frame


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class _Counted:
    """A result whose frames are on a worker.

    :param future: of the results of its batch.
    :param number: its index there.
    """

    task: Task
    answer: WorkerResult
    future: Any
    number: int


class _Waiting:
    """The tasks that are not submitted yet, in batches.

    A call on a worker costs as much processor time as counting 100,000 documents. The last batches are small, so that
    all workers end at about the same time.
    """

    def __init__(self, merger: Merger) -> None:
        self._merger = merger
        self._tasks = deque(merger.tasks)
        sizes = (_BATCH_BYTES if task.partition.size is None else task.partition.size for task in merger.tasks)
        least = _BATCH_BYTES // _BATCH_PARTITIONS  # results of small partitions are also large
        self._begins = [0, *itertools.accumulate(min(max(size, least), _BATCH_BYTES) for size in sizes)]

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Return tasks of a batch; the order of the source remains, as the first one may be awaited by the merger."""
        if tasks:
            self._tasks = deque(sorted([*tasks, *self._tasks], key=lambda task: task.number))

    def batch(self, threads: int) -> list[Task]:
        """The next tasks to submit, for the current number of worker threads; empty if none may be submitted yet."""
        if not self._tasks:
            return []
        begin = self._begins[self._tasks[0].number]
        if begin - self._begins[self._merger.next] >= _AHEAD * threads * _BATCH_BYTES:
            return []
        size = min(_BATCH_BYTES, (self._begins[-1] - begin) // (_BATCHES * threads))
        found = [self._tasks.popleft()]
        while self._tasks and self._begins[self._tasks[0].number + 1] - begin <= size:
            found.append(self._tasks.popleft())
        return found


def _work(
    task: Task, plan: CountPlan, takes_rejects: bool, expected: dict[str, str], checkpoint: Checkpoint | None
) -> WorkerTask:
    # Name the entry on this host, as a file's times differ on other hosts.
    entry = None if checkpoint is None else checkpoint.entry(task.partition, plan)
    if task.number:
        plan = replace(plan, early_stop_after=None)
    if not takes_rejects:
        plan = replace(plan, rejects=RejectLimits(0))
    return WorkerTask(task.partition, plan, expected, entry)


class _Pace:
    """Measures the durations of partitions."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._took: deque[float] = deque(maxlen=1000)

    def slowest(self, at_work: set[str]) -> str | None:
        """The key of a task that takes much longer than others did, or None."""
        now = time.monotonic()
        for key in self._since.keys() - at_work:
            self._took.append(now - self._since.pop(key))
        for key in at_work - self._since.keys():
            self._since[key] = now
        if not self._since or not self._took:
            return None
        oldest = min(self._since, key=self._since.__getitem__)
        limit = max(_SLOW_S, _SLOW_TIMES * statistics.median(self._took))
        return oldest if now - self._since[oldest] > limit else None


def _shown(batch: Sequence[Task]) -> str:
    partition, *others = (task.partition for task in batch)
    end = "its end" if partition.end is None else partition.end
    more = f" and {len(others)} later partitions" if others else ""
    return f"{partition.name} from {partition.start} to {end}{more}"


def _require_picklable(merger: Merger) -> None:
    """Raise if a source is available only in this process.

    :raises UsageError: it is, such as standard input.
    """
    seen: set[int] = set()
    for task in merger.tasks:
        if task.source not in seen:
            seen.add(task.source)
            pickle.dumps(task.partition)


@contextmanager
def cluster_at(argument: str) -> Iterator[Cluster]:
    """The cluster of ``--cluster``. A local one is started, and stopped after the block.

    :raises UsageError: `argument` is invalid.
    :raises ServiceError: it is unreachable, or has no workers.
    """
    require_cluster(argument)
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ServiceError(
            f"--cluster needs a package that is not installed: {error.name}",
            "Install it: pip install --require-hashes -r pins/requirements-cluster.txt",
        ) from None
    # It logs tracebacks of lost connections, which we raise as errors.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if argument.startswith("tls://"):
        _require_tls_settings(argument)
    local = _LOCAL.fullmatch(argument)
    with contextlib.ExitStack() as stack:
        address, wanted = argument, 1
        if local:
            wanted = int(local[1])
            address = stack.enter_context(local_cluster(wanted))
        try:
            client = Client(address, timeout=_CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError) as error:
            raise ServiceError(
                f"the scheduler at {argument} does not answer ({type(error).__name__})",
                "Check that it runs (dask scheduler) and that --cluster names it.",
            ) from None
        try:
            try:
                client.wait_for_workers(wanted, timeout=_WORKERS_S)
            except TimeoutError:
                raise ServiceError(
                    f"the cluster {argument} has no workers", "Start some: dask worker tcp://HOST:8786."
                ) from None
            yield Cluster(client, argument)
        finally:
            # The scheduler drops all tasks with their client.
            with contextlib.suppress(Exception):
                client.close(timeout=_END_S)  # type: ignore[no-untyped-call]


def _require_tls_settings(argument: str) -> None:
    """Raise if Dask has no certificate; its client would fail and then wait a minute.

    :raises ServiceError: the certificate is missing or unreadable.
    """
    import dask
    from distributed.security import Security

    if dask.config.get("distributed.client.security-loader", None):
        return
    try:
        arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
        reason = None if arguments.get("ssl_context") else "no certificate is set"
    except (OSError, TypeError, ValueError) as error:
        reason = str(error)
    if reason:
        raise ServiceError(
            f"--cluster {argument} needs the settings of Dask for TLS: {reason}",
            "Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to the files.",
        )


@contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Start a cluster of `workers` local processes until the end of the block; yields its address.

    Only clients in this process can connect: it receives the TLS key by a pipe, and sets it in Dask's configuration.

    :raises ServiceError: it could not be started.
    """
    import dask

    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.partitions.cluster_node", str(workers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise ServiceError(f"local:{workers} could not be started", "Check the memory and the limits of this host.")
        found = json.loads(line)
        tls = found["tls"]
        keys = {"ca-file": tls["ca_file"], "client.cert": tls["cert"], "client.key": tls["key"]}
        with dask.config.set({f"distributed.comm.tls.{name}": value for name, value in keys.items()}):
            yield found["address"]
    finally:
        process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
