"""Complete days after runs of the jobs: days that had ended when they were read completely."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from live_shop import JobRunner, Shop
from transactions import spread, write_bson

from core.calendar import JalaliCalendar
from core.stores import Stores, open_stores
from core.stores.complete_days import CompleteDays
from core.stores.runs import RunStatus
from core.stores.summaries import DayRange

pytest_plugins = ["refreshing_fixtures"]

NOW = datetime(2024, 3, 23, 9, tzinfo=UTC)
"""1403/01/04, in the afternoon."""
DAY = timedelta(days=1)
BEGIN = "1402/12/25"
"""The day after the first one of `TEN_DAYS`, which may be cut."""
TEN_DAYS = spread(["a", "b"], days=10, first=date(2024, 3, 14))
"""From 1402/12/24 to 1403/01/04."""


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def runner(stores: Stores, shop: Shop, tmp_path: Path) -> JobRunner:
    """The jobs at `NOW`, on every backend."""
    shop.index()
    return JobRunner(stores, shop, tmp_path, NOW)


@pytest.fixture
def on_sqlite(sqlite_stores: Stores, shop: Shop, tmp_path: Path) -> JobRunner:
    """The jobs at `NOW`."""
    shop.index()
    return JobRunner(sqlite_stores, shop, tmp_path, NOW)


def export(folder: Path, written_at: datetime) -> str:
    """A file of `TEN_DAYS` that was written then."""
    path = write_bson(folder / "ten.bson", TEN_DAYS)
    os.utime(path, (written_at.timestamp(), written_at.timestamp()))
    return path


def complete(runner: JobRunner) -> list[DayRange]:
    """The complete days of what is published, as ranges of keys."""
    published = runner.stores.summaries.published()
    return list(CompleteDays.published(published, runner.stores.runs).keys(JalaliCalendar()))


def test_a_refresh_completes_a_day_after_its_end(runner: JobRunner) -> None:
    runner.shop.insert(*TEN_DAYS)
    runner.refresh()
    assert complete(runner) == [(BEGIN, "1403/01/03")]

    runner.now += DAY / 4
    assert runner.refresh().run.status is RunStatus.UNCHANGED
    assert complete(runner) == [(BEGIN, "1403/01/03")]

    runner.now += DAY
    assert runner.refresh().run.status is RunStatus.UNCHANGED
    assert complete(runner) == [(BEGIN, "1403/01/04")]

    runner.now += DAY
    runner.shop.insert(*spread(["a"], days=1, first=date(2024, 3, 24)))
    assert runner.refresh().run.status is RunStatus.PUBLISHED
    assert complete(runner) == [(BEGIN, "1403/01/05")]


@pytest.mark.parametrize(("written_at", "last"), [(NOW + 40 * DAY, "1403/01/03"), (NOW - 2 * DAY, "1403/01/01")])
def test_days_before_the_last_day_of_an_export_are_complete(
    on_sqlite: JobRunner, tmp_path: Path, written_at: datetime, last: str
) -> None:
    on_sqlite.now = NOW + 50 * DAY

    on_sqlite.rebuild(sources=(export(tmp_path, written_at),), truncate=True)

    assert complete(on_sqlite) == [(BEGIN, last)]


def test_days_loaded_by_range_are_complete_and_gaps_are_not(on_sqlite: JobRunner, tmp_path: Path) -> None:
    source = export(tmp_path, NOW)

    for first, last in (("1402/12/24", "1402/12/25"), ("1402/12/28", "1402/12/28"), ("1402/12/29", "1403/01/01")):
        on_sqlite.rebuild(sources=(source,), first_key=first, last_key=last)

    assert complete(on_sqlite) == [("1402/12/24", "1402/12/25"), ("1402/12/28", "1403/01/01")]


def test_a_live_range_is_complete_up_to_the_day_of_reading(on_sqlite: JobRunner) -> None:
    on_sqlite.shop.insert(*TEN_DAYS)

    on_sqlite.rebuild(first_key="1403/01/01", last_key="1403/01/20")

    assert complete(on_sqlite) == [("1403/01/01", "1403/01/03")]


def test_a_day_replaced_from_an_older_source_is_incomplete(on_sqlite: JobRunner) -> None:
    on_sqlite.shop.insert(*TEN_DAYS)
    on_sqlite.refresh()
    on_sqlite.now -= 2 * DAY

    on_sqlite.rebuild(first_key="1402/12/29", allow_shrink=True)

    assert complete(on_sqlite) == [(BEGIN, "1403/01/01")]


def test_a_purged_day_that_was_read_too_early_stays_incomplete(
    on_sqlite: JobRunner,
) -> None:
    on_sqlite.shop.insert(*TEN_DAYS)
    on_sqlite.refresh()
    on_sqlite.now += 3 * DAY
    on_sqlite.shop.collection.delete_many({"createdAt": {"$lt": NOW + DAY / 2}})
    on_sqlite.shop.insert(*spread(["a"], days=2, first=date(2024, 3, 24)))

    run = on_sqlite.refresh().run

    assert run.days_kept
    assert complete(on_sqlite) == [(BEGIN, "1403/01/03"), ("1403/01/06", "1403/01/06")]


def test_a_repair_completes_the_days_it_recounts(on_sqlite: JobRunner, tmp_path: Path) -> None:
    on_sqlite.shop.insert(*TEN_DAYS)
    on_sqlite.rebuild(sources=(export(tmp_path, NOW - 2 * DAY),), truncate=True)
    assert complete(on_sqlite) == [(BEGIN, "1403/01/01")]

    outcome = on_sqlite.verify(repair=True, last_key="1403/01/03")

    assert outcome.repaired_by is not None
    assert outcome.repaired_by.status is RunStatus.UNCHANGED
    assert complete(on_sqlite) == [(BEGIN, "1403/01/03")]


def test_a_refresh_does_not_complete_days_purged_before_it(
    on_sqlite: JobRunner,
) -> None:
    """Of a collection whose first document is of yesterday, and that is quiet then, each refresh looks back further."""
    on_sqlite.now -= 3 * DAY
    on_sqlite.shop.insert(*spread(["a"], days=1, first=date(2024, 3, 19)))
    on_sqlite.refresh()
    assert complete(on_sqlite) == []

    for last in ("1403/01/01", "1403/01/02"):
        on_sqlite.now += DAY
        on_sqlite.refresh()
        assert complete(on_sqlite) == [("1403/01/01", last)]


def test_a_complete_first_day_stays_complete(on_sqlite: JobRunner) -> None:
    on_sqlite.shop.insert(*TEN_DAYS)
    on_sqlite.refresh()
    on_sqlite.now += 3 * DAY
    on_sqlite.shop.collection.delete_many({"createdAt": {"$lt": NOW - 2 * DAY}})

    on_sqlite.verify(repair=True, last_key="1403/01/04")

    assert complete(on_sqlite) == [(BEGIN, "1403/01/04")]


def test_a_range_of_an_export_is_complete_up_to_its_last_day(on_sqlite: JobRunner, tmp_path: Path) -> None:
    source = export(tmp_path, NOW + 40 * DAY)
    on_sqlite.now = NOW + 50 * DAY

    on_sqlite.rebuild(sources=(source,), first_key="1402/12/20", last_key="1403/02/01")
    assert complete(on_sqlite) == [("1402/12/20", "1403/01/03")]

    on_sqlite.rebuild(sources=(source,), last_key="1403/01/04")
    assert complete(on_sqlite) == [("1402/12/25", "1403/01/04")]
