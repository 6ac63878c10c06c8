"""The ``status`` command: publication, runs, failures, JSON."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import CommandLine
from transactions import spread, write_bson

from bench.mongo_urls import database_of


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    write_bson(tmp_path / "shop.bson", spread(["a", "b"], days=12))
    return CommandLine(tmp_path)


@pytest.mark.parametrize("arguments", [["status"], ["status", "1"], ["summary", "--mode", "daily", "--type", "count"]])
def test_reading_a_missing_store_creates_nothing(tmp_path: Path, arguments: list[str]) -> None:
    err = CommandLine(tmp_path)(*arguments).require_failure(1, "there is no store at summaries.db")
    assert "rebuild" in err
    assert list(tmp_path.iterdir()) == []


def test_reading_a_missing_store_on_a_server_creates_nothing(
    tmp_path: Path, mongo_database_url: str, mongo_url: str
) -> None:
    from pymongo import MongoClient

    CommandLine(tmp_path, STORE_URL=mongo_database_url)("status").require_failure(1, "there is no store at mongodb://")
    with MongoClient[dict[str, object]](mongo_url) as client:
        assert database_of(mongo_database_url) not in client.list_database_names()


def test_status_shows_the_publication_and_the_latest_runs_first(jobs: CommandLine) -> None:
    assert jobs("rebuild", "shop.bson").code == 0
    assert jobs("rebuild", "missing.bson", "--truncate").code == 1
    result = jobs("status")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("Published: generation 1 by run 1, 20")
    assert lines[1:5] == [
        "  days       1402/12/26 to 1403/01/08",
        "  summaries  48",
        "  total      24 transactions, amount 24,936 IRR",
        "  settings   jalali calendar, Asia/Tehran, filters: none",
    ]
    assert re.fullmatch(r"  rules      tzdata \S+ \([0-9a-f]{8}\), the same on this host", lines[5])
    assert lines[6].startswith("  sources    read up to 2024-")
    assert lines[7] == "  degraded   1 run(s) in a row failed; see status 2"
    columns = ["run", "status", "started", "duration", "read", "docs/s", "counted", "rejected", "command"]
    assert lines[9].split() == columns
    assert lines[10].split()[:2] == ["2", "failed"]
    assert lines[11].strip() == "missing.bson cannot be read: No such file or directory"
    assert lines[12].split()[:2] == ["1", "published"]
    assert lines[12].endswith("24         0  rebuild shop.bson")


def test_a_success_clears_the_failure(jobs: CommandLine) -> None:
    for source in ("shop.bson", "missing.bson", "missing.bson"):
        jobs("rebuild", source, "--truncate")
    output = jobs("status", "--json").json
    assert (output["state"], output["degraded_by"], output["failures_in_a_row"]) == ("degraded", ["failures"], 2)
    assert "2 run(s) in a row failed; see status 3\n" in jobs("status").out
    assert jobs("rebuild", "shop.bson", "--truncate").code == 0
    output = jobs("status", "--json").json
    assert (output["state"], output["degraded_by"], output["failures_in_a_row"]) == ("ok", [], 0)
    assert "degraded" not in jobs("status").out


def test_failures_before_the_first_publication_are_reported(jobs: CommandLine) -> None:
    for _ in range(2):
        jobs("rebuild", "missing.bson")
    assert "2 run(s) in a row failed; see status 2\n" in jobs("status").out
    assert jobs("status", "--json").json["state"] == "empty"


def test_the_number_of_listed_runs_is_an_option(jobs: CommandLine) -> None:
    for _ in range(3):
        jobs("rebuild", "missing.bson")
    assert [run["id"] for run in jobs("status", "--limit", "2", "--json").json["runs"]] == [3, 2]


def test_status_shows_every_detail_of_one_run(jobs: CommandLine) -> None:
    assert jobs("rebuild", "shop.bson", "--to", "1403/01/01").code == 0
    shown = dict(line.split(None, 1) for line in jobs("status", "1").out.splitlines())
    assert shown["status"] == "published"
    assert shown["command"] == "rebuild shop.bson --to 1403/01/01"
    assert shown["phase"] == "done"
    assert (shown["read"], shown["counted"]) == ("24", "10")
    assert re.fullmatch(r"\d+\.\d s|\d+ s", shown["duration"])
    assert re.search(r"\ndata as of   20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ\n", jobs("status", "1").out)
    assert shown["replaced"] == "the first day to 1403/01/01"
    assert shown["error"] == "-"


def test_an_unknown_run_is_an_error(jobs: CommandLine) -> None:
    assert jobs("rebuild", "shop.bson").code == 0
    jobs("status", "7").require_failure(2, "there is no run 7")
    assert jobs("status", "7", "--json").json["error"]["type"] == "UsageError"


def test_status_is_available_as_json(jobs: CommandLine) -> None:
    assert jobs("rebuild", "shop.bson").code == 0
    everything = jobs("status", "--json").json
    assert everything["published"]["generation"] == 1
    assert everything["published"]["meaning"]["time_zone"] == "Asia/Tehran"
    assert everything["runs"][0] == jobs("status", "1", "--json").json
    ended = everything["runs"][0]
    assert ended["degraded"] is False
    assert ended["duration_s"] == (ended["ended_at_ms"] - ended["started_at_ms"]) / 1000
    assert ended["documents_per_s"] == pytest.approx(24 / ended["duration_s"], abs=0.1)


def test_a_store_without_a_publication_is_shown_as_empty(jobs: CommandLine) -> None:
    jobs("rebuild", "missing.bson")
    result = jobs("status")
    assert result.code == 0
    assert result.out.startswith("Nothing is published yet.")
    assert jobs("status", "--json").json["published"] is None


def test_the_store_option_overrides_the_environment(jobs: CommandLine, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    assert jobs("rebuild", "shop.bson", "--store", url, STORE_URL="sqlite:///nowhere/x.db").code == 0
    assert jobs("status", STORE_URL=url).code == 0
    assert not (tmp_path / "summaries.db").exists()
