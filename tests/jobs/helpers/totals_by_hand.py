"""A reference implementation of summaries in plain Python, with jdatetime and zoneinfo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import jdatetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = tuple[str, int, int]
"""Merchant, amount, instant (ms)."""
Totals = dict[tuple[str, str, str | None], tuple[int, int]]
"""(Mode, key, merchant or None for all) -> (amount, count)."""


def local_date(instant_ms: int, zone: str = "Asia/Tehran") -> date:
    """The local date of an instant."""
    return (EPOCH + timedelta(milliseconds=instant_ms)).astimezone(ZoneInfo(zone)).date()


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def jalali_keys(day: date) -> dict[str, str]:
    """The keys of the periods of a day; a week begins on Saturday and has the year of its Friday."""
    of_day = jdatetime.date.fromgregorian(date=day)
    saturday = day - timedelta(days=(day.weekday() - 5) % 7)
    friday = jdatetime.date.fromgregorian(date=saturday + timedelta(days=6))
    week = (friday.yday() - 1) // 7 + 1
    return {
        "daily": f"{of_day.year:04}/{of_day.month:02}/{of_day.day:02}",
        "weekly": f"{friday.year:04}/W{week:02}",
        "monthly": f"{of_day.year:04}/{of_day.month:02}",
    }


def daily_totals(rows: Iterable[Row]) -> dict[tuple[str, int], tuple[int, int]]:
    """(Merchant, day number) -> (amount, count)."""
    amounts: Counter[tuple[str, int]] = Counter()
    counts: Counter[tuple[str, int]] = Counter()
    for merchant, amount, instant in rows:
        key = merchant, day_number(local_date(instant))
        amounts[key] += amount
        counts[key] += 1
    return {key: (amounts[key], counts[key]) for key in counts}


def jalali_totals(rows: Iterable[Row]) -> Totals:
    """The summaries of all modes."""
    totals: Totals = {}
    for merchant, amount, instant in rows:
        for mode, key in jalali_keys(local_date(instant)).items():
            for whose in (merchant, None):
                before = totals.get((mode, key, whose), (0, 0))
                totals[mode, key, whose] = before[0] + amount, before[1] + 1
    return totals
