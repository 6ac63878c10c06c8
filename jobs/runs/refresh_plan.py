"""Plans the days of a refresh: those that may have changed since the last reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar
from core.stores.freshness import complete_until_ms
from core.stores.runs import Run
from core.stores.summaries import Publication
from jobs.runs.requested_days import is_clean_cut
from jobs.sources.live.times import TimeRange

_STEP_BACK_MS: Final = 300_000
"""Tolerance for a clock that was put back."""

_MOST_INTERVALS: Final = 100
"""Each interval is a condition of the query."""


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """Disjoint intervals of local days, ascending; the last one ends with the calendar.

    :param days: (first, last) day of each, both inclusive, days since 1970-01-01.
    :param times: the same intervals as instants; the last has no end.
    """

    days: tuple[tuple[int, int], ...]
    times: tuple[TimeRange, ...]

    @property
    def begin_day(self) -> int:
        """The first day of the last interval, from which on all days are recomputed."""
        return self.days[-1][0]

    @property
    def older_days(self) -> int:
        """Number of recomputed days before `begin_day`."""
        return sum(last - first + 1 for first, last in self.days[:-1])


@dataclass(frozen=True, slots=True)
class RefreshPlanner:
    """Plans the reading of a live collection.

    :param look_back_days: number of local days before the last reading that are recomputed, as documents may be late,
        changed or deleted.
    """

    calendar: Calendar
    local_days: LocalDays
    look_back_days: int

    def begin_day(self, publication: Publication, runs: Sequence[Run], now_ms: int) -> int | None:
        """The day from which on all days are recomputed; None for all, if the last reading is unknown.

        :param runs: the latest runs of the ledger, newest first.
        :param now_ms: milliseconds since 1970 UTC. A later reading is ignored, as a clock was wrong.
        """
        known_ms = complete_until_ms(publication, runs)
        if publication.rows == 0 or known_ms is None or known_ms > now_ms + _STEP_BACK_MS:
            return None
        begin_day = self.local_days.day_of(min(known_ms, now_ms)) - self.look_back_days
        return self._cut_at_or_before(min(max(begin_day, self.calendar.first_day), self.calendar.last_day))

    def plan(self, begin_day: int, changed_ms: Iterable[Iterable[int]] = ()) -> RefreshPlan:
        """The plan for everything from `begin_day` on, and the older days of `changed_ms`.

        :param changed_ms: instants of changed documents; those outside of the calendar are ignored.
        """
        named_first_ms, _ = self.local_days.named_range_ms(self.calendar)
        begin_ms = self.local_days.start_ms(begin_day)
        older: set[int] = set()
        for batch in changed_ms:
            instants = np.array([instant for instant in batch if named_first_ms <= instant < begin_ms], np.int64)
            if instants.size:
                table = self.local_days.table(int(instants.min()), int(instants.max()))
                older.update(np.unique(table.days_of(instants)).tolist())
        days = (*self._intervals(sorted(older), begin_day), (begin_day, self.calendar.last_day))
        return RefreshPlan(
            days,
            (
                *(TimeRange(*self.local_days.period_bounds_ms(first, last)) for first, last in days[:-1]),
                TimeRange(begin_ms),
            ),
        )

    def _intervals(self, days: Sequence[int], end_day: int) -> list[tuple[int, int]]:
        """`days` as at most `_MOST_INTERVALS` intervals before `end_day`; the nearest ones are joined."""
        intervals: list[tuple[int, int]] = []
        gaps = sorted((later - earlier for earlier, later in pairwise(days)), reverse=True)
        joined_up_to = max([1, *gaps[_MOST_INTERVALS - 1 : _MOST_INTERVALS]])
        for day in days:
            if intervals and day - intervals[-1][1] <= joined_up_to:
                intervals[-1] = (intervals[-1][0], day)
            else:
                intervals.append((day, day))
        clean = [(self._cut_at_or_before(first), self._cut_at_or_before(last + 1, 1) - 1) for first, last in intervals]
        return [(first, min(last, end_day - 1)) for first, last in clean]

    def _cut_at_or_before(self, day: int, step: int = -1) -> int:
        """`day`, or the nearest day before it (after it for a `step` of 1) that is a clean cut."""
        while not is_clean_cut(self.local_days, day):
            day += step
        return day
