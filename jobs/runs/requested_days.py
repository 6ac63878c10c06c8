"""The days of ``--from`` and ``--to``, as days, keys and instants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from core.calendar.dates import period_named
from core.calendar.days import DAY_MS, LocalDays
from core.calendar.periods import Calendar, Mode
from core.errors import UsageError
from jobs.decode.classify import Window


@dataclass(frozen=True, slots=True)
class RequestedDays:
    """Days from `first` to `last`, both inclusive, days since 1970-01-01.

    :param window: the same as instants.
    :param first_key: key of `first`, or None without ``--from``; likewise `last_key`.
    """

    first: int
    last: int
    window: Window
    first_key: str | None
    last_key: str | None

    @classmethod
    def of(cls, first_key: str | None, last_key: str | None, calendar: Calendar, local_days: LocalDays) -> Self:
        """The days from one key to another; None for no bound.

        A Gregorian date such as 2024-06-24 is valid for every calendar, for ``date +%F`` in schedules.

        :raises UsageError: a key is not of a day, the first is after the last, or the days are not a range of time.
        """
        first, last = calendar.first_day, calendar.last_day
        try:
            if first_key is not None:
                first = period_named(calendar, Mode.DAILY, first_key).first_day
            if last_key is not None:
                last = period_named(calendar, Mode.DAILY, last_key).last_day
        except ValueError as error:
            raise UsageError(
                str(error), "--from and --to must be days of the calendar of the store, or Gregorian dates."
            ) from None
        if first > last:
            raise UsageError(f"--from {first_key} is after --to {last_key}", "Exchange them.")
        if (first_key or last_key) and not (is_clean_cut(local_days, first) and is_clean_cut(local_days, last + 1)):
            raise UsageError(
                "these days cannot be replaced without a neighbouring day: the clocks went back across midnight",
                "Begin a day earlier or end a day later.",
            )
        return cls(
            first,
            last,
            Window(*local_days.named_range_ms(calendar), *local_days.period_bounds_ms(first, last)),
            None if first_key is None else calendar.period_of(Mode.DAILY, first).key,
            None if last_key is None else calendar.period_of(Mode.DAILY, last).key,
        )


def is_clean_cut(local_days: LocalDays, day: int) -> bool:
    """Whether all instants of earlier days precede those of `day` and later ones.

    If clocks went back across midnight, a day continues after the next has begun.
    """
    start_ms = local_days.start_ms(day)
    table = local_days.table(start_ms - DAY_MS, start_ms + DAY_MS)
    return bool(((table.starts_ms >= start_ms) == (table.days >= day)).all())
