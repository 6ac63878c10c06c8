"""Local days against ICU's table and against zoneinfo."""

from __future__ import annotations

import csv
import gzip
import pickle
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.calendar import Calendar, GregorianCalendar, JalaliCalendar
from core.calendar.days import DAY_MS, LocalDays
from core.calendar.solar import day_number

GOLDEN = Path(__file__).parents[1] / "data" / "calendar" / "local_dates.csv.gz"
HOUR_MS = 3_600_000

ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Juneau",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Manila",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "UTC",
]
zones = st.sampled_from(ZONES)
instants_ms = st.integers(
    int(datetime(1800, 1, 1, tzinfo=UTC).timestamp()) * 1000, int(datetime(2300, 1, 1, tzinfo=UTC).timestamp()) * 1000
)
recent_days = st.integers(day_number(date(1840, 1, 1)), day_number(date(2100, 1, 1)))


def ms_of(*fields: int) -> int:
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc, arg-type]


def day_by_zoneinfo(zone: str, instant_ms: int) -> int:
    return day_number(datetime.fromtimestamp(instant_ms // 1000, ZoneInfo(zone)).date())


def days_around(zone: str, instant_ms: int) -> list[tuple[int, int]]:
    """The three changes of the local date before `instant_ms` and the three from it on."""
    table = LocalDays(zone).table(instant_ms, instant_ms)
    row = int(np.searchsorted(table.starts_ms, instant_ms))
    return list(zip(table.starts_ms[row - 3 : row + 3].tolist(), table.days[row - 3 : row + 3].tolist(), strict=True))


def test_instants_near_every_dst_change_have_the_local_date_of_icu() -> None:
    instants: dict[str, list[int]] = defaultdict(list)
    expected: dict[str, list[int]] = defaultdict(list)
    with gzip.open(GOLDEN, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            instants[row["zone"]].append(int(row["instant_ms"]))
            expected[row["zone"]].append(day_number(date.fromisoformat(row["local_date"])))
    assert len(instants) == 6
    for zone, of_zone in instants.items():
        table = LocalDays(zone).table(of_zone[0], of_zone[-1])
        assert table.days_of(np.array(of_zone)).tolist() == expected[zone], zone


@settings(deadline=None)
@given(zones, instants_ms)
@example("America/Juneau", ms_of(1867, 10, 18, 20))
@example("America/St_Johns", ms_of(2010, 11, 7, 2, 31))
@example("Asia/Manila", ms_of(1844, 12, 31, 12))
def test_the_day_of_an_instant_is_its_date_by_zoneinfo(zone: str, instant_ms: int) -> None:
    around = instant_ms + np.arange(-72, 73) * HOUR_MS // 2
    table = LocalDays(zone).table(int(around[0]), int(around[-1]))
    assert table.days_of(around).tolist() == [day_by_zoneinfo(zone, instant) for instant in around.tolist()]


@settings(deadline=None)
@given(zones, instants_ms)
@example("America/Juneau", ms_of(1867, 10, 18, 20))
def test_a_table_is_of_whole_days_and_changes_day_at_every_row(zone: str, instant_ms: int) -> None:
    table = LocalDays(zone).table(instant_ms, instant_ms)
    assert table.covers(instant_ms - 399 * DAY_MS, instant_ms + 399 * DAY_MS)
    assert table.starts_ms.dtype == table.days.dtype == np.int64
    assert (np.diff(table.starts_ms) > 0).all()
    assert (np.diff(table.days) != 0).all()
    assert table.end_ms > table.starts_ms[-1]
    first_ms, first_day = int(table.starts_ms[0]), int(table.days[0])
    assert max(day_by_zoneinfo(zone, first_ms - 1 - hours * HOUR_MS) for hours in range(72)) < first_day
    assert day_by_zoneinfo(zone, table.end_ms - 1) == table.days[-1] != day_by_zoneinfo(zone, table.end_ms)


@pytest.mark.parametrize("into_the_repeated_days", range(-60, 150, 6))
def test_a_table_never_begins_with_a_repeated_day(into_the_repeated_days: int) -> None:
    friday_again_ms = -3_225_223_727_000
    wanted_ms = friday_again_ms + into_the_repeated_days * HOUR_MS + 400 * DAY_MS
    table = LocalDays("America/Juneau").table(wanted_ms, wanted_ms)
    first_ms = int(table.starts_ms[0])
    assert max(day_by_zoneinfo("America/Juneau", first_ms - 1 - h * HOUR_MS) for h in range(72)) < table.days[0]


@settings(deadline=None)
@given(zones, recent_days)
@example("America/Juneau", day_number(date(1867, 10, 18)))
@example("America/St_Johns", day_number(date(2010, 11, 6)))
@example("America/St_Johns", day_number(date(2010, 11, 7)))
@example("Pacific/Apia", day_number(date(2011, 12, 30)))
def test_a_day_starts_at_the_first_instant_that_has_its_date_or_a_later_one(zone: str, day: int) -> None:
    start_ms = LocalDays(zone).start_ms(day)
    assert day_by_zoneinfo(zone, start_ms) >= day
    assert max(day_by_zoneinfo(zone, start_ms - 1 - hours * HOUR_MS) for hours in range(72)) < day


@settings(deadline=None)
@given(zones, st.lists(st.integers(14_000, 20_000), max_size=4))
def test_the_starts_of_many_days_equal_those_of_single_days(zone: str, days: list[int]) -> None:
    local_days = LocalDays(zone)
    assert local_days.starts_ms(np.array(days, dtype=np.int64)).tolist() == [local_days.start_ms(day) for day in days]


@pytest.mark.parametrize("span", range(1, 40))
def test_a_repeated_day_starts_at_its_first_occurrence(span: int) -> None:
    saturday, sunday = day_number(date(2010, 11, 6)), day_number(date(2010, 11, 7))
    starts_ms = LocalDays("America/St_Johns").starts_ms(np.array([saturday - span, saturday, sunday, sunday + span]))
    assert starts_ms[1:3].tolist() == [ms_of(2010, 11, 6, 2, 30), ms_of(2010, 11, 7, 2, 30)]


def test_a_repeated_day_has_a_row_per_occurrence() -> None:
    one_past_midnight_ms = ms_of(2010, 11, 7, 2, 31)
    saturday, sunday = day_number(date(2010, 11, 6)), day_number(date(2010, 11, 7))
    assert days_around("America/St_Johns", one_past_midnight_ms) == [
        (ms_of(2010, 11, 5, 2, 30), saturday - 1),
        (ms_of(2010, 11, 6, 2, 30), saturday),
        (ms_of(2010, 11, 7, 2, 30), sunday),
        (ms_of(2010, 11, 7, 2, 31), saturday),
        (ms_of(2010, 11, 7, 3, 30), sunday),
        (ms_of(2010, 11, 8, 3, 30), sunday + 1),
    ]


def test_a_skipped_day_has_no_row_and_starts_with_the_next() -> None:
    skipped = day_number(date(2011, 12, 30))
    assert skipped not in LocalDays("Pacific/Apia").table(ms_of(2011, 12, 30), ms_of(2011, 12, 31)).days
    assert LocalDays("Pacific/Apia").period_bounds_ms(skipped - 1, skipped) == (
        ms_of(2011, 12, 29, 10),
        ms_of(2011, 12, 30, 10),
    )


def test_a_day_without_a_midnight_starts_at_one_and_lasts_23_hours() -> None:
    nowruz = day_number(date(2022, 3, 22))
    start_ms, end_ms = LocalDays("Asia/Tehran").period_bounds_ms(nowruz, nowruz)
    assert start_ms == ms_of(2022, 3, 21, 20, 30)
    assert end_ms - start_ms == 23 * HOUR_MS


def test_a_day_whose_last_hour_is_repeated_lasts_25_hours() -> None:
    mehr = day_number(date(2022, 9, 21))
    start_ms, end_ms = LocalDays("Asia/Tehran").period_bounds_ms(mehr, mehr)
    assert end_ms - start_ms == 25 * HOUR_MS


def test_days_in_local_mean_time_begin_to_the_second() -> None:
    day = day_number(date(1900, 5, 1))
    assert LocalDays("Asia/Tehran").start_ms(day) == day * DAY_MS - (3 * 3600 + 25 * 60 + 44) * 1000


@pytest.mark.parametrize("calendar", [JalaliCalendar(), GregorianCalendar()], ids=lambda calendar: calendar.name)
@pytest.mark.parametrize("zone", ZONES)
def test_the_named_range_holds_exactly_the_instants_whose_day_has_a_name(zone: str, calendar: Calendar) -> None:
    first_ms, end_ms = LocalDays(zone).named_range_ms(calendar)
    assert day_by_zoneinfo(zone, first_ms - 1) == calendar.first_day - 1
    assert day_by_zoneinfo(zone, first_ms) == calendar.first_day
    assert day_by_zoneinfo(zone, end_ms - 1) == calendar.last_day
    assert day_by_zoneinfo(zone, end_ms) == calendar.last_day + 1


def test_an_instant_outside_a_table_is_refused() -> None:
    table = LocalDays("UTC").table(0, 0)
    first_ms = int(table.starts_ms[0])
    assert table.covers(first_ms, table.end_ms - 1)
    assert table.days_of(np.array([first_ms, table.end_ms - 1])).tolist() == [table.days[0], table.days[-1]]
    for outside in (first_ms - 1, table.end_ms):
        assert not table.covers(min(0, outside), max(0, outside))
        with pytest.raises(ValueError, match="outside the table"):
            table.days_of(np.array([0, outside]))


def test_an_empty_array_of_instants_has_no_days() -> None:
    assert LocalDays("UTC").table(0, 0).days_of(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize(("first_ms", "last_ms"), [(1, 0), (-(2**62), 0), (0, 2**62)])
def test_a_table_of_an_empty_interval_is_refused(first_ms: int, last_ms: int) -> None:
    with pytest.raises(ValueError, match="not in order or not in the years 5 to 9994"):
        LocalDays("UTC").table(first_ms, last_ms)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        LocalDays("Asia/Teheran")


def test_a_table_of_days_can_be_pickled() -> None:
    sent = pickle.loads(pickle.dumps(LocalDays("Asia/Tehran")))
    assert sent.start_ms(0) == LocalDays("Asia/Tehran").start_ms(0)
    assert repr(sent) == "LocalDays('Asia/Tehran')"
