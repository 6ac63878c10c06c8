"""The Gregorian calendar against the standard library's dates and ISO weeks."""

from __future__ import annotations

from calendar import monthrange

from hypothesis import given
from hypothesis import strategies as st

from core.calendar import GregorianCalendar, Mode
from core.calendar.solar import gregorian_date

CALENDAR = GregorianCalendar()
named_days = st.integers(CALENDAR.first_day, CALENDAR.last_day)


@given(named_days)
def test_a_day_has_its_iso_date(day: int) -> None:
    assert CALENDAR.period_of(Mode.DAILY, day).key == gregorian_date(day).isoformat()


@given(named_days)
def test_a_day_is_in_its_iso_week(day: int) -> None:
    year, week, weekday = gregorian_date(day).isocalendar()
    period = CALENDAR.period_of(Mode.WEEKLY, day)
    assert period.key == f"{year}-W{week:02}"
    assert period.first_day == day - weekday + 1


@given(named_days)
def test_a_day_is_in_its_month(day: int) -> None:
    gregorian = gregorian_date(day)
    period = CALENDAR.period_of(Mode.MONTHLY, day)
    assert period.key == gregorian.isoformat()[:7]
    assert period.first_day == day - gregorian.day + 1
    assert period.last_day == period.first_day + monthrange(gregorian.year, gregorian.month)[1] - 1


def test_the_documented_example_is_correct() -> None:
    day = CALENDAR.parse(Mode.DAILY, "2024-06-24").first_day
    assert CALENDAR.period_of(Mode.WEEKLY, day).key == "2024-W26"
    assert CALENDAR.period_of(Mode.MONTHLY, day).key == "2024-06"
