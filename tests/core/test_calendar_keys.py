"""The keys and periods of every calendar."""

from __future__ import annotations

import doctest
import importlib
import random
from itertools import pairwise

import pytest
from effort import THOROUGH
from hypothesis import given
from hypothesis import strategies as st

from core.calendar import Calendar, GregorianCalendar, JalaliCalendar, Mode, calendar_named

JALALI, GREGORIAN = JalaliCalendar(), GregorianCalendar()
calendars = st.sampled_from([JALALI, GREGORIAN])
modes = st.sampled_from(Mode)
EXAMPLES = {
    ("jalali", Mode.DAILY): "1403/04/04",
    ("jalali", Mode.WEEKLY): "1403/W15",
    ("jalali", Mode.MONTHLY): "1403/04",
    ("gregorian", Mode.DAILY): "2024-06-24",
    ("gregorian", Mode.WEEKLY): "2024-W26",
    ("gregorian", Mode.MONTHLY): "2024-06",
}
every_calendar = pytest.mark.parametrize("calendar", [JALALI, GREGORIAN], ids=lambda calendar: calendar.name)
every_mode = pytest.mark.parametrize("mode", Mode)


@st.composite
def named_days(draw: st.DrawFn) -> tuple[Calendar, int]:
    calendar = draw(calendars)
    return calendar, draw(st.integers(calendar.first_day, calendar.last_day))


@given(named_days(), modes)
def test_a_key_is_parsed_to_its_period(calendar_and_day: tuple[Calendar, int], mode: Mode) -> None:
    calendar, day = calendar_and_day
    period = calendar.period_of(mode, day)
    assert period.first_day <= day <= period.last_day
    assert calendar.parse(mode, period.key) == period


@given(named_days(), modes, st.sampled_from(["۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩"]))
def test_persian_and_arabic_digits_give_the_same_period(
    calendar_and_day: tuple[Calendar, int], mode: Mode, digits: str
) -> None:
    calendar, day = calendar_and_day
    period = calendar.period_of(mode, day)
    assert calendar.parse(mode, period.key.translate(str.maketrans("0123456789", digits))) == period


@every_calendar
@every_mode
def test_periods_have_no_gaps_and_keys_sort_chronologically(calendar: Calendar, mode: Mode) -> None:
    """Of the whole calendar, or of some eleven years at its beginning, at its end, and in between by chance."""
    first, last = calendar.first_day, calendar.last_day
    if THOROUGH:
        spans = [(first, last)]
    else:
        between = random.randint(first, last - 4000)
        spans = [(first, first + 4000), (between, between + 4000), (last - 4000, last)]
    of_all = []
    for day, end_day in spans:
        periods = []
        while day <= end_day:
            periods.append(calendar.period_of(mode, day))
            day = periods[-1].last_day + 1
        for earlier, later in pairwise(periods):
            assert later.first_day == earlier.last_day + 1
            assert earlier.key < later.key
        of_all += periods
    assert of_all[0].first_day <= first
    assert of_all[-1].last_day >= last


@given(named_days())
def test_weeks_are_seven_days_and_begin_on_the_same_weekday(calendar_and_day: tuple[Calendar, int]) -> None:
    calendar, day = calendar_and_day
    week, first_week = calendar.period_of(Mode.WEEKLY, day), calendar.period_of(Mode.WEEKLY, calendar.first_day)
    assert week.last_day - week.first_day == 6
    assert (week.first_day - first_week.first_day) % 7 == 0


@given(named_days(), modes)
def test_every_day_of_a_period_maps_to_it(calendar_and_day: tuple[Calendar, int], mode: Mode) -> None:
    calendar, day = calendar_and_day
    period = calendar.period_of(mode, day)
    within = range(max(period.first_day, calendar.first_day), min(period.last_day, calendar.last_day) + 1)
    assert all(calendar.period_of(mode, other) == period for other in within)


@every_calendar
@every_mode
def test_keys_at_the_ends_of_the_calendar_are_valid_and_none_beyond(calendar: Calendar, mode: Mode) -> None:
    for day, beyond in ((calendar.first_day, calendar.first_day - 1), (calendar.last_day, calendar.last_day + 1)):
        period = calendar.period_of(mode, day)
        assert calendar.parse(mode, period.key) == period
        with pytest.raises(ValueError, match=f"outside the {calendar.name} calendar"):
            calendar.period_of(mode, beyond)


