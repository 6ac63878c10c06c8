"""The table of periods against the calendar and the local days that it is made of."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calendar import GregorianCalendar, JalaliCalendar, Mode
from core.calendar.days import LocalDays
from core.calendar.period_table import period_table

TEHRAN = LocalDays("Asia/Tehran")
INSTANT = pl.Datetime("ms", "UTC")
SCHEMA = {
    "day": pl.Int64,
    "daily_key": pl.String,
    "daily_start": INSTANT,
    "daily_end": INSTANT,
    "weekly_key": pl.String,
    "weekly_start": INSTANT,
    "weekly_end": INSTANT,
    "monthly_key": pl.String,
    "monthly_start": INSTANT,
    "monthly_end": INSTANT,
}


@settings(deadline=None)
@given(
    st.sampled_from([JalaliCalendar(), GregorianCalendar()]),
    st.lists(st.integers(0, 3000), unique=True, max_size=30).map(sorted),
)
def test_every_day_has_the_key_and_bounds_of_its_periods(
    calendar: JalaliCalendar | GregorianCalendar, days: list[int]
) -> None:
    table = period_table(calendar, TEHRAN, np.array(days, dtype=np.int64))
    assert table.schema == SCHEMA
    assert table["day"].to_list() == days
    for mode in Mode:
        periods = [calendar.period_of(mode, day) for day in days]
        bounds = [TEHRAN.period_bounds_ms(period.first_day, period.last_day) for period in periods]
        assert table[f"{mode}_key"].to_list() == [period.key for period in periods]
        assert table[f"{mode}_start"].to_physical().to_list() == [start_ms for start_ms, _ in bounds]
        assert table[f"{mode}_end"].to_physical().to_list() == [end_ms for _, end_ms in bounds]


def test_days_at_the_edges_of_the_calendar_are_in_whole_weeks() -> None:
    calendar = JalaliCalendar()
    table = period_table(calendar, TEHRAN, np.array([calendar.first_day, calendar.last_day]))
    assert table["weekly_key"].to_list() == ["1200/W01", "1502/W01"]
    assert (table["weekly_end"] - table["weekly_start"]).dt.total_days().to_list() == [7, 7]


def test_a_day_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the jalali calendar"):
        period_table(JalaliCalendar(), TEHRAN, np.array([0, JalaliCalendar.last_day + 1]))
