"""Merges the results of partitions, which arrive in any order, to those of their sources.

A range of a file may have been counted from a wrong guess of the first document. So a result is used only when it is
confirmed: it begins exactly at the end of the previous range. Otherwise the range is counted again from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import polars as pl

from core.errors import WrongRow
from core.stores.runs import Counts
from jobs.decode.batch import LeadingRejects
from jobs.partitions.count_partition import PartitionResult, merge_kinds
from jobs.partitions.daily_sums import LocalSums, SumsByRange
from jobs.sources.partition import Partition, Source

_FOLD_ROWS: Final = 262_144
"""Minimal rows of merchant kinds that are collected before merging."""


@dataclass(slots=True)
class Merged:
    """The sum of all confirmed results.

    :param leading: the leading rejects of the first source.
    """

    counts: Counts = field(default_factory=Counts)
    rejects_by_reason: Counter[str] = field(default_factory=Counter)
    leading: LeadingRejects = field(default_factory=LeadingRejects)
    _daily: SumsByRange = field(default_factory=SumsByRange)
    _kinds: list[pl.DataFrame] = field(default_factory=list)

    def add(self, result: PartitionResult) -> None:
        self.counts += result.counts
        self.rejects_by_reason.update(result.rejects_by_reason)
        self.leading = self.leading.then(result.leading)
        self._daily.add(result.daily)
        self._kinds.append(result.kinds)
        # Merge when the unmerged rows exceed the merged ones, which bounds both the work and the memory.
        if sum(map(len, self._kinds[1:])) > max(_FOLD_ROWS, len(self._kinds[0])):
            self._kinds = [merge_kinds(self._kinds)]

    def daily(self) -> LocalSums:
        """The daily sums; call `add` no more afterwards."""
        return self._daily.sums()

    def kinds(self) -> pl.DataFrame:
        """A frame of `jobs.partitions.count_partition.KIND_SCHEMA`."""
        return merge_kinds(self._kinds)


@dataclass(frozen=True, slots=True)
class Task:
    """A partition to count.

    :param number: its index over all sources.
    """

    number: int
    source: int
    partition: Partition


Take: TypeAlias = Callable[[Task, PartitionResult, int], None]
"""Receives a confirmed result, and the offset of the positions of its rejects."""


class Merger:
    """Receives results in any order, confirms them, and passes them on in the order of the sources.

    :param take: called with each confirmed result; its exceptions end the merging.
    """

    def __init__(self, sources: Sequence[Source], take: Take) -> None:
        self._take = take
        listed = [(number, partition) for number, one in enumerate(sources) for partition in one.partitions]
        self.tasks: Final = tuple(Task(place, source, partition) for place, (source, partition) in enumerate(listed))
        self._waiting: dict[int, tuple[Task, PartitionResult]] = {}
        self.next = 0
        """The index of the first task without a confirmed result."""
        self._border: int | None = None
        self._positions = 0

    @property
    def is_complete(self) -> bool:
        """Whether every partition has a confirmed result."""
        return self.next == len(self.tasks)

    def add(self, task: Task, result: PartitionResult) -> Task | None:
        """Add the result of `task`; returns a task to count again, or None.

        :raises ServiceError: the source is damaged, or cannot be read.
        """
        self._waiting[task.number] = task, result
        while self.next in self._waiting:
            task, result = self._waiting.pop(self.next)
            if task.number == 0 or task.source != self.tasks[task.number - 1].source:
                self._border, self._positions = None, 0
            if task.partition.guessed and result.first != self._border:
                again = self._from_border(task, result)
                if again is not None:
                    return again
                result = PartitionResult(self._border, self._border)
            self._accept(task, result)
        return None

    def _from_border(self, task: Task, result: PartitionResult) -> Task | None:
        """The task to count a partition from the end of the previous one; None if no document begins in it."""
        result.rejects.close()
        border, partition = self._border, task.partition
        assert border is not None, "a partition that is guessed follows another of its source"
        if partition.end is not None and border >= partition.end:
            return None
        return Task(task.number, task.source, partition.beginning_at(border))

    def _accept(self, task: Task, result: PartitionResult) -> None:
        before = self._positions if task.partition.counts_positions else 0
        try:
            self._take(task, result, before)
        finally:
            result.rejects.close()
        if result.failure is not None:
            raise result.failure if not isinstance(result.failure, WrongRow) else result.failure.after(before)
        self._border = result.last
        self._positions += result.length
        self.next += 1
