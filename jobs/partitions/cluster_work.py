"""What the workers of a cluster do: functions of values that can be pickled, whose results stay with the workers.

Dask logs and shows the representation of what it is given, and the errors of tasks with their tracebacks. So nothing of
a source is in either: URLs may hold a password.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from core import __version__
from core.calendar.zones import rules_source
from core.errors import ServiceError, SourceError
from core.settings import read_settings
from core.stores.runs import Counts
from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.aggregate.summaries import mixed_type_merchants
from jobs.partitions.checkpoint import Entry, Place, program_digest
from jobs.partitions.count_partition import (
    KIND_SCHEMA,
    PartitionResult,
    Plan,
    count_partition,
    merge_daily,
    merge_kinds,
)
from jobs.partitions.daily_sums import borders, in_order
from jobs.sources.partition import Partition
from jobs.sources.url import redacted

_PACKAGES: Final = ("numba", "numpy", "polars", "pyarrow", "pymongo", "distributed")
_SETTINGS: Final = ("time_zone", "calendar")
"""Settings that decide what is counted. The plan has them; a worker that has others belongs to something else."""
SAME: Final = (
    "Install the same version of the program and its packages on every worker, and set the same variables there."
)

Frames = tuple[pl.DataFrame, pl.DataFrame]
"""Partial sums of `PARTIAL_SCHEMA`, and kinds of merchants of `KIND_SCHEMA`."""
T = TypeVar("T")


def facts() -> dict[str, str]:
    """What must be the same where partitions are counted, in words for users.

    :raises SettingsError: a setting of this process has no value that is allowed.
    """
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    program = f"{__version__} ({program_digest()[:12]})"
    settings = read_settings()
    return {
        "program": program,
        "Python": python,
        **versions,
        "rules of time zones": rules_source(),
        **{name.upper(): str(getattr(settings, name)) for name in _SETTINGS},
        # Which servers are meant by s3:// and gs://.
        "AWS_ENDPOINT_URL": redacted(os.environ.get("AWS_ENDPOINT_URL", "not set")),
        "AWS_ENDPOINT_URL_S3": redacted(os.environ.get("AWS_ENDPOINT_URL_S3", "not set")),
        "STORAGE_EMULATOR_HOST": redacted(os.environ.get("STORAGE_EMULATOR_HOST", "not set")),
    }


def differing(here: dict[str, str], there: dict[str, str]) -> str:
    """How `there` differs from `here`; empty where it does not."""
    return ", ".join(
        f"{name} {there.get(name)} and not {value}" for name, value in here.items() if there.get(name) != value
    )


def require_same(who: str, here: dict[str, str], there: dict[str, str]) -> None:
    """Raise unless `who` has the facts `there` that are those of `here`.

    :raises ServiceError: names what differs.
    """
    if differences := differing(here, there):
        raise ServiceError(f"{who} has {differences}", SAME)


@dataclass(frozen=True, slots=True)
class Work:
    """A partition to count.

    :param facts: those of the client.
    :param entry: where a checkpoint has its result, or takes it; None: there is no checkpoint.
    """

    partition: Partition = field(repr=False)
    plan: Plan = field(repr=False)
    facts: dict[str, str] = field(repr=False)
    entry: Entry | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a partition.

    :param reused: whether it was in the checkpoint.
    """

    result: PartitionResult = field(repr=False)
    reused: bool = False


def count(work: Work) -> Answer:
    """Count a partition; also on a worker that has come later, or has been begun again.

    :raises ServiceError: this worker is another than it must be; or the program failed.
    """
    _require_same_here(tuple(work.facts.items()))
    with _warming:
        _warm()
    try:
        return _counted(work)
    except ServiceError:
        raise
    except Exception as error:
        # Its message may hold a URL with a password, and Dask would show it.
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise ServiceError(
            f"a worker failed to count {work.partition.name}: unexpected {type(error).__name__} "
            f"({Path(where.filename).name}:{where.lineno})",
            "Nothing was published. Read this source without --cluster to see more.",
        ) from None


