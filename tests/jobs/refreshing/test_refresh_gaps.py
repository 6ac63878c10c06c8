"""Gaps: a refresh continues where the published data ends, so that no day stays missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from live_shop import JobRunner
from transactions import Transaction, bson_of, published_rows

from core.errors import PublicationLost
from core.stores import wall_clock_ms
from core.stores.runs import RunStatus
from jobs.job import Watcher

pytest_plugins = ["refreshing_fixtures"]

NOW = datetime(2024, 3, 23, 9, tzinfo=UTC)
"""When `runner` runs its jobs."""


@pytest.fixture
def filled(runner: JobRunner) -> JobRunner:
    """A collection with one transaction a day up to now, of which nothing is published."""
    runner.shop.insert(*(Transaction("m1", 10 + day, NOW - timedelta(days=day)) for day in range(40)))
    runner.shop.index()
    return runner


@pytest.fixture
def export(filled: JobRunner, tmp_path: Path) -> Callable[..., str]:
    """Writes an export as of so many days ago, with the date of that moment unless another is given."""

    def write(days_ago: float, dated_days_ago: float | None = None, *more: Transaction) -> str:
        made_at = NOW - timedelta(days=days_ago)
        path = tmp_path / f"export-{days_ago}.bson"
        path.write_bytes(bson_of([*(one for one in filled.shop.transactions() if one.at < made_at), *more]))
        dated = NOW - timedelta(days=days_ago if dated_days_ago is None else dated_days_ago)
        os.utime(path, (dated.timestamp(), dated.timestamp()))
        return str(path)

    return write


def require_right_after_a_refresh(runner: JobRunner) -> None:
    runner.refresh()
    assert published_rows(runner.stores) == runner.shop.summaries()


def test_a_refresh_fills_the_gap_after_days_from_an_older_export(filled: JobRunner, export: Callable[..., str]) -> None:
    filled.refresh()
    filled.rebuild(sources=(export(9),), first_key="1402/12/01")
    assert published_rows(filled.stores) != filled.shop.summaries()
    require_right_after_a_refresh(filled)


def test_a_refresh_fills_the_gap_after_a_repair_from_an_older_export(
    filled: JobRunner, export: Callable[..., str]
) -> None:
    filled.refresh()
    filled.verify(sources=(export(9),), first_key="1402/12/01", repair=True)
    assert published_rows(filled.stores) != filled.shop.summaries()
    require_right_after_a_refresh(filled)


def test_a_refresh_fills_the_gap_after_an_export_with_future_transactions(
    filled: JobRunner, export: Callable[..., str]
) -> None:
    future = Transaction("m1", 5, NOW + timedelta(days=2000))
    filled.shop.insert(future)
    filled.rebuild(sources=(export(13, 0, future),))
    require_right_after_a_refresh(filled)


def test_a_refresh_fills_the_gap_after_an_export_and_recent_days(filled: JobRunner, export: Callable[..., str]) -> None:
    filled.rebuild(sources=(export(13, 0),))
    filled.rebuild(first_key="1403/01/03", last_key="1403/01/04")
    require_right_after_a_refresh(filled)


def test_a_refresh_fills_the_gap_after_exports_of_several_ages(filled: JobRunner, export: Callable[..., str]) -> None:
    """Each has half of the documents of every day."""
    halves = [filled.shop.transactions()[half::2] for half in (0, 1)]
    paths = []
    for number, (half, days_ago) in enumerate(zip(halves, (13, 1), strict=True)):
        path = Path(export(days_ago)).with_name(f"half-{number}.bson")
        path.write_bytes(bson_of(one for one in half if one.at < NOW - timedelta(days=days_ago)))
        made_at = (NOW - timedelta(days=days_ago)).timestamp()
        os.utime(path, (made_at, made_at))
        paths.append(str(path))
    filled.rebuild(sources=tuple(paths))
    require_right_after_a_refresh(filled)


def test_a_taken_over_run_does_not_publish_an_older_export(filled: JobRunner, export: Callable[..., str]) -> None:
    """Its successor found no changes, so the next generation is still free."""
    filled.refresh()

    class Overtaken(Watcher):
        """Goes on only when another run has taken over and ended."""

        def phase(self, name: str) -> None:
            if name == "publishing":  # by the clock of the ledger its heartbeat is of long ago
                assert filled.refresh().run.status is RunStatus.UNCHANGED

    with pytest.raises(PublicationLost, match="a later run has taken over"):
        filled.rebuild(Overtaken(), sources=(export(9),), truncate=True)
    assert [run.status for run in filled.stores.runs.recent(2)] == [RunStatus.UNCHANGED, RunStatus.DIED]
    require_right_after_a_refresh(filled)


def test_after_a_hundred_failures_only_the_missing_days_are_read(filled: JobRunner) -> None:
    filled.refresh()
    (refreshed,) = filled.stores.runs.recent(1)
    for _ in range(101):
        begun = filled.stores.runs.begin(replace(refreshed, status=RunStatus.RUNNING, ended_at_ms=None))
        filled.stores.runs.update(begun.ended(RunStatus.FAILED, wall_clock_ms(), "the source does not answer"))
    outcome = filled.refresh()
    assert outcome.run.counts.read < 10
