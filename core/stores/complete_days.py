"""Which days are complete: they were over when they were last read, and were read whole.

A period is complete when all its days are. The rule, which `docs/summaries.md` tells to users:

- Sources tell which days they hold whole (`jobs.runs.source_age`). These begin after the first day that they have
  transactions of, which may be cut; or where the user says with ``--from``. A live collection holds them up to when the
  run began, an export up to the beginning of the last day that it has transactions of, but not beyond the date of its
  file.
- A run that replaces days makes those complete that the sources hold whole, and the later ones of them incomplete.
- What comes before stays what it was, and so does a day that stays as it is published because its documents may have
  been purged. A day that has lost transactions is not complete, unless the sources hold it whole.
- All other days stay what they were. What no run has read is never complete.

A publication and the run that made it keep the result, and so does a run that found a publication unchanged: the later
of them counts.
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
"""A range of days since 1970-01-01, both ends inclusive."""


@dataclass(frozen=True, slots=True)
class CompleteDays:
    """The complete days of what is published.

    :param ranges: ascending; they neither overlap nor meet.
    """

    ranges: tuple[Days, ...] = ()

    @classmethod
    def of(cls, publication: Publication, found_later: tuple[DayRange, ...] | None) -> Self:
        """Those of `publication`.

        :param found_later: what the latest run that found it unchanged knew, see `found_later`.
        """
        calendar = calendar_named(publication.fingerprint.calendar)
        keys = publication.complete_days if found_later is None else found_later
        if keys is not None:
            return cls(tuple((_day(calendar, one.first_key), _day(calendar, one.last_key)) for one in keys))
        if publication.complete_until_ms is None or publication.first_day_key is None:
            return cls()
        # An earlier version has kept no more than that instant, before which everything was read that there was.
        until = datetime.fromtimestamp(
            publication.complete_until_ms / 1000, zone_named(publication.fingerprint.time_zone)
        )
        last_day = min(day_number(until.date()) - 1, calendar.last_day)
        return cls(united([(_day(calendar, publication.first_day_key) + 1, last_day)]))

    @classmethod
    def published(cls, publication: Publication | None, runs: RunLedger) -> Self:
        """Those of `publication`, as far as `runs` know; none where nothing is published.

        :raises StoreUnavailable: the store does not answer.
        """
        return cls() if publication is None else cls.of(publication, found_later(publication, runs))

    def include(self, first_day: int, last_day: int) -> bool:
        """Whether all days from `first_day` to `last_day`, both inclusive, are complete."""
        place = bisect_right(self.ranges, first_day, key=lambda one: one[0]) - 1
        return place >= 0 and last_day <= self.ranges[place][1]

    def after_reading(self, replaced: Sequence[Days], open_day: int | None, protected: Iterable[int] = ()) -> Self:
        """Those after a run.

        :param replaced: the days that the run has read and replaced.
        :param open_day: the first day that was not over, or of which the sources may lack some; None: of which nothing
            is known.
        :param protected: those of `replaced` that stay as they are published.
        """
        unread = united((day, day) for day in protected)
        replaced = [day for one in replaced for day in _without([one], unread)]
        read = [] if open_day is None else [(first, min(last, open_day - 1)) for first, last in replaced]
        return type(self)(united([*_without(self.ranges, replaced), *read]))

    def without(self, days: Iterable[Days]) -> Self:
        """The others."""
        return type(self)(tuple(_without(self.ranges, days)))

    def held_from(self, oldest_day: int | None) -> int | None:
        """From which day on a source has all days that has transactions since `oldest_day`; None: from none.

        That day itself may be cut, unless it was complete before.
        """
        if oldest_day is None:
            return None
        return oldest_day if self.include(oldest_day, oldest_day) else oldest_day + 1

    def keys(self, calendar: Calendar) -> tuple[DayRange, ...]:
        """The same as the keys of `calendar`, as stores keep them."""
        return tuple(
            DayRange(calendar.period_of(Mode.DAILY, first).key, calendar.period_of(Mode.DAILY, last).key)
            for first, last in self.ranges
        )


def found_later(publication: Publication, runs: RunLedger) -> tuple[DayRange, ...] | None:
    """The complete days that the latest run knew which found `publication` unchanged; None without such a run.

    :raises StoreUnavailable: the store does not answer.
    """
    unchanged = runs.found_unchanged(publication)
    return None if unchanged is None else unchanged.complete_days


def united(ranges: Iterable[Days]) -> tuple[Days, ...]:
    """The same days, ascending, as ranges that neither overlap nor meet."""
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
