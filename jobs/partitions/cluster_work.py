"""The tasks of a cluster's workers: functions of picklable values, whose results stay on the workers.

Dask logs and shows the representation of arguments, and errors with tracebacks. So neither contains anything of a
source, as URLs may contain a password.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import threading
import traceback
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from core import __version__
from core.calendar.zones import rules_digest_here
from core.errors import ServiceError, SourceError
from core.settings import read_settings
from core.stores.runs import Counts
from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.aggregate.summaries import mixed_type_merchants
from jobs.partitions.checkpoint import CheckpointFolder, Entry, program_digest
from jobs.partitions.count_partition import (
    KIND_SCHEMA,
    CountingState,
    CountPlan,
    PartitionResult,
    count_partition,
    merge_daily,
    merge_kinds,
)
from jobs.partitions.daily_sums import borders, in_order
from jobs.sources.partition import Partition
from jobs.sources.url import redacted_url

_PACKAGES: Final = ("numba", "numpy", "polars", "pyarrow", "pymongo", "distributed")
_SETTINGS: Final = ("time_zone", "calendar")
"""Settings that affect results. The plan has them; a worker with other values was set up for another service."""
_SHOWN_DIGITS: Final = 8
"""Digits of a digest that are compared and shown."""
_WATCH_S: Final = 0.5
SAME: Final = (
    "Install the same version of the program and its packages on every worker, and set the same variables. "
    "The folders in PYTHONTZPATH must have the same files."
)

Frames = tuple[pl.DataFrame, pl.DataFrame]
"""Partial sums of `PARTIAL_SCHEMA`, and kinds of merchants of `KIND_SCHEMA`."""


def zones_of(plan: CountPlan) -> tuple[str, ...]:
    """The time zones whose rules affect the results of `plan`."""
    named = (plan.local_days.zone_name, plan.reading.fields.formats.text_zone)
    return tuple(dict.fromkeys(zone for zone in named if zone))


def environment(zones: Sequence[str]) -> dict[str, str]:
    """The versions, settings and rules of `zones` that must be equal on client and workers, in words for users.

    Rules are compared by their digest: the same folder of ``PYTHONTZPATH`` may have other files on each host.

    :raises SettingsError: a setting of this process is invalid.
    """
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    program = f"{__version__} ({program_digest()[:12]})"
    settings = read_settings()
    return {
        "program": program,
        "Python": python,
        **versions,
        **{f"rules of {zone}": _rules(zone, settings.calendar) for zone in zones},
        **{name.upper(): str(getattr(settings, name)) for name in _SETTINGS},
        # The servers of s3:// and gs://.
        "AWS_ENDPOINT_URL": redacted_url(os.environ.get("AWS_ENDPOINT_URL", "not set")),
        "AWS_ENDPOINT_URL_S3": redacted_url(os.environ.get("AWS_ENDPOINT_URL_S3", "not set")),
        "STORAGE_EMULATOR_HOST": redacted_url(os.environ.get("STORAGE_EMULATOR_HOST", "not set")),
    }


def _rules(zone: str, calendar: str) -> str:
    digest = rules_digest_here(zone, calendar)
    return "missing" if digest is None else digest[:_SHOWN_DIGITS]


def differences_between(here: dict[str, str], there: dict[str, str]) -> str:
    """The differences of `there` from `here` in words; empty if there are none."""
    return ", ".join(
        f"{name} {there.get(name)} instead of {value}" for name, value in here.items() if there.get(name) != value
    )


def require_same(who: str, here: dict[str, str], there: dict[str, str]) -> None:
    """Raise unless the environment `there` of `who` equals `here`.

    :raises ServiceError: names the differences.
    """
    if differences := differences_between(here, there):
        raise ServiceError(f"{who} has {differences}", SAME)


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """A partition to count.

    :param environment: that of the client.
    :param entry: its entry in the checkpoint; None without a checkpoint.
    """

    partition: Partition = field(repr=False)
    plan: CountPlan = field(repr=False)
    environment: dict[str, str] = field(repr=False)
    entry: Entry | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """The result of a partition.

    :param rows: of its frames, also if the client fetches it without them.
    :param reused: whether it was loaded from the checkpoint.
    """

    result: PartitionResult = field(repr=False)
    rows: int
    reused: bool = False


def count(works: Sequence[WorkerTask]) -> list[WorkerResult]:
    """Count partitions one after another, up to the first that fails or is the last to be read.

    It also ends when their rejects, which are sent in one message, exceed the limit of one partition. It first checks
    the environment, as workers may join or restart later.

    :raises ServiceError: this worker's environment differs, or the program failed.
    :raises distributed.Reschedule: the task was cancelled.
    """
    _require_same_here(tuple(works[0].environment.items()), zones_of(works[0].plan))
    with _warming:
        _warm()
    found: list[WorkerResult] = []
    with _stopped_if_cancelled() as state:
        for work in works:
            try:
                found.append(_counted(work, state))
            except ServiceError:
                raise
            except Exception as error:
                # Its message may contain a URL with a password, and Dask would show it.
                where = traceback.extract_tb(error.__traceback__)[-1]
                raise ServiceError(
                    f"a worker failed to count {work.partition.name}: unexpected {type(error).__name__} "
                    f"({Path(where.filename).name}:{where.lineno})",
                    "Nothing was published. Read this source without --cluster to see more.",
                ) from None
            result = found[-1].result
            rejects = sum(one.result.rejects.size for one in found)
            if result.failure or work.plan.stops_after(result.leading) or rejects > work.plan.rejects.size:
                break
    return found


def _counted(work: WorkerTask, state: CountingState) -> WorkerResult:
    result = None if work.entry is None else work.entry.load(work.plan)
    reused = result is not None
    if result is None:
        result = count_partition(work.partition, work.plan, state)
        if work.entry is not None and not state.stop.is_set():
            work.entry.store(work.plan, result, takes_rejects=work.plan.rejects.size > 0)
    return WorkerResult(result, len(result.daily) + len(result.kinds), reused)


@contextmanager
def _stopped_if_cancelled() -> Iterator[CountingState]:
    """A state that ends the counting when this thread's task is cancelled, as Dask does not end running tasks.

    Tasks are cancelled when their client closes or is lost.

    :raises distributed.Reschedule: at the end of the block, if the counting was ended: its result is not complete, and
        the scheduler may have assigned the task to this worker again.
    """
    from distributed import Reschedule, get_worker

    state, ended = CountingState(), threading.Event()
    worker = get_worker()
    key = worker.get_current_task()

    def watch() -> None:
        while not ended.wait(_WATCH_S):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                state.stop.set()
                return

    threading.Thread(target=watch, name="cancellation", daemon=True).start()
    try:
        yield state
    finally:
        ended.set()
        if state.stop.is_set():
            raise Reschedule


@cache
def _require_same_here(expected: tuple[tuple[str, str], ...], zones: tuple[str, ...]) -> None:
    require_same("a worker", dict(expected), environment(zones))


_warming: Final = threading.Lock()


@cache
def _warm() -> None:
    """Compile the kernels, once per worker."""
    from jobs.warm import warm

    warm()


def without_frames(answers: Sequence[WorkerResult]) -> list[WorkerResult]:
    """The parts of results that the client fetches."""
    daily, kinds = PARTIAL_SCHEMA.to_frame(), KIND_SCHEMA.to_frame()
    return [replace(answer, result=replace(answer.result, daily=daily, kinds=kinds)) for answer in answers]


@dataclass(frozen=True, slots=True)
class ExpectedCounts:
    """The counts of a confirmed result.

    :param name: of the source, without a password.
    """

    name: str
    counts: Counts


def merge_results(expected: Sequence[dict[int, ExpectedCounts]], *answers: Sequence[WorkerResult]) -> Frames:
    """Sum results.

    :param expected: the confirmed counts in each of `answers`, by their index. A result differs if it was counted again
        after the loss of its worker, and the source had changed.
    :raises ServiceError: a result differs.
    """
    results: list[PartitionResult] = []
    for confirmed, found in zip(expected, answers, strict=True):
        for number, one in confirmed.items():
            result = found[min(number, len(found) - 1)].result  # fewer than confirmed, if one fails now
            if result.failure is not None:
                raise result.failure
            if result.counts != one.counts:
                raise SourceError(
                    f"{one.name} changed while it was read: a part that was read again after its worker was lost "
                    "differs",
                    "Nothing was published. Run the same command again, or read this source without --cluster.",
                )
            results.append(result)
    return merge_daily([result.daily for result in results]), merge_kinds([result.kinds for result in results])


def bucket_of(frames: Frames, bucket: int, buckets: int) -> Frames:
    """The rows of `frames` whose merchants hash to `bucket`."""
    daily, kinds = (frame.filter(pl.col("merchant_id").cast(pl.String).hash(0) % buckets == bucket) for frame in frames)
    return daily, kinds


def sum_frames(*frames: Frames) -> Frames:
    """Sum frames of one bucket."""
    return merge_daily([daily for daily, _ in frames]), merge_kinds([kinds for _, kinds in frames])


def sorted_sums(frames: Frames) -> Frames:
    """The frames of one bucket, with the sums `in_order`."""
    return in_order(frames[0]), frames[1]


@dataclass(frozen=True, slots=True)
class BucketSummary:
    """What the client needs of a bucket.

    :param rows: number of its sums.
    :param borders: the merchant of each sampled row.
    :param mixed_types: see `mixed_type_merchants`.
    """

    rows: int
    borders: list[str] = field(repr=False)
    mixed_types: list[str] = field(repr=False)


def summarise_bucket(frames: Frames, step: int) -> BucketSummary:
    """Summarise `sorted_sums`.

    :param step: sample the merchant of every `step`-th row.
    """
    daily, kinds = frames
    return BucketSummary(len(daily), borders(daily, step), mixed_type_merchants([kinds]))


def rows_between(frames: Frames, first: str | None, end: str | None) -> pl.DataFrame:
    """The sums of `sorted_sums` with merchants in ``[first, end)``; None: no bound."""
    frame = frames[0]
    merchants = frame["merchant_id"]
    begins = 0 if first is None else bisect_left(merchants, first)
    ends = len(frame) if end is None else bisect_left(merchants, end)
    return frame.slice(begins, ends - begins)


def concat_sorted(*frames: pl.DataFrame) -> pl.DataFrame:
    """Concatenate a range of merchants of all buckets, `in_order`."""
    return in_order(pl.concat(frames))


def visibility_error(folder: CheckpointFolder, name: str) -> str | None:
    """Why this worker does not see the client's marker in `folder`; None if it does."""
    try:
        return None if name in folder.names() else "it does not exist there"
    except OSError as error:  # not raised: Dask returns `OSError` for a lost worker
        return error.strerror or str(error)
