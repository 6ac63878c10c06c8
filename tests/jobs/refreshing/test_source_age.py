"""The bookmark: the instant up to which the publication is complete, after a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from core.calendar import JalaliCalendar
from core.calendar.days import LocalDays
from jobs.runs.source_age import Reading, as_of_ms, complete_until_after

CALENDAR = JalaliCalendar()
TEHRAN = LocalDays("Asia/Tehran")
LIVE, FILE = ("mongodb://here/shop",), ("shop.bson",)
DAY = 19_800
"""A day in the middle; nothing changes the clocks around it."""


def noon_of(day: int) -> int:
    return TEHRAN.start_ms(day) + 43_200_000


def after(
    known_ms: int | None,
    first: int = CALENDAR.first_day,
    last: int | None = None,
    *,
    as_of: int,
    sources: Sequence[str] = FILE,
    days: Sequence[int] = (DAY - 30, DAY),
) -> int | None:
    reading = Reading(sources, as_of, first, last, pl.DataFrame({"day": list(days)}, schema={"day": pl.Int64}))
    return complete_until_after(known_ms, reading, CALENDAR, TEHRAN)


@pytest.mark.parametrize("known_ms", [None, noon_of(DAY - 9), noon_of(DAY + 9)])
def test_a_live_collection_is_complete_until_its_read_time(known_ms: int | None) -> None:
    assert after(known_ms, as_of=noon_of(DAY + 3), sources=LIVE) == noon_of(DAY + 3)


@pytest.mark.parametrize("known_ms", [None, noon_of(DAY - 9), noon_of(DAY + 9)])
def test_an_export_is_complete_until_its_last_day(known_ms: int | None) -> None:
    assert after(known_ms, as_of=noon_of(DAY + 3)) == TEHRAN.start_ms(DAY)
    assert after(known_ms, as_of=TEHRAN.start_ms(DAY)) == TEHRAN.start_ms(DAY)
    assert after(known_ms, as_of=noon_of(DAY - 1)) == TEHRAN.start_ms(DAY - 30)


def test_future_transactions_do_not_make_an_export_newer() -> None:
    assert after(None, as_of=noon_of(DAY + 3), days=(DAY - 20, DAY + 2000)) == TEHRAN.start_ms(DAY - 20)


def test_an_empty_export_gives_no_bookmark() -> None:
    assert after(noon_of(DAY), as_of=noon_of(DAY + 3), days=()) is None


@pytest.mark.parametrize(
    ("first", "last", "as_of", "expected"),
    [
        (DAY - 9, DAY - 5, noon_of(DAY + 3), noon_of(DAY)),  # days that had ended when they were read
        (DAY - 9, DAY - 5, noon_of(DAY - 7), noon_of(DAY - 7)),  # of which the last ones were not there yet
        (DAY - 9, DAY - 5, noon_of(DAY - 20), TEHRAN.start_ms(DAY - 9)),  # of which none was
        (DAY + 2, DAY + 3, noon_of(DAY + 1), noon_of(DAY)),
        (DAY + 2, DAY + 3, noon_of(DAY + 9), noon_of(DAY)),  # a gap stays one
    ],
)
def test_replacing_some_days_never_moves_the_bookmark_forward(first: int, last: int, as_of: int, expected: int) -> None:
    assert after(noon_of(DAY), first, last, as_of=as_of) == expected
    assert after(noon_of(DAY), first, last, as_of=as_of, sources=LIVE) == expected


def test_replacing_days_up_to_the_end_moves_the_bookmark_to_their_source() -> None:
    older = noon_of(DAY - 4)
    assert after(noon_of(DAY), DAY - 9, as_of=older, sources=LIVE) == older
    assert after(noon_of(DAY), DAY - 9, as_of=noon_of(DAY - 2), days=(DAY - 8, DAY - 4)) == TEHRAN.start_ms(DAY - 4)
    assert after(noon_of(DAY), DAY - 9, as_of=noon_of(DAY - 30), days=()) == TEHRAN.start_ms(DAY - 9)
    newer = noon_of(DAY + 4)
    assert after(noon_of(DAY), DAY - 9, as_of=newer, sources=LIVE) == newer
    assert after(noon_of(DAY), DAY + 2, as_of=newer, sources=LIVE) == noon_of(DAY)  # a gap stays one


def test_without_a_bookmark_replacing_some_days_gives_none() -> None:
    assert after(None, DAY - 9, as_of=noon_of(DAY), sources=LIVE) is None
    assert after(None, DAY - 9, DAY, as_of=noon_of(DAY + 3), sources=LIVE) is None


def test_the_oldest_of_several_sources_gives_the_bookmark(tmp_path: Path) -> None:
    for name, second in (("a.bson", 100), ("b.bson", 200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (second, second))
    files = [str(tmp_path / name) for name in ("a.bson", "b.bson")]
    assert as_of_ms(files, None, 1_000_000) == 100_000
    assert as_of_ms(files[1:], None, 1_000_000) == 200_000
    assert as_of_ms(files, None, 50_000) == 50_000, "a date of the future"
    assert as_of_ms([*LIVE, files[1]], None, 1_000_000) == 200_000
    assert as_of_ms(LIVE, None, 1_000_000) == 1_000_000
    assert as_of_ms([*files, "-"], None, 1_000_000) is None
    assert as_of_ms(["no such file"], None, 1_000_000) is None
