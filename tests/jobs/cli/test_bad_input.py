"""Invalid stores, settings and sources: one error sentence, a hint, and an unchanged store."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine
from effort import THOROUGH
from transactions import bson_of, published_rows, spread, summaries_of, write_bson

from bench.mongo_urls import database_of
from core.stores import open_stores

GOOD = spread(["a", "b"], days=20)
LARGE = spread([f"merchant {number}" for number in range(10)], days=300)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds `GOOD`, from which each test has a copy."""
    folder = tmp_path_factory.mktemp("built")
    write_bson(folder / "good.bson", GOOD)
    write_bson(folder / "large.bson", LARGE)
    assert CommandLine(folder)("rebuild", "good.bson").code == 0
    return folder


@pytest.fixture
def jobs(built: Path, tmp_path: Path) -> CommandLine:
    """A command line whose store holds `GOOD`."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return CommandLine(tmp_path, STORE_TIMEOUT_S="2")


def require_holds_good(jobs: CommandLine) -> None:
    """Require that the store has its previous content."""
    with open_stores(f"sqlite:///{jobs.folder}/summaries.db", timeout_s=10, create=False) as stores:
        assert published_rows(stores) == summaries_of(GOOD)


def require_unchanged(jobs: CommandLine) -> None:
    """Require that the store has its previous content, and that the next run succeeds."""
    require_holds_good(jobs)
    assert jobs("rebuild", "good.bson", "--truncate").code == 0


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("sqlite:///nowhere/s.db", 1, "there is no folder nowhere"),
        ("sqlite:////", 1, "it is a folder"),
        ("sqlite://s.db", 2, "STORE_URL begins with 'sqlite://': it must be sqlite:///path.db or mongodb://"),
        ("summaries.db", 2, "STORE_URL is not a URL"),
        ("postgres://user:secret@host/db", 2, "STORE_URL begins with 'postgres://'"),
        ("mongodb://127.0.0.1:1", 2, "STORE_URL is not a valid MongoDB URL with a database"),
        ("mongodb://user:se/cret@127.0.0.1/db", 2, "STORE_URL is not a valid MongoDB URL"),
    ],
)
@pytest.mark.parametrize("verb", ["rebuild", "status"])
def test_an_unreachable_store_url_is_an_error(jobs: CommandLine, url: str, code: int, sentence: str, verb: str) -> None:
    arguments = ["good.bson"] if verb == "rebuild" else []
    if verb == "status" and code == 1:
        sentence = "the store at" if "////" in url else "there is no store at nowhere/s.db"
    err = jobs(verb, *arguments, STORE_URL=url).require_failure(code, sentence)
    assert "secret" not in err
    assert "se/cret" not in err


def test_an_empty_store_option_does_not_name_the_default_store(jobs: CommandLine) -> None:
    jobs("rebuild", "large.bson", "--truncate", "--store", "").require_failure(2, "STORE_URL is not a URL")
    require_holds_good(jobs)


def test_a_store_without_its_table_of_summaries_is_an_error_with_a_hint(jobs: CommandLine) -> None:
    with sqlite3.connect(jobs.folder / "summaries.db") as connection:
        connection.execute("DROP TABLE summary_transaction")
    connection.close()
    err = jobs("verify", "good.bson").require_failure(1, "no such table: summary_transaction")
    assert "restore a backup" in err


def test_a_store_file_that_is_no_database_is_an_error(jobs: CommandLine) -> None:
    (jobs.folder / "notes.db").write_bytes(b"these are my notes\n" * 500)
    for verb in (["rebuild", "good.bson"], ["status"]):
        jobs(*verb, STORE_URL="sqlite:///notes.db").require_failure(1, "it is not an SQLite database")
    assert (jobs.folder / "notes.db").read_bytes() == b"these are my notes\n" * 500


def test_a_store_of_a_newer_schema_is_not_touched(jobs: CommandLine) -> None:
    path = jobs.folder / "summaries.db"
    with sqlite3.connect(path) as connection:
        known = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for verb in (["rebuild", "good.bson", "--truncate"], ["status"]):
        jobs(*verb).require_failure(1, f"has schema version 99, but this program supports versions up to {known}")
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {known}")
    connection.close()
    require_unchanged(jobs)


def test_a_store_on_a_server_of_a_newer_schema_is_not_touched(
    tmp_path: Path, mongo_database_url: str, mongo_url: str
) -> None:
    from pymongo import MongoClient

    jobs = CommandLine(tmp_path, STORE_URL=mongo_database_url)
    write_bson(tmp_path / "good.bson", GOOD)
    with MongoClient[dict[str, object]](mongo_url) as client:
        database = client[database_of(mongo_database_url)]
        database["summary_meta"].insert_one({"_id": "schema", "version": 99})
        jobs("rebuild", "good.bson").require_failure(1, "has schema version 99")
        assert database.list_collection_names() == ["summary_meta"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to everything")
def test_a_read_only_store_is_an_error(jobs: CommandLine) -> None:
    path = jobs.folder / "summaries.db"
    path.chmod(0o400)
    jobs("rebuild", "good.bson", "--truncate").require_failure(1, "this user may not")
    path.chmod(0o600)
    require_unchanged(jobs)


def test_a_locked_store_is_an_error(jobs: CommandLine) -> None:
    with sqlite3.connect(jobs.folder / "summaries.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        result = jobs("rebuild", "large.bson", "--truncate", STORE_TIMEOUT_S="0.1")
        result.require_failure(1, "another process has locked it for 0.1 s")
        assert jobs("status").code == 0
        other.execute("ROLLBACK")
    other.close()
    require_unchanged(jobs)


@pytest.mark.parametrize("room", [0, *([4_096, 200_000] if THOROUGH else []), 60_000])
def test_a_full_disk_leaves_the_store_unchanged(jobs: CommandLine, room: int) -> None:
    limit = (jobs.folder / "summaries.db").stat().st_size + room
    result = jobs("rebuild", "large.bson", "--truncate", file_size_limit=limit)
    err = result.require_failure(1, "the store at summaries.db cannot be used: ")
    assert "disk is full" in err or "free space" in err
    require_unchanged(jobs)


def test_a_full_quarantine_disk_is_an_error(jobs: CommandLine) -> None:
    bad = [one.document() | {"amount": "x", "note": "n" * 100_000} for one in GOOD]
    write_bson(jobs.folder / "bad.bson", bad)
    result = jobs("rebuild", "bad.bson", "--truncate", "--max-reject-ratio", "1", file_size_limit=1_000_000)
    result.require_failure(1, "the quarantine file quarantine/run-000002-")
    assert "QUARANTINE_DIR" in result.err
    require_unchanged(jobs)


def test_a_quarantine_path_that_is_no_folder_is_an_error(jobs: CommandLine) -> None:
    write_bson(jobs.folder / "bad.bson", [{"_id": 1}])
    result = jobs("rebuild", "bad.bson", "--truncate", "--max-reject-ratio", "1", QUARANTINE_DIR="good.bson")
    result.require_failure(1, "the quarantine file good.bson/run-000002-")
    require_unchanged(jobs)


def test_an_invalid_setting_is_reported_with_variable_value_and_allowed_values(jobs: CommandLine) -> None:
    for verb in (["rebuild", "good.bson", "--truncate"], ["status"]):
        for name, value, allowed in (
            ("TIME_ZONE", "Tehran", "it must be an IANA time zone such as Asia/Tehran"),
            ("CALENDAR", "persian", "'jalali' or 'gregorian'"),
            ("THREADS", "two", "a whole number, 0 to 256"),
            ("STORE_TIMEOUT_S", "-1", "a number, more than 0"),
        ):
            err = jobs(*verb, **{name: value}).require_failure(2, f"{name} is '{value}'")
            assert allowed in err
    assert len(jobs("status", "--json").json["runs"]) == 1


def test_an_unreachable_server_is_an_error(
    jobs: CommandLine, mortal_server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, server = mortal_server
    there = CommandLine(jobs.folder, STORE_URL=f"{url}shop", STORE_TIMEOUT_S="0.5")
    assert there("rebuild", "good.bson").code == 0
    server.kill()
    server.wait()
    for verb in (["rebuild", "good.bson"], ["status"], ["summary", "--mode", "daily", "--type", "count"]):
        err = there(*verb).require_failure(1, f"the store at {url}shop does not answer: ")
        assert "Check that the server runs" in err


def test_an_unusable_source_is_an_error(jobs: CommandLine) -> None:
    for name, content, sentence in (
        ("empty.bson", b"", "empty.bson is empty (0 bytes)"),
        ("noise.bson", bytes(range(255, 100, -1)), "noise.bson has an unsupported format"),
        ("cut.bson", bson_of(GOOD)[:-1], "cut.bson is damaged at byte "),
        ("long.bson", b"\xff\xff\xff\x00" + bytes(100), "long.bson"),
        ("cut.jsonl", b'{"merchantId":"a","amount":1,"createdAt":{"$da', "cut.jsonl is damaged at byte "),
        ("no.csv", b"merchantId,createdAt\na,2024-01-01T00:00:00Z\n", "amount"),
        ("cut.gz", b"\x1f\x8b\x08\x00\x00", "cut.gz is damaged at byte 0: the gzip data is truncated"),
    ):
        (jobs.folder / name).write_bytes(content)
        jobs("rebuild", name, "--truncate").require_failure(1, sentence)
        require_holds_good(jobs)
    require_unchanged(jobs)


def test_an_unreadable_source_is_an_error(jobs: CommandLine) -> None:
    (jobs.folder / "folder").mkdir()
    (jobs.folder / "folder" / "users.bson").write_bytes(b"")
    err = jobs("rebuild", "folder", "--truncate").require_failure(1, "no collection transaction or transactions")
    assert "it has folder.users" in err
    jobs("rebuild", "mongodb://host", "--truncate").require_failure(2, "is not a valid MongoDB URL with a database")
    jobs("rebuild", "good.bson/x", "--truncate").require_failure(1, "good.bson/x cannot be read: Not a directory")
    require_unchanged(jobs)


@pytest.mark.parametrize("name", ["POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"])
def test_threads_of_a_library_that_are_no_number_of_threads(jobs: CommandLine, name: str) -> None:
    for text in ("0", "x", "-1"):
        jobs("status", **{name: text}).require_failure(2, f"{name} is '{text}'")


def test_a_checkpoint_without_a_name(jobs: CommandLine) -> None:
    jobs("rebuild", "good.bson", "--truncate", "--checkpoint", "").require_failure(2, "--checkpoint is empty")
