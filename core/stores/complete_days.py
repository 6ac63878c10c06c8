"""Complete days: days that were over when they were last read, and were read whole.

A period is complete if all its days are. The rules (for users: `docs/counting.md`):

- Each source has a range of whole days (`jobs.runs.source_age`). It begins after the first day with transactions, which
  may be partial, or with ``--from``. It ends for a live collection with the start of the run, and for an export before
  the last day with transactions, but not after the modification time of its file.
- A run that replaces days makes those complete that are whole in the sources, and later ones incomplete.
- Earlier days do not change, nor do protected days, whose documents may have been deleted. A day that lost transactions
  is incomplete, unless it is whole in the sources.
- All other days do not change. A day that no run has read is never complete.

The result is stored in a publication and its run, and in each run that found the publication unchanged; the latest of
them is valid.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from core.calendar import Calendar, Mode, calendar_named
from core.calendar.solar import day_number
from core.calendar.zones import zone_named
from core.stores.runs import RunLedger
from core.stores.summaries import DayRange, Publication

Days = tuple[int, int]
"""(first, last) day since 1970-01-01, both inclusive."""


@dataclass(frozen=True, slots=True)
class CompleteDays:
    """The complete days of a publication.

    :param ranges: ascending, disjoint and not adjacent.
    """

    ranges: tuple[Days, ...] = ()

    @classmethod
    def of(cls, publication: Publication, found_later: tuple[DayRange, ...] | None) -> Self:
        """The complete days of `publication`.

        :param found_later: the result of `found_later`.
        """
        calendar = calendar_named(publication.fingerprint.calendar)
        keys = publication.complete_days if found_later is None else found_later
        if keys is not None:
            return cls(tuple((_day(calendar, one.first_key), _day(calendar, one.last_key)) for one in keys))
        if publication.complete_until_ms is None or publication.first_day_key is None:
            return cls()
        # Earlier versions stored only this instant, before which everything was read.
        until = datetime.fromtimestamp(
            publication.complete_until_ms / 1000, zone_named(publication.fingerprint.time_zone)
        )
        last_day = min(day_number(until.date()) - 1, calendar.last_day)
        return cls(united([(_day(calendar, publication.first_day_key) + 1, last_day)]))

    @classmethod
    def published(cls, publication: Publication | None, runs: RunLedger) -> Self:
        """The complete days of `publication` by the ledger `runs`; empty if nothing is published.

        :raises StoreUnavailable: the store does not answer.
        """
        return cls() if publication is None else cls.of(publication, found_later(publication, runs))

    def include(self, first_day: int, last_day: int) -> bool:
        """Whether all days from `first_day` to `last_day`, both inclusive, are complete."""
        place = bisect_right(self.ranges, first_day, key=lambda one: one[0]) - 1
        return place >= 0 and last_day <= self.ranges[place][1]

    def after_reading(self, replaced: Sequence[Days], open_day: int | None, protected: Iterable[int] = ()) -> Self:
        """The complete days after a run.

        :param replaced: the days that the run read and replaced.
        :param open_day: the first day that the sources may not have completely; None: unknown.
        :param protected: days of `replaced` that retained their published totals.
        """
        unread = united((day, day) for day in protected)
        replaced = [day for one in replaced for day in _without([one], unread)]
        read = [] if open_day is None else [(first, min(last, open_day - 1)) for first, last in replaced]
        return type(self)(united([*_without(self.ranges, replaced), *read]))

    def without(self, days: Iterable[Days]) -> Self:
        """The complete days except `days`."""
        return type(self)(tuple(_without(self.ranges, days)))

    def whole_from(self, oldest_day: int | None) -> int | None:
        """The first day that is whole in a source whose oldest transactions are of `oldest_day`; None: no day.

        `oldest_day` itself may be partial, unless it was complete before.
        """
        if oldest_day is None:
            return None
        return oldest_day if self.include(oldest_day, oldest_day) else oldest_day + 1

    def keys(self, calendar: Calendar) -> tuple[DayRange, ...]:
        """The ranges as keys of `calendar`, for stores."""
        return tuple(
            DayRange(calendar.period_of(Mode.DAILY, first).key, calendar.period_of(Mode.DAILY, last).key)
            for first, last in self.ranges
        )


def found_later(publication: Publication, runs: RunLedger) -> tuple[DayRange, ...] | None:
    """The complete days recorded by the latest run that found `publication` unchanged; None without such a run.

    :raises StoreUnavailable: the store does not answer.
    """
    unchanged = runs.found_unchanged(publication)
    return None if unchanged is None else unchanged.complete_days


def united(ranges: Iterable[Days]) -> tuple[Days, ...]:
    """The union of the ranges, ascending, disjoint and not adjacent."""
    found: list[Days] = []
    for first, last in sorted(one for one in ranges if one[0] <= one[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def _without(ranges: Iterable[Days], removed: Iterable[Days]) -> list[Days]:
    """`ranges` without the days of `removed`."""
    left = list(ranges)
    for gone_first, gone_last in removed:
        left = [
            part
            for first, last in left
            for part in ((first, min(last, gone_first - 1)), (max(first, gone_last + 1), last))
            if part[0] <= part[1]
        ]
    return left


def _day(calendar: Calendar, key: str) -> int:
    return calendar.parse(Mode.DAILY, key).first_day
