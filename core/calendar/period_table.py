"""The periods of a run's days as a table, which is joined to sums per day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar, Mode, Period

_INSTANT = pl.Datetime("ms", "UTC")


def period_table(calendar: Calendar, local_days: LocalDays, days: npt.NDArray[np.int64]) -> pl.DataFrame:
    """The day, week and month of each of `days`, with their bounds.

    :param days: int64, the distinct days since 1970-01-01, ascending.
    :returns: a row per day, in the order of `days`: ``day`` (Int64) and, for each mode, ``<mode>_key`` (String),
        ``<mode>_start`` and ``<mode>_end`` (Datetime, ms, UTC, half-open), so ``daily_key``, ``daily_start``, ….
    :raises ValueError: one of `days` is outside of `calendar`.
    """
    columns = [_columns_of(mode, calendar, local_days, days) for mode in Mode]
    return pl.concat([pl.DataFrame({"day": pl.Series(days, dtype=pl.Int64)}), *columns], how="horizontal")


def _columns_of(mode: Mode, calendar: Calendar, local_days: LocalDays, days: npt.NDArray[np.int64]) -> pl.DataFrame:
    periods, row_of_day = distinct_periods(mode, calendar, days.tolist())
    first_days = np.array([period.first_day for period in periods], dtype=np.int64)
    following_days = np.array([period.last_day + 1 for period in periods], dtype=np.int64)
    starts_ms, ends_ms = local_days.starts_ms(np.stack([first_days, following_days]))
    distinct = pl.DataFrame(
        {
            f"{mode}_key": pl.Series([period.key for period in periods], dtype=pl.String),
            f"{mode}_start": pl.Series(starts_ms).cast(_INSTANT),
            f"{mode}_end": pl.Series(ends_ms).cast(_INSTANT),
        }
    )
    return distinct[row_of_day]


def distinct_periods(mode: Mode, calendar: Calendar, days: Sequence[int]) -> tuple[list[Period], list[int]]:
    """The distinct periods of `mode` for ascending `days`, and for each day the index of its period.

    :raises ValueError: one of `days` is outside of `calendar`.
    """
    periods: list[Period] = []
    row_of_day: list[int] = []
    for day in days:
        if not periods or day > periods[-1].last_day:
            periods.append(calendar.period_of(mode, day))
        row_of_day.append(len(periods) - 1)
    return periods, row_of_day
