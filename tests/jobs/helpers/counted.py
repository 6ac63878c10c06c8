"""Counts sources like the jobs: partitions in parallel, merged when they are confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import polars as pl
from bson.json_util import loads
from decoded import EVER

from core.calendar.days import LocalDays
from core.stores.runs import Counts
from jobs.decode.plan import Fields
from jobs.partitions.count_partition import CountingState, CountPlan, PartitionResult, count_partition
from jobs.partitions.daily_sums import all_sums
from jobs.partitions.local_runner import run_locally
from jobs.partitions.merging import Merged, Merger, Task
from jobs.runs.rejects import RejectLimits
from jobs.sources.chunks import CHUNK_BYTES
from jobs.sources.partition import Partition, ReadOptions, Source
from jobs.sources.recognise import open_source

DAYS: Final = LocalDays("Asia/Tehran")

Totals = dict[tuple[str, int], tuple[int, int]]
"""Amount and count of each merchant and day."""


@dataclass
class CountedSources:
    """The counts, sums and rejects of sources.

    :param rejects: the lines of the quarantine file.
    """

    merged: Merged = field(default_factory=Merged)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    _daily: pl.DataFrame | None = None

    @property
    def counts(self) -> Counts:
        """See `Merged`."""
        return self.merged.counts

    @property
    def daily(self) -> pl.DataFrame:
        """The daily sums; call `take` no more afterwards."""
        if self._daily is None:
            self._daily = all_sums(self.merged.daily())
        return self._daily

    @property
    def totals(self) -> Totals:
        """The daily sums."""
        return {(merchant, day): (amount, count) for merchant, day, amount, count in self.daily.iter_rows()}

    def take(self, task: Task, result: PartitionResult, positions_before: int) -> None:
        """Add a result."""
        self.merged.add(result)
        self.rejects += [loads(line.after(positions_before)) for line in result.rejects]


def plan_of(fields: Fields | None = None, chunk_bytes: int = CHUNK_BYTES, **options: Any) -> CountPlan:
    """A plan that counts every instant and collects all rejects."""
    return CountPlan(
        ReadOptions(fields or Fields(), EVER, chunk_bytes=chunk_bytes, **options), DAYS, RejectLimits(2**30)
    )


def count_all(
    sources: Sequence[Source],
    fields: Fields | None = None,
    threads: int = 2,
    chunk_bytes: int = CHUNK_BYTES,
    tick: Callable[[], None] = lambda: None,
    state: CountingState | None = None,
) -> CountedSources:
    """Count `sources` on threads."""
    found = CountedSources()
    merger = Merger(sources, found.take)
    run_locally(merger, plan_of(fields, chunk_bytes), threads, state or CountingState(), tick)
    return found


def count_file(path: Path | str, fields: Fields | None = None, **options: Any) -> CountedSources:
    """Count a file on threads."""
    return count_all([open_source(str(path), fields or Fields(), None)], fields, **options)


def count_in_order(
    source: Source, partitions: Sequence[Partition], plan: CountPlan, order: Sequence[int] | None = None
) -> tuple[CountedSources, int]:
    """Count `partitions` of `source` one after another, merged in `order`; and how many had to be counted again."""
    found, again = CountedSources(), 0
    merger = Merger([replace(source, partitions=tuple(partitions))], found.take)
    for number in order or range(len(partitions)):
        task = merger.tasks[number]
        following = merger.add(task, count_partition(task.partition, plan))
        while following is not None:
            again += 1
            following = merger.add(following, count_partition(following.partition, plan))
    assert merger.is_complete
    return found, again
