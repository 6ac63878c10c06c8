"""Reads the stored summaries of the days to replace, and of their weeks and months."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import polars as pl

from core.calendar.periods import Calendar, Mode
from core.stores.complete_days import Days, united
from core.stores.frames import within
from core.stores.summaries import KeyRange, SummaryStore


@dataclass(frozen=True, slots=True)
class AffectedPeriods:
    """The days to replace, as maximal ranges of days and of keys.

    :param days: ascending.
    :param replaced: for each mode, the periods with such days, ascending.
    :param around: all days of these periods, ascending.
    """

    days: tuple[Days, ...]
    replaced: Mapping[Mode, tuple[KeyRange, ...]]
    around: tuple[KeyRange, ...]

    @classmethod
    def of(cls, calendar: Calendar, days: Iterable[Days]) -> Self:
        """The periods affected by `days`, in any order; days outside of `calendar` are skipped."""
        named = united((max(first, calendar.first_day), min(last, calendar.last_day)) for first, last in days)
        whole = {mode: united(_whole(calendar, mode, *one) for one in named) for mode in Mode}
        around = united(one for mode in Mode for one in whole[mode])
        return cls(
            named,
            {mode: _key_ranges(calendar, mode, whole[mode]) for mode in Mode},
            _key_ranges(calendar, Mode.DAILY, around),
        )

    def replaces(self, day: int) -> bool:
        """Whether `day` is to be replaced."""
        return any(first <= day <= last for first, last in self.days)

    def holds(self, mode: Mode, key: str) -> bool:
        """Whether the period of `key` has a day to replace."""
        return any(first <= key <= last for _, first, last in self.replaced[mode])


@dataclass(frozen=True, slots=True)
class StoredDays:
    """The actual content of a store, which may differ from its publication record.

    :param count: number of summaries of all modes.
    :param overall: the overall amount and count of each day.
    :param rows: for each mode, all summaries of the periods with days to replace; for daily also of the other days of
        these weeks and months. Frames of `core.stores.summaries.SUMMARY_COLUMNS`.
    """

    count: int
    overall: Mapping[str, tuple[int, int]]
    rows: Mapping[Mode, pl.DataFrame]

    @classmethod
    def read(cls, summaries: SummaryStore, affected: AffectedPeriods) -> Self:
        """Read the summaries of `affected` by two calls; a concurrent publication may change the store in between.

        :raises StoreUnavailable: the store does not answer.
        """
        ranges = {**affected.replaced, Mode.DAILY: affected.around}
        found = summaries.rows_within([one for mode in Mode for one in ranges[mode]], Mode.DAILY)
        overall = found.filter(pl.col("mode") == Mode.DAILY.value, pl.col("merchant_id").is_null())
        return cls(
            summaries.count(),
            {key: (amount, count) for key, amount, count in overall.select("key", "amount", "count").iter_rows()},
            {mode: found.filter(within(ranges[mode])) for mode in Mode},
        )

    def keys(self, mode: Mode) -> set[str]:
        """All keys of the stored summaries of `mode`, also invalid ones."""
        return set(self.rows[mode]["key"])


def _whole(calendar: Calendar, mode: Mode, first_day: int, last_day: int) -> Days:
    """All days of the periods of `mode` that have one of these days."""
    return calendar.period_of(mode, first_day).first_day, calendar.period_of(mode, last_day).last_day


def _key_ranges(calendar: Calendar, mode: Mode, ranges: Iterable[Days]) -> tuple[KeyRange, ...]:
    def key(day: int) -> str:
        return calendar.period_of(mode, min(max(day, calendar.first_day), calendar.last_day)).key

    return tuple(KeyRange(mode, key(first), key(last)) for first, last in ranges)