def _counted(work: Work) -> Answer:
    if work.entry is None:
        return Answer(count_partition(work.partition, work.plan))
    result = work.entry.load(work.plan)
    if result is not None:
        return Answer(result, reused=True)
    result = count_partition(work.partition, work.plan)
    work.entry.keep(work.plan, result, takes_rejects=work.plan.rejects.size > 0)
    return Answer(result)


@cache
def _require_same_here(expected: tuple[tuple[str, str], ...]) -> None:
    require_same("a worker", dict(expected), facts())


_warming: Final = threading.Lock()


@cache
def _warm() -> None:
    """Compile the kernels, once in a worker."""
    from jobs.warm import warm

    warm()


def without_frames(answer: Answer) -> Answer:
    """The part of an answer that the client receives."""
    light = replace(answer.result, daily=PARTIAL_SCHEMA.to_frame(), kinds=KIND_SCHEMA.to_frame())
    return replace(answer, result=light)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was merged of a partition.

    :param name: of its source, without a password.
    """

    name: str
    counts: Counts


def merged(proofs: Sequence[Proof], *answers: Answer) -> Frames:
    """The sum of results.

    :param proofs: what was merged of each; it is another where it was counted again, as its worker was lost.
    :raises ServiceError: one is no longer that result.
    """
    for proof, answer in zip(proofs, answers, strict=True):
        if answer.result.failure is not None:
            raise answer.result.failure
        if answer.result.counts != proof.counts:
            raise SourceError(
                f"{proof.name} changed while it was read: a part that was read again, as its worker was lost, differs",
                "Nothing was published. Run the same command again, or read this source without --cluster.",
            )
    results = [answer.result for answer in answers]
    return merge_daily([result.daily for result in results]), merge_kinds([result.kinds for result in results])


def bucket_of(frames: Frames, bucket: int, buckets: int) -> Frames:
    """The part of `frames` of the merchants of one hash."""
    daily, kinds = (frame.filter(pl.col("merchant_id").cast(pl.String).hash(0) % buckets == bucket) for frame in frames)
    return daily, kinds


def added_up(*frames: Frames) -> Frames:
    """The sum of frames of one bucket."""
    return merge_daily([daily for daily, _ in frames]), merge_kinds([kinds for _, kinds in frames])


def ordered(frames: Frames) -> pl.DataFrame:
    """The sums of one bucket, `in_order`."""
    return in_order(frames[0])


def mixed_types(frames: Frames) -> list[str]:
    """See `mixed_type_merchants`."""
    return mixed_type_merchants([frames[1]])


def samples(frame: pl.DataFrame, rows: int) -> tuple[int, list[str]]:
    """How many rows an ordered bucket has, and the merchant of every so manieth."""
    return len(frame), borders(frame, rows)


def between(frame: pl.DataFrame, first: str | None, end: str | None) -> pl.DataFrame:
    """The rows of an ordered bucket whose merchants come from `first` on and before `end`; None: no bound."""
    begins = 0 if first is None else _place_of(frame, first)
    ends = len(frame) if end is None else _place_of(frame, end)
    return frame.slice(begins, ends - begins)


def _place_of(frame: pl.DataFrame, merchant_id: str) -> int:
    """The first row whose merchant does not come before `merchant_id`."""
    merchants, low, high = frame["merchant_id"], 0, len(frame)
    while low < high:
        middle = (low + high) // 2
        if merchants[middle] < merchant_id:
            low = middle + 1
        else:
            high = middle
    return low


def together(*frames: pl.DataFrame) -> pl.DataFrame:
    """A range of merchants of all buckets, `in_order`."""
    return in_order(pl.concat(frames))


def applied(function: Callable[[pl.DataFrame], T], frame: pl.DataFrame) -> T:
    """What `function` makes of `frame`."""
    return function(frame)


def unseen(place: Place, name: str) -> str | None:
    """Why this worker does not see what the client wrote to `place`; None: it does."""
    try:
        return None if name in place.names() else "it is not there"
    except OSError as error:  # not raised: `OSError` is what Dask gives for a worker that was lost
        return error.strerror or str(error)
