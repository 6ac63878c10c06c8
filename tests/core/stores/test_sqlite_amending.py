"""Amendments on SQLite: changed in place, found by index, with short write locks."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from examples import Script, frame, publication, row, uniform
from polars.testing import assert_frame_equal
from prepared_store import open_prepared

from core.calendar.periods import Mode
from core.errors import ConservationBroken, PublicationLost
from core.stores import Stores
from core.stores.generations import generation_name
from core.stores.sqlite import amending
from core.stores.sqlite.database import Database
from core.stores.sqlite.summaries import _ROWS
from core.stores.summaries import KeyRange

DAYS = KeyRange(Mode.DAILY, "1403/01/01", "1403/12/30")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def stores(path: Path) -> Iterator[Stores]:
    with open_prepared(f"sqlite:///{path}", timeout_s=30) as opened:
        yield opened


def execute(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


def summary_tables(path: Path) -> list[tuple[object, ...]]:
    """Each with the page that it begins on, which a table that is swapped in does not share."""
    return execute(
        path, "SELECT name, rootpage FROM sqlite_master WHERE type = 'table' AND name LIKE 'summary_transaction%'"
    )


def test_only_summaries_that_differ_are_written(stores: Stores, path: Path) -> None:
    before = frame([row("daily", f"1403/01/{day:02d}", "m", day) for day in range(1, 7)])
    stores.summaries.publish(publication(1, before), before)
    execute(path, "CREATE TABLE written (what TEXT, key TEXT)")
    for what, of in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
        execute(
            path,
            f"CREATE TRIGGER on_{what} AFTER {what} ON summary_transaction "
            f"BEGIN INSERT INTO written VALUES ('{what}', {of}.key); END",
        )
    after = frame([row("daily", f"1403/01/{day:02d}", "m", 99 if day == 5 else day) for day in (1, 2, 4, 5, 6, 7)])
    stores.summaries.amend(publication(2, after), after, [DAYS])
    written = set(execute(path, "SELECT * FROM written"))
    assert written == {("DELETE", "1403/01/03"), ("UPDATE", "1403/01/05"), ("INSERT", "1403/01/07")}
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), after, check_row_order=False)


def test_a_large_amendment_is_published_as_a_whole(stores: Stores, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amending, "MOST_IN_PLACE", 420)
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    (table,) = summary_tables(path)
    for generation, merchants, is_in_place in ((2, 20, True), (3, 41, False)):
        everything = pl.concat([uniform(generation, merchants), frame([row("monthly", "1403/01", None, generation)])])
        ranges = [DAYS, KeyRange(Mode.MONTHLY, "1403/01", "1403/01")]
        stores.summaries.amend(publication(generation, everything), everything, ranges)
        assert (summary_tables(path) == [table]) is is_in_place
        assert_frame_equal(pl.concat([stores.summaries.rows(mode) for mode in Mode]), everything, check_row_order=False)


def test_a_large_amendment_keeps_rows_that_are_not_replaced(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amending, "MOST_IN_PLACE", 0)
    rows = frame([row(mode.value, key, "m", 1) for mode in Mode for key in ("1403/01", "1403/02", "1403/03")])
    stores.summaries.publish(publication(1, rows), rows)
    middle = frame([row("monthly", "1403/02", "m", 2)])
    after = pl.concat([rows.filter((pl.col("mode") != "monthly") | (pl.col("key") != "1403/02")), middle])
    stores.summaries.amend(publication(2, after), middle, [KeyRange(Mode.MONTHLY, "1403/02", "1403/02")])
    assert_frame_equal(pl.concat([stores.summaries.rows(mode) for mode in Mode]), after, check_row_order=False)


def test_rows_of_a_range_and_changed_rows_are_found_by_index(stores: Stores, path: Path) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    for statement in (_ROWS, amending._REMOVE, amending._CHANGE):
        with closing(sqlite3.connect(path)) as connection:
            values = [None] * (7 if statement is amending._CHANGE else 3)
            plan = [str(step[3]) for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        on_summaries = [step for step in plan if "summary" in step]
        assert on_summaries
        assert all("INDEX summary_transaction" in step and "mode=?" in step for step in on_summaries), plan
        assert not any("TEMP B-TREE" in step for step in plan)


def test_an_amendment_after_a_concurrent_change_is_refused(stores: Stores, path: Path) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    execute(path, "CREATE TRIGGER meddling BEFORE UPDATE ON summary_transaction BEGIN SELECT raise(IGNORE); END")
    wanted = uniform(2)
    with pytest.raises(ConservationBroken, match="90 summaries were changed by another program during the run"):
        stores.summaries.amend(publication(2, wanted), wanted, [DAYS])
    assert stores.summaries.published() == publication(1, rows)


def test_a_run_that_is_overtaken_while_it_reads_publishes_nothing(stores: Stores, path: Path) -> None:
    rows, wanted = uniform(1), uniform(2)
    stores.summaries.publish(publication(1, rows), rows)

    def read_while_another_publishes(mode: Mode, first_key: str | None, last_key: str | None) -> pl.DataFrame:
        found = stores.summaries.rows(mode, first_key, last_key)
        stores.summaries.publish(publication(2, rows, run_id=3), rows)
        return found

    with (
        closing(Database(path, timeout_s=5, create=False)) as slow,
        pytest.raises(PublicationLost, match="run 2 prepared generation 2, but"),
    ):
        amending.amend(slow, read_while_another_publishes, publication(2, wanted), wanted, [DAYS])
    assert set(stores.summaries.rows(Mode.DAILY)["amount"]) == {1}


def test_an_amendment_clears_leftovers_of_crashed_runs(stores: Stores, path: Path) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    for name in (generation_name(1, 9), generation_name(2, 2), generation_name(3, 9)):
        execute(path, f"CREATE TABLE {name} (mode TEXT)")
    stores.summaries.amend(publication(2, rows), rows, [DAYS])
    assert {name for name, _ in summary_tables(path)} == {"summary_transaction", generation_name(3, 9)}


def test_a_killed_amendment_leaves_the_previous_state_or_the_new_one(stores: Stores, path: Path) -> None:
    for kill in range(4):
        with Script("publisher.py", f"sqlite:///{path}", "amend") as process:
            acknowledged = int(process.stdout.readline())
            time.sleep(0.03 * kill)
            process.kill()
            acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
        found = stores.summaries.published()
        assert found is not None
        assert found.generation in (acknowledged, acknowledged + 1)
        days = stores.summaries.rows(Mode.DAILY)
        assert set(days["amount"]) == {found.generation}
        assert days.height == found.rows
    assert [name for name, _ in summary_tables(path)] == ["summary_transaction"]
    assert execute(path, "PRAGMA integrity_check") == [("ok",)]
