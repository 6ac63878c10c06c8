"""Completeness of published days, after runs that replace and keep days, and in stores of earlier versions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from examples import NOW_MS, publication, run, uniform
from hypothesis import given
from hypothesis import strategies as st

from core.calendar import JalaliCalendar, Mode
from core.stores import open_stores
from core.stores.complete_days import CompleteDays
from core.stores.runs import RunStatus
from core.stores.summaries import DayRange

CALENDAR = JalaliCalendar()
ROWS = uniform(1, merchants=1, days=1)
KNOWN = (DayRange("1403/01/01", "1403/03/31"), DayRange("1403/04/02", "1403/04/03"))
LATER = (DayRange("1403/01/01", "1403/04/04"),)

DAYS = st.integers(0, 40)
RANGES = st.lists(st.tuples(DAYS, DAYS), max_size=4)


def day(key: str) -> int:
    return CALENDAR.parse(Mode.DAILY, key).first_day


@given(before=RANGES, replaced=RANGES, open_day=st.none() | DAYS, stored=st.sets(DAYS), first=DAYS, last=DAYS)
def test_the_last_run_that_replaced_a_day_decides_its_completeness(
    before: list[tuple[int, int]],
    replaced: list[tuple[int, int]],
    open_day: int | None,
    stored: set[int],
    first: int,
    last: int,
) -> None:
    def within(ranges: list[tuple[int, int]], day: int) -> bool:
        return any(first <= day <= last for first, last in ranges)

    expected = {
        day
        for day in range(41)
        if (
            open_day is not None and day < open_day
            if within(replaced, day) and day not in stored
            else within(before, day)
        )
    }

    known = CompleteDays().after_reading(before, 99).after_reading(replaced, open_day, stored)

    assert {day for day in range(41) if known.include(day, day)} == expected
    assert known.include(first, last) == (set(range(first, last + 1)) <= expected) or first > last
    assert all(one[1] + 1 < other[0] for one, other in zip(known.ranges, known.ranges[1:], strict=False))


def test_completeness_is_read_back_as_written() -> None:
    known = CompleteDays.of(replace(publication(1, ROWS), complete_days=KNOWN), None)

    assert known.ranges == ((day("1403/01/01"), day("1403/03/31")), (day("1403/04/02"), day("1403/04/03")))
    assert known.keys(CALENDAR) == KNOWN


def test_days_before_the_bookmark_of_an_earlier_version_are_complete() -> None:
    tehran_midnight_ms = NOW_MS - NOW_MS % 86_400_000 - 12_600_000  # of 1403/04/04, 20:30 UTC of the day before

    published = replace(publication(1, ROWS), complete_until_ms=tehran_midnight_ms)

    assert CompleteDays.of(published, None).keys(CALENDAR) == (DayRange("1403/01/02", "1403/04/03"),)
    earlier = replace(published, complete_until_ms=tehran_midnight_ms - 1)
    assert CompleteDays.of(earlier, None).keys(CALENDAR) == (DayRange("1403/01/02", "1403/04/02"),)


def test_without_records_no_day_is_complete() -> None:
    assert not CompleteDays.of(publication(1, ROWS), None).ranges


@pytest.mark.parametrize("known", [None, (), KNOWN])
def test_publications_and_runs_store_completeness(known: tuple[DayRange, ...] | None, store_url: str) -> None:
    published = replace(publication(1, ROWS), complete_days=known)
    with open_stores(store_url, timeout_s=10) as stores:
        stores.summaries.publish(published, ROWS)
        ended = replace(stores.runs.begin(run()), complete_days=known).ended(RunStatus.PUBLISHED, NOW_MS)
        stores.runs.update(ended)

        assert stores.summaries.published() == published
        assert stores.runs.get(1) == ended


def test_the_latest_run_without_changes_updates_completeness(store_url: str) -> None:
    with open_stores(store_url, timeout_s=10) as stores:

        def known() -> tuple[DayRange, ...]:
            return CompleteDays.published(stores.summaries.published(), stores.runs).keys(CALENDAR)

        assert known() == ()
        publisher = stores.runs.begin(run())
        published = replace(publication(1, ROWS, run_id=publisher.id), complete_days=KNOWN)
        stores.summaries.publish(published, ROWS)
        assert stores.runs.found_unchanged(published) is None
        stores.runs.update(replace(publisher, generation=1).ended(RunStatus.PUBLISHED, NOW_MS))
        assert known() == KNOWN

        for status, generation, days in (
            (RunStatus.UNCHANGED, 1, KNOWN[:1]),
            (RunStatus.UNCHANGED, 1, LATER),
            (RunStatus.FAILED, None, None),
            (RunStatus.PUBLISHED, 2, KNOWN),
            (RunStatus.UNCHANGED, 2, KNOWN),
        ):
            begun = stores.runs.begin(run())
            stores.runs.update(replace(begun, generation=generation, complete_days=days).ended(status, NOW_MS))

        found = stores.runs.found_unchanged(published)
        assert found is not None
        assert found.id == 3
        assert known() == LATER
