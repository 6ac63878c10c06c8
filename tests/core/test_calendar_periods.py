"""The periods of a range of days, compared with the period of each day."""

from __future__ import annotations

from datetime import date
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calendar import Calendar, GregorianCalendar, JalaliCalendar, Mode
from core.calendar.solar import day_number

JALALI, GREGORIAN = JalaliCalendar(), GregorianCalendar()
every_calendar = pytest.mark.parametrize("calendar", [JALALI, GREGORIAN], ids=lambda calendar: calendar.name)
every_mode = pytest.mark.parametrize("mode", Mode)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Calendar, int, int]:
    calendar = draw(st.sampled_from([JALALI, GREGORIAN]))
    first_day = draw(st.integers(calendar.first_day, calendar.last_day))
    return calendar, first_day, min(first_day + draw(st.integers(0, 500)), calendar.last_day)


@given(ranges(), st.sampled_from(Mode))
def test_the_periods_of_a_range_contain_its_days(calendar_and_range: tuple[Calendar, int, int], mode: Mode) -> None:
    calendar, first_day, last_day = calendar_and_range
    of_days = [calendar.period_of(mode, day) for day in range(first_day, last_day + 1)]
    assert calendar.periods(mode, first_day, last_day) == [period for period, _ in groupby(of_days)]


@every_calendar
@every_mode
def test_every_period_of_the_calendar_round_trips_through_its_key(calendar: Calendar, mode: Mode) -> None:
    periods = calendar.periods(mode, calendar.first_day, calendar.last_day)
    sample = periods[:40] + periods[40:-40:97] + periods[-40:]
    assert [calendar.parse(mode, period.key) for period in sample] == sample
    assert periods[0] == calendar.period_of(mode, calendar.first_day)
    assert periods[-1] == calendar.period_of(mode, calendar.last_day)


@every_calendar
@every_mode
def test_a_range_that_ends_before_it_begins_holds_no_period(calendar: Calendar, mode: Mode) -> None:
    assert calendar.periods(mode, 19_901, 19_900) == []


@every_calendar
@every_mode
def test_a_range_beyond_the_calendar_is_refused(calendar: Calendar, mode: Mode) -> None:
    for first_day, last_day in ((calendar.first_day - 1, 0), (0, calendar.last_day + 1)):
        with pytest.raises(ValueError, match=f"outside the {calendar.name} calendar"):
            calendar.periods(mode, first_day, last_day)


def test_the_jalali_year_1403_has_its_days_weeks_and_months() -> None:
    first_day, last_day = day_number(date(2024, 3, 20)), day_number(date(2025, 3, 20))
    for mode, length, first_key, last_key in (
        (Mode.DAILY, 366, "1403/01/01", "1403/12/30"),
        (Mode.WEEKLY, 53, "1403/W01", "1404/W01"),
        (Mode.MONTHLY, 12, "1403/01", "1403/12"),
    ):
        periods = JALALI.periods(mode, first_day, last_day)
        assert (len(periods), periods[0].key, periods[-1].key) == (length, first_key, last_key)