@pytest.mark.parametrize(
    ("calendar", "mode", "key"),
    [
        pytest.param(calendar, mode, key, id=f"{calendar.name}-{mode}-{key}")
        for calendar, mode, keys in (
            (JALALI, Mode.DAILY, ("1403/4/4", "1403-04-04", "1403/12/31", "1404/12/30", "1403/07/31", "1403/13/01")),
            (JALALI, Mode.DAILY, ("1403/00/01", "1403/01/00", "0000/01/01", "9999/01/01", "1403/04", "1403/W15")),
            (JALALI, Mode.DAILY, ("1403/04/04 ", " 1403/04/04", "1403/04/04\n", "14030/04/04", "-403/04/04", "")),
            (JALALI, Mode.DAILY, ("1199/12/29", "1502/01/01", "१४०३/०४/०४", "1403/04/04/", "۱۴۰۳/۴/۴")),
            (JALALI, Mode.WEEKLY, ("1403/W00", "1403/W53", "1403/W54", "1403/W99", "1403/w15", "1403/W1", "1403/W001")),
            (JALALI, Mode.WEEKLY, ("1403W15", "1403-W15", "1403/15", "1199/W52", "1502/W02", "0000/W01", "9999/W01")),
            (JALALI, Mode.MONTHLY, ("1403/4", "1403/00", "1403/13", "1403-04", "140304", "1199/12", "1502/01")),
            (GREGORIAN, Mode.DAILY, ("2024-6-24", "2023-02-29", "2024/06/24", "20240624", "1799-12-31", "2300-01-01")),
            (GREGORIAN, Mode.WEEKLY, ("2024-W53", "2020-W54", "2024-W00", "2024-W6", "2024-W26-1", "2300-W01")),
            (GREGORIAN, Mode.MONTHLY, ("2024-6", "2024-13", "2024-00", "2024/06", "1799-12", "2300-01")),
        )
        for key in keys
    ],
)
def test_an_invalid_key_is_refused_with_an_example(calendar: Calendar, mode: Mode, key: str) -> None:
    shape = f"not a {mode} key of the {calendar.name} calendar; one looks like {EXAMPLES[calendar.name, mode]} "
    with pytest.raises(ValueError, match=shape):
        calendar.parse(mode, key)


@given(calendars, modes, st.text(alphabet="0123456789/-W ۱٣", max_size=12))
def test_random_text_is_refused_or_parsed_to_the_same_key(calendar: Calendar, mode: Mode, text: str) -> None:
    try:
        period = calendar.parse(mode, text)
    except ValueError:
        return
    assert period.key == text.translate(str.maketrans("۱٣", "13"))


def test_a_long_text_is_quoted_in_part() -> None:
    with pytest.raises(ValueError, match="not a daily key") as refusal:
        JALALI.parse(Mode.DAILY, "9" * 1_000_000)
    assert len(str(refusal.value)) < 200


def test_week_53_is_valid_only_in_a_year_that_has_it() -> None:
    assert GREGORIAN.parse(Mode.WEEKLY, "2020-W53").last_day + 1 == GREGORIAN.parse(Mode.WEEKLY, "2021-W01").first_day
    assert JALALI.parse(Mode.WEEKLY, "1402/W52").last_day + 1 == JALALI.parse(Mode.WEEKLY, "1403/W01").first_day


def test_a_calendar_is_found_by_its_name() -> None:
    assert isinstance(calendar_named("jalali"), JalaliCalendar)
    assert isinstance(calendar_named("gregorian"), GregorianCalendar)
    with pytest.raises(ValueError, match="'julian'; use jalali or gregorian"):
        calendar_named("julian")


@pytest.mark.parametrize(
    "name",
    [
        "core.calendar",
        "core.calendar.jalali",
        "core.calendar.gregorian",
        "core.calendar.days",
        "core.calendar.digits",
    ],
)
def test_the_docstring_examples_are_correct(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0
