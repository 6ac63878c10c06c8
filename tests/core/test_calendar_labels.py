"""The labels of periods in each calendar, compared with the names of ICU."""

from __future__ import annotations

import csv
import gzip
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calendar import Calendar, GregorianCalendar, JalaliCalendar, Mode, Period, calendar_named
from core.calendar.digits import ascii_digits, persian_digits
from core.calendar.periods import Locale
from core.calendar.solar import day_number

GOLDEN = Path(__file__).parents[1] / "data" / "calendar" / "labels.csv.gz"
JALALI, GREGORIAN = JalaliCalendar(), GregorianCalendar()
LOCALES: tuple[Locale, ...] = get_args(Locale)


def test_day_and_month_names_are_those_of_icu() -> None:
    with gzip.open(GOLDEN, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {(row["calendar"], row["locale"]) for row in rows} == {
        (calendar.name, locale) for calendar in (JALALI, GREGORIAN) for locale in LOCALES
    }
    for row in rows:
        calendar, day = calendar_named(row["calendar"]), day_number(date.fromisoformat(row["gregorian"]))
        locale: Locale = "fa" if row["locale"] == "fa" else "en"
        for mode, expected in ((Mode.DAILY, row["daily"]), (Mode.MONTHLY, row["monthly"])):
            assert calendar.label(calendar.period_of(mode, day), locale) == expected


@pytest.mark.parametrize(
    ("calendar", "mode", "key", "persian", "english"),
    [
        (JALALI, Mode.DAILY, "1403/04/04", "۴ تیر ۱۴۰۳", "4 Tir 1403"),
        (JALALI, Mode.WEEKLY, "1403/W15", "۱۴۰۳ هفته ۱۵", "1403 week 15"),
        (JALALI, Mode.WEEKLY, "1403/W01", "۱۴۰۳ هفته ۱", "1403 week 1"),
        (JALALI, Mode.MONTHLY, "1403/04", "تیر ۱۴۰۳", "Tir 1403"),
        (GREGORIAN, Mode.DAILY, "2024-06-24", "۲۴ ژوئن ۲۰۲۴", "24 June 2024"),
        (GREGORIAN, Mode.WEEKLY, "2024-W26", "۲۰۲۴ هفته ۲۶", "2024 week 26"),
        (GREGORIAN, Mode.MONTHLY, "2024-06", "ژوئن ۲۰۲۴", "June 2024"),
    ],
)
def test_the_documented_label_examples_are_correct(
    calendar: Calendar, mode: Mode, key: str, persian: str, english: str
) -> None:
    period = calendar.parse(mode, key)
    assert calendar.label(period, "fa") == persian
    assert calendar.label(period, "en") == english


@pytest.mark.parametrize("calendar", [JALALI, GREGORIAN], ids=lambda calendar: calendar.name)
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("mode", Mode)
def test_no_two_periods_of_a_mode_have_the_same_label(calendar: Calendar, mode: Mode, locale: Locale) -> None:
    day = day_number(date(2024, 3, 20))
    periods = calendar.periods(mode, day - 4000, day + 4000)
    labels = {calendar.label(period, locale) for period in periods}
    assert len(labels) == len(periods)


@pytest.mark.parametrize("mode", Mode)
def test_a_period_of_another_calendar_has_no_label(mode: Mode) -> None:
    other = JALALI.period_of(mode, 19_900)
    with pytest.raises(ValueError, match=f"'{other.key}' is not a {mode} key of the gregorian calendar"):
        GREGORIAN.label(other, "fa")


@given(st.integers(JALALI.first_day, JALALI.last_day), st.sampled_from(Mode))
def test_a_persian_label_has_the_numbers_of_the_english_one(day: int, mode: Mode) -> None:
    period: Period = JALALI.period_of(mode, day)
    numbers = [[int(word) for word in JALALI.label(period, locale).split() if word.isdigit()] for locale in LOCALES]
    assert numbers[0] == numbers[1]
    assert not any(character in "0123456789" for character in JALALI.label(period, "fa"))


@given(st.text(alphabet="0123456789 ab/۱٢"))
def test_persian_digits_convert_back_to_ascii(text: str) -> None:
    assert ascii_digits(persian_digits(text)) == ascii_digits(text)
    assert persian_digits(text).isascii() == (not any(character.isdigit() for character in text))
