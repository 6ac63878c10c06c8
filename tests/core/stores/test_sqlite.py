"""The SQLite backend: the file, schema and migrations, crashes, durability, and access by other programs."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from effort import THOROUGH
from examples import NOW_MS, Script, publication, run, uniform
from notification_examples import notification
from prepared_store import open_prepared

from core.calendar.periods import Mode
from core.errors import PublicationLost, StoreTooNew, StoreUnavailable
from core.stores import Stores, open_stores
from core.stores.api_keys import ApiKey, Scope
from core.stores.generations import SUMMARIES, generation_name
from core.stores.records import publication_to_record, run_to_record
from core.stores.runs import RunStatus
from core.stores.sqlite.database import Database
from core.stores.sqlite.publishing import clear, fill, swap
from core.stores.sqlite.publishing import publish as sqlite_publish
from core.stores.sqlite.rows import insert
from core.stores.sqlite.schema import SCHEMA, prepare
from core.stores.summaries import SeriesRange

KILLS = 30 if THOROUGH else 5
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def stores(url: str) -> Iterator[Stores]:
    with open_prepared(url, timeout_s=10) as opened:
        yield opened


def publish(stores: Stores, generation: int, run_id: int | None = None) -> None:
    rows = uniform(generation)
    stores.summaries.publish(publication(generation, rows, run_id), rows)


def amounts(stores: Stores) -> set[int]:
    return {point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)}


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def execute(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


NOTIFICATION_TABLES = {
    "notifications",
    "notification_events",
    "notification_logs",
    "notification_counts",
    "contacts",
    "subscriptions",
}
OWN_TABLES = {
    "summary_transaction",
    "summary_publications",
    "summary_runs",
    "api_keys",
    "api_sessions",
    "api_key_uses",
    "merchant_names",
    "merchant_names_version",
} | NOTIFICATION_TABLES
SCRIPTS = sorted(SCHEMA.glob("[0-9]*.sql"))
NEWEST = len(SCRIPTS)


def test_a_killed_publisher_leaves_the_previous_state_or_the_new_one(url: str, path: Path) -> None:
    chance = random.Random(20240624)
    for _ in range(KILLS):
        with Script("publisher.py", url) as process:
            acknowledged = int(process.stdout.readline())
            time.sleep(chance.uniform(0, 0.08))
            process.kill()
            acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
        with open_stores(url, timeout_s=10, create=False) as stores:
            found = stores.summaries.published()
            assert found is not None
            assert found.generation in (acknowledged, acknowledged + 1)
            assert amounts(stores) == {found.generation}
            assert set(stores.summaries.rows(Mode.DAILY)["amount"]) == {found.generation}
            assert stores.summaries.rows(Mode.DAILY).height == found.rows
            publish(stores, found.generation + 1)
            assert amounts(stores) == {found.generation + 1}
        assert tables(path) == OWN_TABLES
    assert execute(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_full_disk_leaves_the_previous_state(url: str, path: Path) -> None:
    with open_stores(url, timeout_s=10) as stores:
        publish(stores, 1)
    with Script("filler.py", url) as process:
        sentence, hint, read = process.stdout.read().splitlines()
    assert sentence.startswith(f"the store at {path} cannot be used: ")
    assert "space" in hint
    assert read == "{1}"
    with open_stores(url, timeout_s=10) as stores:
        assert amounts(stores) == {1}
        publish(stores, 2)
    assert tables(path) == OWN_TABLES


def test_leftovers_of_crashed_runs_are_cleared_by_the_next(stores: Stores, path: Path) -> None:
    publish(stores, 1, run_id=3)
    for name in (generation_name(1, 2), generation_name(2, 4), generation_name(0, 0)):
        execute(path, f"CREATE TABLE {name} (mode TEXT)")
    publish(stores, 2, run_id=5)
    assert tables(path) == OWN_TABLES


def test_the_table_of_a_later_run_is_not_touched(stores: Stores, path: Path) -> None:
    later = generation_name(2, 9)
    execute(path, f"CREATE TABLE {later} (mode TEXT)")
    publish(stores, 1, run_id=5)
    assert tables(path) == OWN_TABLES | {later}


def test_a_run_that_was_taken_over_before_it_published_fails(stores: Stores, path: Path) -> None:
    rows = uniform(7)
    prepared, table = publication(1, rows, run_id=1), generation_name(1, 1)
    with closing(Database(path, timeout_s=1, create=False)) as stalled:
        fill(stalled, prepared, table, [rows])
        publish(stores, 1, run_id=2)
        with pytest.raises(PublicationLost, match="run 1 prepared generation 1, but"):
            swap(stalled, prepared, table)
    assert amounts(stores) == {1}
    assert tables(path) == OWN_TABLES


def test_a_run_whose_staging_table_was_cleared_fails(stores: Stores, path: Path) -> None:
    rows = uniform(7)
    prepared, table = publication(1, rows, run_id=1), generation_name(1, 1)
    with closing(Database(path, timeout_s=1, create=False)) as stalled:
        fill(stalled, prepared, table, [rows])
        clear(stalled, run_id=2)
        with pytest.raises(PublicationLost, match="a later run has taken over"):
            swap(stalled, prepared, table)
    assert stores.summaries.published() is None


def test_a_table_that_lost_rows_is_not_published(stores: Stores, path: Path) -> None:
    rows = uniform(7)
    prepared, table = publication(1, rows), generation_name(1, 1)
    with closing(Database(path, timeout_s=1, create=False)) as database:
        fill(database, prepared, table, [rows])
        execute(path, f"DELETE FROM {table} WHERE merchant_id IS NULL")
        with pytest.raises(PublicationLost, match="only 80 of its 90 rows are left"):
            swap(database, prepared, table)
    assert stores.summaries.published() is None
    assert amounts(stores) == set()


def test_the_view_by_merchant_counts_no_transaction_twice(stores: Stores, path: Path) -> None:
    for generation in (1, 2):
        publish(stores, generation)
        merchants, all_ = execute(
            path,
            "SELECT sum(amount) FROM summary_by_merchant WHERE mode = 'daily' UNION ALL "
            "SELECT sum(amount) FROM summary_transaction WHERE mode = 'daily' AND merchant_id IS NOT NULL",
        )
        assert merchants == all_
        assert merchants[0] == generation * 80
        assert execute(path, "SELECT count(*) FROM summary_by_merchant WHERE merchant_id IS NULL") == [(0,)]


def test_views_of_analysts_survive_publications(stores: Stores, path: Path) -> None:
    execute(path, "CREATE VIEW overall AS SELECT key, amount FROM summary_transaction WHERE merchant_id IS NULL")
    publish(stores, 1)
    publish(stores, 2)
    assert set(execute(path, "SELECT amount FROM overall")) == {(2,)}


def test_a_series_is_found_by_index(stores: Stores, path: Path) -> None:
    publish(stores, 1)
    for merchant in ("= 'm0001'", "IS 'm0001'", "IS NULL"):
        plan = execute(
            path,
            "EXPLAIN QUERY PLAN SELECT key, amount FROM summary_transaction "
            f"WHERE mode = 'daily' AND merchant_id {merchant} AND key BETWEEN '1403' AND '1404' ORDER BY key",
        )
        assert len(plan) == 1, "no sorting"
        assert "USING INDEX" in str(plan[0][3])


def test_counts_of_a_run_are_columns_for_analysts(stores: Stores, path: Path) -> None:
    stores.runs.begin(run())
    found = execute(
        path,
        "SELECT id, status, phase, read, counted, rejected, filtered, out_of_range, json_extract(sources, '$[0]') "
        "FROM summary_runs",
    )
    assert found == [(1, "running", "reading", 0, 0, 0, 0, 0, "dump.archive")]


def test_published_data_is_durable_after_a_power_loss(url: str, path: Path) -> None:
    open_stores(url, timeout_s=1).close()
    database = Database(path, timeout_s=1, create=False)
    with closing(database), database.connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_only_staged_and_removed_rows_may_be_lost_in_a_power_loss(url: str, path: Path) -> None:
    open_stores(url, timeout_s=1).close()
    with closing(Database(path, timeout_s=1, create=False)) as database:
        statements: list[str] = []
        with database.connection() as connection:
            connection.set_trace_callback(statements.append)
        rows = uniform(1)
        for attempt in (rows, rows.with_columns(mode=pl.lit("hourly"))):
            statements.clear()
            with suppress(StoreUnavailable):
                sqlite_publish(database, publication(1, rows), attempt)
            synchronous = [s.rpartition(" ")[2] for s in statements if s.startswith("PRAGMA synchronous = ")]
            assert synchronous[:2] == ["NORMAL", "FULL"]
            assert synchronous[-1] == "FULL"
            published = [number for number, s in enumerate(statements) if s.startswith("INSERT INTO summary_pub")]
            for number in published:
                before = [s for s in statements[:number] if s.startswith("PRAGMA synchronous = ")]
                assert before[-1] == "PRAGMA synchronous = FULL"
            assert len(published) == (attempt is rows)
            execute(path, "DELETE FROM summary_publications")


def test_a_reader_creates_no_file(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreUnavailable):
        open_stores(url, timeout_s=1, create=False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store_to_a_reader(url: str, path: Path) -> None:
    path.touch()
    with pytest.raises(StoreUnavailable, match="there is no store at"):
        open_stores(url, timeout_s=1, create=False)
    assert path.stat().st_size == 0


def test_an_empty_database_is_no_store_to_a_reader(url: str, path: Path) -> None:
    execute(path, "VACUUM")
    execute(path, "CREATE TABLE shopping (item TEXT)")
    with pytest.raises(StoreUnavailable, match="there is no store at"):
        open_stores(url, timeout_s=1, create=False)
    assert tables(path) == {"shopping"}


def test_a_removed_file_is_detected(stores: Stores, path: Path) -> None:
    publish(stores, 1)
    path.unlink()
    with pytest.raises(StoreUnavailable, match="its file was removed or replaced while it was open") as caught:
        stores.summaries.published()
    assert str(path) in caught.value.sentence
    assert caught.value.hint


def test_a_replaced_file_is_detected_and_read_after_reopening(url: str, path: Path, tmp_path: Path) -> None:
    with open_stores(url, timeout_s=1) as writing, open_stores(url, timeout_s=1, create=False) as reading:
        publish(writing, 1)
        writing.close()
        assert amounts(reading) == {1}
        with open_stores(f"sqlite:///{tmp_path / 'other.db'}", timeout_s=1) as others:
            publish(others, 1)
            publish(others, 2)
        before = reading.summaries.published()
        assert before
        (tmp_path / "other.db").replace(path)
        for read in (
            reading.summaries.published,
            lambda: reading.summaries.series_json(before, [SeriesRange(Mode.DAILY, "amount", None)]),
        ):
            with pytest.raises(StoreUnavailable, match="removed or replaced"):
                read()
    with open_stores(url, timeout_s=1, create=False) as again:
        assert amounts(again) == {2}


def test_a_clean_close_checkpoints_the_wal_despite_readers(url: str, path: Path, tmp_path: Path) -> None:
    with open_stores(url, timeout_s=1) as writing, open_stores(url, timeout_s=1, create=False) as reading:
        publish(writing, 1)
        assert amounts(reading) == {1}
        writing.close()
        shutil.copyfile(path, tmp_path / "copy.db")
        assert amounts(reading) == {1}
    with open_stores(f"sqlite:///{tmp_path / 'copy.db'}", timeout_s=1, create=False) as copied:
        assert amounts(copied) == {1}
        assert copied.summaries.published() == publication(1, uniform(1))


def test_a_restored_file_works_again(stores: Stores, path: Path, tmp_path: Path) -> None:
    publish(stores, 1)
    path.rename(tmp_path / "aside.db")
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        stores.summaries.published()
    (tmp_path / "aside.db").rename(path)
    assert stores.summaries.published() == publication(1, uniform(1))
    publish(stores, 2)
    assert amounts(stores) == {2}


def test_a_removed_file_is_not_written_to(stores: Stores, path: Path) -> None:
    publish(stores, 1)
    path.unlink()
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        publish(stores, 2)


def test_changing_the_working_directory_does_not_lose_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_stores("sqlite:///summaries.db", timeout_s=1) as stores:
        monkeypatch.chdir("/")
        assert stores.summaries.published() is None


def test_a_relative_path_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_stores("sqlite:///100% of?it #1.db", timeout_s=1):
        pass
    assert [found.name for found in tmp_path.iterdir()] == ["100% of?it #1.db"]


def test_a_newer_schema_is_refused_and_nothing_is_changed(url: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(
            StoreTooNew,
            match=f"has schema version 99, but this program supports versions up to {NEWEST}",
        ):
            open_stores(url, timeout_s=1, create=create)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_a_migrated_store_keeps_its_data_and_accepts_new_data(path: Path, url: str, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for script in SCRIPTS[:version]:
            connection.executescript(script.read_text("utf-8"))
        connection.executescript((SCHEMA / "generation.sql").read_text("utf-8").replace("{table}", SUMMARIES))
        failed = replace(run(), id=1).ended(RunStatus.FAILED, NOW_MS + 5, "the dump is damaged")
        records = {"summary_publications": publication_to_record(publication(1, uniform(1)))}
        records["summary_runs"] = run_to_record(failed)
        for table, record in records.items():
            columns = {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}
            insert(connection, table, {name: value for name, value in record.items() if name in columns})
        row = ("daily", "1403/04/04", None, 1, 1, NOW_MS, NOW_MS + 86_400_000)
        connection.execute(f"INSERT INTO {SUMMARIES} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    with open_stores(url, timeout_s=1, create=False) as stores:
        assert stores.summaries.published() == publication(1, uniform(1))
        assert amounts(stores) == {1}
        (stored,) = stores.runs.recent(10)
        assert (stored.id, stored.status, stored.error, stored.as_of_ms) == (
            1,
            RunStatus.FAILED,
            "the dump is damaged",
            None,
        )
        assert (stored.rejects_kept, stored.rejects_not_kept) == (None, 0)
        begun = stores.runs.begin(run())
        stores.runs.update(begun.ended(RunStatus.UNCHANGED, NOW_MS + 9))
        assert stores.runs.recent(1)[0].status is RunStatus.UNCHANGED
        allowed = frozenset({Scope.OPERATE}), frozenset[str]()
        key = ApiKey("k1", "a till", bytes(32), *allowed, NOW_MS, expires_at_ms=NOW_MS + 1)
        stores.keys.add(key)
        stores.key_uses.record({"k1": NOW_MS})
        assert (stores.keys.all(), stores.key_uses.all()) == ([key], {"k1": NOW_MS})
        stores.notifications.add(notification(), NOW_MS)
        assert stores.notifications.due(NOW_MS, 10) == [notification().id]
    assert execute(path, "PRAGMA user_version") == [(NEWEST,)]


def test_an_older_schema_is_migrated(tmp_path: Path, url: str, path: Path) -> None:
    with open_stores(url, timeout_s=1) as stores:
        publish(stores, 1)
    newer = tmp_path / "schema"
    shutil.copytree(SCHEMA, newer)
    (newer / f"{NEWEST + 1:04}_notes.sql").write_text(
        "-- A note; more.\nCREATE TABLE note (text TEXT DEFAULT ';');\n", "utf-8"
    )
    with closing(Database(path, timeout_s=1, create=False)) as database:
        prepare(database, create=False, schema=newer)
    assert tables(path) == OWN_TABLES | {"note"}
    assert execute(path, "PRAGMA user_version") == [(NEWEST + 1,)]
    assert execute(path, "SELECT max(amount) FROM summary_transaction") == [(1,)]


@pytest.mark.parametrize("name", [f"{NEWEST:04}_twice.sql", f"{NEWEST + 2:04}_late.sql"])
def test_migration_scripts_are_numbered_consecutively(tmp_path: Path, url: str, path: Path, name: str) -> None:
    open_stores(url, timeout_s=1).close()
    newer = tmp_path / "schema"
    shutil.copytree(SCHEMA, newer)
    (newer / name).write_text("CREATE TABLE note (text TEXT);\n", "utf-8")
    with (
        closing(Database(path, timeout_s=1, create=False)) as database,
        pytest.raises(AssertionError, match="numbers have gaps or repeat"),
    ):
        prepare(database, create=False, schema=newer)
    assert tables(path) == OWN_TABLES


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, url: str, path: Path) -> None:
    open_stores(url, timeout_s=1).close()
    newer = tmp_path / "schema"
    shutil.copytree(SCHEMA, newer)
    (newer / f"{NEWEST + 1:04}_broken.sql").write_text(
        "CREATE TABLE note (text TEXT);\nCREATE TABLE note (text TEXT);\n", "utf-8"
    )
    with closing(Database(path, timeout_s=1, create=False)) as database, pytest.raises(StoreUnavailable):
        prepare(database, create=False, schema=newer)
    assert tables(path) == OWN_TABLES
    assert execute(path, "PRAGMA user_version") == [(NEWEST,)]


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_refused(url: str, path: Path, create: bool) -> None:
    path.write_text("a shopping list, long enough to be taken for the header of a file\n" * 10)
    with pytest.raises(StoreUnavailable, match="it is not an SQLite database") as caught:
        open_stores(url, timeout_s=1, create=create)
    assert caught.value.hint


def test_a_folder_is_refused(url: str, path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreUnavailable, match="it is a folder"):
        open_stores(url, timeout_s=1)


@pytest.mark.parametrize("create", [True, False])
def test_a_path_that_the_system_refuses_is_reported(tmp_path: Path, create: bool) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be used: File name too long"):
        open_stores(f"sqlite:///{tmp_path}/{'n' * 300}", timeout_s=1, create=create)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"there is no folder {tmp_path / 'no'}"):
        open_stores(f"sqlite:///{tmp_path / 'no' / 'summaries.db'}", timeout_s=1)


def test_a_locked_database_is_reported_after_the_time_out(stores: Stores, url: str, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as writer, open_stores(url, timeout_s=0.2) as waiting:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"another process has locked it for 0\.2 s"):
            waiting.runs.begin(run())
        writer.execute("ROLLBACK")
        assert waiting.runs.begin(run()).id == 1
    assert len(stores.runs.recent(10)) == 1


def test_a_closed_store_fails_with_an_error(url: str) -> None:
    stores = open_stores(url, timeout_s=1)
    stores.close()
    stores.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        stores.summaries.published()


def test_reading_a_series_imports_neither_polars_nor_pymongo(stores: Stores, url: str) -> None:
    publish(stores, 1)
    program = (
        "import sys; from core.stores import open_stores; from core.calendar.periods import Mode\n"
        f"with open_stores({url!r}, timeout_s=1, create=False) as stores:\n"
        "    assert stores.summaries.series(Mode.DAILY, 'amount', None)\n"
        "print(sorted({'polars', 'pymongo', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    found = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@contextmanager
def as_a_user_without_rights() -> Iterator[None]:
    """Root may write anywhere, so become nobody for a while; everyone else has no rights where they took them away."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_read_only_file_can_be_read(open_folder: Path) -> None:
    path = open_folder / "summaries.db"
    with open_stores(f"sqlite:///{path}", timeout_s=1) as stores:
        publish(stores, 1)
    open_folder.chmod(0o777)
    path.chmod(0o444)
    with as_a_user_without_rights(), open_stores(f"sqlite:///{path}", timeout_s=1) as stores:
        assert amounts(stores) == {1}
        with pytest.raises(StoreUnavailable, match="this user may not write to it") as caught:
            stores.runs.begin(run())
    assert "permissions" in caught.value.hint


def test_an_unwritable_folder_is_reported(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    path = open_folder / "summaries.db"
    with as_a_user_without_rights(), pytest.raises(StoreUnavailable, match="not write in its folder"):
        open_stores(f"sqlite:///{path}", timeout_s=1)
    open_folder.chmod(0o755)


@pytest.mark.parametrize("create", [True, False])
def test_an_inaccessible_folder_is_reported(open_folder: Path, create: bool) -> None:
    open_folder.chmod(0)
    with as_a_user_without_rights(), pytest.raises(StoreUnavailable, match="cannot be used: Permission denied"):
        open_stores(f"sqlite:///{open_folder}/summaries.db", timeout_s=1, create=create)
    open_folder.chmod(0o755)
