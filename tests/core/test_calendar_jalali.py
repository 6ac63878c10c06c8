"""The Jalali calendar against ICU's tables, and the rules that the design states."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from core.calendar import JalaliCalendar, Mode
from core.calendar.solar import day_number

GOLDEN = Path(__file__).parents[1] / "data" / "calendar"
CALENDAR = JalaliCalendar()


def golden_rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(GOLDEN / name, "rt", newline="") as lines:
        yield from csv.DictReader(lines)


def test_every_day_of_1380_to_1420_has_the_date_of_icu() -> None:
    rows = list(golden_rows("jalali_days.csv.gz"))
    expected = [f"{row['year']}/{int(row['month']):02}/{int(row['day']):02}" for row in rows]
    days = [day_number(date.fromisoformat(row["gregorian"])) for row in rows]
    assert [CALENDAR.period_of(Mode.DAILY, day).key for day in days] == expected
    assert [CALENDAR.parse(Mode.DAILY, key).first_day for key in expected] == days


def test_every_day_of_1380_to_1420_has_the_week_of_icu() -> None:
    rows = list(golden_rows("jalali_days.csv.gz"))
    expected = [f"{row['week_year']}/W{int(row['week']):02}" for row in rows]
    days = [day_number(date.fromisoformat(row["gregorian"])) for row in rows]
    assert [CALENDAR.period_of(Mode.WEEKLY, day).key for day in days] == expected


def test_every_year_has_the_first_week_and_length_of_icu() -> None:
    rows = list(golden_rows("jalali_years.csv.gz"))
    assert [int(row["year"]) for row in rows] == list(range(1200, 1502))
    for row in rows:
        first = day_number(date.fromisoformat(row["gregorian"]))
        last = first + int(row["length"]) - 1
        assert CALENDAR.period_of(Mode.DAILY, first).key == f"{row['year']}/01/01"
        assert CALENDAR.period_of(Mode.DAILY, last).key == f"{row['year']}/12/{int(row['length']) - 336}"
        assert CALENDAR.period_of(Mode.WEEKLY, first).key == f"{row['week_year']}/W{int(row['week']):02}"


def test_the_range_of_years_is_where_all_references_agree() -> None:
    rows = list(golden_rows("jalali_years.csv.gz"))
    first = date.fromisoformat(rows[0]["gregorian"])
    after_last = date.fromisoformat(rows[-1]["gregorian"]) + timedelta(days=int(rows[-1]["length"]))
    assert CALENDAR.first_day == day_number(first)
    assert CALENDAR.last_day == day_number(after_last) - 1


@pytest.mark.parametrize(
    ("key", "saturday", "friday"),
    [("1403/W01", date(2024, 3, 16), date(2024, 3, 22)), ("1401/W01", date(2022, 3, 19), date(2022, 3, 25))],
)
def test_the_week_of_nowruz_has_the_year_of_its_friday(key: str, saturday: date, friday: date) -> None:
    week = CALENDAR.parse(Mode.WEEKLY, key)
    assert (week.first_day, week.last_day) == (day_number(saturday), day_number(friday))
    assert {CALENDAR.period_of(Mode.WEEKLY, day) for day in range(week.first_day, week.last_day + 1)} == {week}


@pytest.mark.parametrize(("year", "length"), [(1399, 30), (1402, 29), (1403, 30), (1404, 29)])
def test_esfand_has_thirty_days_in_a_leap_year_only(year: int, length: int) -> None:
    esfand = CALENDAR.parse(Mode.MONTHLY, f"{year}/12")
    assert esfand.last_day - esfand.first_day + 1 == length


def test_the_gregorian_calendar_does_not_import_jdatetime() -> None:
    program = (
        "import sys; from core.calendar import calendar_named, Mode; "
        "calendar_named('gregorian').period_of(Mode.WEEKLY, 0); sys.exit('jdatetime' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_keys_are_made_also_if_python_does_not_know_the_locale() -> None:
    program = (
        "from core.calendar import JalaliCalendar, Mode; calendar = JalaliCalendar(); "
        "print(calendar.parse(Mode.DAILY, calendar.period_of(Mode.DAILY, 0).key).first_day)"
    )
    env = os.environ | {"LC_ALL": "xx_YY"}
    assert subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True).stdout == b"0\n"
