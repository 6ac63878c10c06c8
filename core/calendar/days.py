"""The local days of a time zone.

An instant is an integer, milliseconds since 1970-01-01T00:00 UTC; a day is an integer, days since 1970-01-01.
Converting an instant with `zoneinfo` takes about a microsecond. So the instants at which the local date changes are
computed once, and other instants are looked up among them by binary search.

The local date can go back: if clocks are put back across midnight, a day ends, begins again and ends again
(America/St_Johns until 2011, at 00:01), and Alaska had the same Friday twice in 1867. It can skip a day: Samoa had no
2011-12-30.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from core.calendar.periods import Calendar, Period
from core.calendar.zones import offset_changes, zone_named

DAY_S = 86_400
DAY_MS = 86_400_000

_Int64Array = npt.NDArray[np.int64]
_WIDENING_DAYS = 400
# No clock was ever put back by more than a day: three days on, no day from before can come again.
_SETTLING_DAYS = 3
_EARLIEST_MS = int(datetime(5, 1, 1, tzinfo=UTC).timestamp()) * 1000
_LATEST_MS = int(datetime(9995, 1, 1, tzinfo=UTC).timestamp()) * 1000


@dataclass(frozen=True, slots=True, eq=False)
class DayTable:
    """The local days of an interval, for instants `starts_ms[0]` <= t < `end_ms`.

    :param starts_ms: int64, strictly ascending: the instants at which the local date changes. The first is the
        beginning of its day. Most are about a day apart; a repeated day has two more, a skipped day none.
    :param days: int64, of the same length: the local day from that instant to the next. Not ascending where the local
        date goes back.
    :param end_ms: the end of the last row, also a change of the local date.
    """

    starts_ms: _Int64Array
    days: _Int64Array
    end_ms: int

    def covers(self, first_ms: int, last_ms: int) -> bool:
        """Whether the instants from `first_ms` to `last_ms`, both inclusive, are within the table."""
        return bool(self.starts_ms[0] <= first_ms) and last_ms < self.end_ms

    def days_of(self, instants_ms: _Int64Array) -> _Int64Array:
        """The local day of each instant, in the shape of `instants_ms`.

        :raises ValueError: an instant is outside the table.
        """
        if instants_ms.size and not self.covers(int(instants_ms.min()), int(instants_ms.max())):
            raise ValueError(f"an instant is outside the table, which covers {self.starts_ms[0]} to {self.end_ms} ms")
        rows = np.searchsorted(self.starts_ms, instants_ms, side="right") - 1
        return self.days[rows]


class LocalDays:
    """The local days of a time zone. Thread-safe and picklable.

    :param zone_name: IANA name, such as ``Asia/Tehran``.
    :raises zoneinfo.ZoneInfoNotFoundError: there is no such zone.

    >>> LocalDays("Asia/Tehran").period_bounds_ms(0, 6)
    (-12600000, 592200000)
    """

    def __init__(self, zone_name: str) -> None:
        self.zone_name = zone_name
        self._zone = zone_named(zone_name)
        self._latest: DayTable | None = None

    def __repr__(self) -> str:
        return f"LocalDays({self.zone_name!r})"

    def __reduce__(self) -> tuple[type[LocalDays], tuple[str]]:
        return LocalDays, (self.zone_name,)

    def table(self, first_ms: int, last_ms: int) -> DayTable:
        """The local days around the instants `first_ms` to `last_ms`, both inclusive.

        It extends further, mostly 400 days on either side, so that instants in approximate order rarely need another
        table. Takes about a microsecond per day, except for instants of the table that was returned last.

        :raises ValueError: an instant is before year 5 or after year 9994.
        """
        latest = self._latest
        if latest is None or not latest.covers(first_ms, last_ms):
            latest = self._latest = self._table(first_ms, last_ms, _WIDENING_DAYS)
        return latest

    def day_of(self, instant_ms: int) -> int:
        """The local day of one instant; for many, `table` is far cheaper.

        :raises ValueError: the instant is before year 5 or after year 9994.

        >>> LocalDays("Asia/Tehran").day_of(-12_600_001)
        -1
        """
        return int(self._table(instant_ms, instant_ms, _SETTLING_DAYS).days_of(np.array([instant_ms]))[0])

    def starts_ms(self, days: _Int64Array) -> _Int64Array:
        """The first instant of each local day, in the shape of `days`; for a skipped day that of the next existing one.

        Takes about a microsecond per day from the first to the last of `days`.

        :raises ValueError: a day is before year 5 or after year 9994.
        """
        if not days.size:
            return np.empty_like(days)
        table = self._table(int(days.min()) * DAY_MS, int(days.max()) * DAY_MS, _SETTLING_DAYS)
        latest_so_far = np.maximum.accumulate(table.days)
        return table.starts_ms[np.searchsorted(latest_so_far, days)]

    def start_ms(self, day: int) -> int:
        """The first instant of the local `day`; for a skipped day that of the next existing one.

        :raises ValueError: `day` is before year 5 or after year 9994.
        """
        return int(self.starts_ms(np.array([day]))[0])

    def period_bounds_ms(self, first_day: int, last_day: int) -> tuple[int, int]:
        """The bounds of the days `first_day` to `last_day`, both inclusive, as half-open instants.

        If the last day is repeated after the next has begun, the repetition (a minute to an hour) is after the end:
        bounds are for display and comparison; `DayTable` assigns instants to days.
        """
        return self.start_ms(first_day), self.start_ms(last_day + 1)

    def bounds_ms(self, periods: Sequence[Period]) -> list[tuple[int, int]]:
        """`period_bounds_ms` of many periods; takes about a microsecond per day from the first to the last.

        :raises ValueError: a period is before year 5 or after year 9994.
        """
        days = np.array([(period.first_day, period.last_day + 1) for period in periods], dtype=np.int64)
        return [(start_ms, end_ms) for start_ms, end_ms in self.starts_ms(days).tolist()]

    def named_range_ms(self, calendar: Calendar) -> tuple[int, int]:
        """The half-open range of instants whose local days are in `calendar`."""
        return self.period_bounds_ms(calendar.first_day, calendar.last_day)

    def _table(self, first_ms: int, last_ms: int, widening_days: int) -> DayTable:
        if not _EARLIEST_MS <= first_ms <= last_ms < _LATEST_MS:
            raise ValueError(f"the instants {first_ms} to {last_ms} ms are not in order or not in the years 5 to 9994")
        margin_days = widening_days + _SETTLING_DAYS
        first_s = (first_ms // DAY_MS - margin_days) * DAY_S
        last_s = (last_ms // DAY_MS + 1 + margin_days) * DAY_S
        starts_s, days = _date_changes(self._zone, first_s, last_s)
        # The first row is a day that does not repeat an earlier one: the search began early enough to exclude that.
        settled = int(np.searchsorted(starts_s, first_s + _SETTLING_DAYS * DAY_S))
        is_new = days[settled:] > np.maximum.accumulate(days)[settled - 1 : -1]
        begin = settled + int(np.argmax(is_new))
        return DayTable(starts_s[begin:-1] * 1000, days[begin:-1], int(starts_s[-1]) * 1000)


def _date_changes(zone: ZoneInfo, first_s: int, last_s: int) -> tuple[_Int64Array, _Int64Array]:
    """The changes of the local date (s), and the days from there on; the first row is the beginning of the search."""
    starts, days = [], []
    pieces = [*offset_changes(zone, first_s, last_s), (last_s + 1, 0)]
    for (from_s, offset_s), (until_s, _) in pairwise(pieces):
        first_day, last_day = (from_s + offset_s) // DAY_S, (until_s - 1 + offset_s) // DAY_S
        days_of_piece = np.arange(first_day, last_day + 1, dtype=np.int64)
        starts_of_piece = days_of_piece * DAY_S - offset_s
        starts_of_piece[0] = from_s
        starts.append(starts_of_piece)
        days.append(days_of_piece)
    all_starts, all_days = np.concatenate(starts), np.concatenate(days)
    is_change = np.append(True, all_days[1:] != all_days[:-1])
    return all_starts[is_change], all_days[is_change]
