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

    :param reused: whether it was loaded from the checkpoint.
    """

    result: PartitionResult = field(repr=False)
    reused: bool = False


def count(work: WorkerTask) -> WorkerResult:
    """Count a partition. Also checks the environment, as workers may join or restart later.

    :raises ServiceError: this worker's environment differs, or the program failed.
    :raises distributed.Reschedule: the task was cancelled.
    """
    _require_same_here(tuple(work.environment.items()), zones_of(work.plan))
    with _warming:
        _warm()
    with _stopped_if_cancelled() as state:
        try:
            return _counted(work, state)
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


def _counted(work: WorkerTask, state: CountingState) -> WorkerResult:
    result = None if work.entry is None else work.entry.load(work.plan)
    if result is not None:
        return WorkerResult(result, reused=True)
    result = count_partition(work.partition, work.plan, state)
    if work.entry is not None and not state.stop.is_set():
        work.entry.store(work.plan, result, takes_rejects=work.plan.rejects.size > 0)
    return WorkerResult(result)


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


def without_frames(answer: WorkerResult) -> WorkerResult:
    """The part of a result that the client fetches."""
    light = replace(answer.result, daily=PARTIAL_SCHEMA.to_frame(), kinds=KIND_SCHEMA.to_frame())
    return replace(answer, result=light)


@dataclass(frozen=True, slots=True)
class ExpectedCounts:
    """The counts of a confirmed result.

    :param name: of the source, without a password.
    """

    name: str
    counts: Counts


def merge_results(expected: Sequence[ExpectedCounts], *answers: WorkerResult) -> Frames:
    """Sum results.

    :param expected: the confirmed counts of each. A result differs if it was counted again after the loss of its
        worker, and the source had changed.
    :raises ServiceError: a result differs.
    """
    for one, answer in zip(expected, answers, strict=True):
        if answer.result.failure is not None:
            raise answer.result.failure
        if answer.result.counts != one.counts:
            raise SourceError(
                f"{one.name} changed while it was read: a part that was read again after its worker was lost differs",
                "Nothing was published. Run the same command again, or read this source without --cluster.",
            )
    results = [answer.result for answer in answers]
    return merge_daily([result.daily for result in results]), merge_kinds([result.kinds for result in results])


def bucket_of(frames: Frames, bucket: int, buckets: int) -> Frames:
    """The rows of `frames` whose merchants hash to `bucket`."""
    daily, kinds = (frame.filter(pl.col("merchant_id").cast(pl.String).hash(0) % buckets == bucket) for frame in frames)
    return daily, kinds


def sum_frames(*frames: Frames) -> Frames:
    """Sum frames of one bucket."""
    return merge_daily([daily for daily, _ in frames]), merge_kinds([kinds for _, kinds in frames])


def sorted_sums(frames: Frames) -> pl.DataFrame:
    """The sums of one bucket, `in_order`."""
    return in_order(frames[0])


def mixed_types(frames: Frames) -> list[str]:
    """See `mixed_type_merchants`."""
    return mixed_type_merchants([frames[1]])


def sample_merchants(frame: pl.DataFrame, rows: int) -> tuple[int, list[str]]:
    """The number of rows of a sorted bucket, and the merchant of every `rows`-th row."""
    return len(frame), borders(frame, rows)


def rows_between(frame: pl.DataFrame, first: str | None, end: str | None) -> pl.DataFrame:
    """The rows of a sorted bucket with merchants in ``[first, end)``; None: no bound."""
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
