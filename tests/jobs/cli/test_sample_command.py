"""The ``sample`` command, whose files ``rebuild`` reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import CommandLine


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param("sample.archive", "mongodump archive", marks=pytest.mark.thorough),
        ("sample.archive.gz", "mongodump archive, gzip"),
        pytest.param("sample.bson", "BSON", marks=pytest.mark.thorough),
        ("sample.jsonl.gz", "JSON lines, gzip"),
    ],
)
def test_rebuild_reads_a_sample_in_every_format(jobs: CommandLine, name: str, form: str) -> None:
    result = jobs("sample", name, "--transactions", "500", "--merchants", "7")
    size = (jobs.folder / name).stat().st_size
    assert result.out == f"Wrote 500 transactions to {name} ({form}, {size:,} bytes).\n"
    rebuilt = jobs("rebuild", name, "--json").json
    assert rebuilt["run"]["forms"] == [form]
    assert rebuilt["run"]["counts"]["counted"] == 500
    assert rebuilt["published"]["first_day_key"] >= "1403/01/01"
    assert rebuilt["published"]["last_day_key"] <= "1403/12/30"


def test_the_seed_determines_bytes_and_totals_in_every_format(jobs: CommandLine) -> None:
    totals = set()
    for name in ("a.bson", "b.bson", "c.archive", "d.jsonl"):
        assert jobs("sample", name, "--transactions", "300", "--seed", "5").code == 0
        published = jobs("rebuild", name, "--truncate", "--json").json["published"]
        totals.add((published["total_amount"], published["rows"]))
    assert (jobs.folder / "a.bson").read_bytes() == (jobs.folder / "b.bson").read_bytes()
    assert len(totals) == 1
    assert jobs("sample", "e.bson", "--transactions", "300", "--seed", "6").code == 0
    assert (jobs.folder / "e.bson").read_bytes() != (jobs.folder / "a.bson").read_bytes()


def test_an_existing_file_is_replaced_only_with_force(jobs: CommandLine) -> None:
    (jobs.folder / "kept.bson").write_text("kept")
    jobs("sample", "kept.bson", "--transactions", "1").require_failure(2, "kept.bson already exists")
    assert (jobs.folder / "kept.bson").read_text() == "kept"
    result = jobs("sample", "kept.bson", "--transactions", "1", "--force", "--json")
    assert result.json == {"path": "kept.bson", "form": "BSON", "bytes": 77, "transactions": 1}


def test_only_regular_files_are_replaced(jobs: CommandLine) -> None:
    os.mkfifo(jobs.folder / "pipe")
    jobs("sample", "pipe", "--transactions", "1", "--force").require_failure(2, "pipe is not a regular file")
    assert (jobs.folder / "pipe").is_fifo()


def test_an_unwritable_path_is_an_error(jobs: CommandLine) -> None:
    jobs("sample", "nowhere/x.bson", "--transactions", "1").require_failure(1, "nowhere/x.bson cannot be written: ")
    jobs("sample", "x" * 300, "--transactions", "1").require_failure(1, "cannot be written: File name too long")


def test_a_full_disk_leaves_no_file(jobs: CommandLine) -> None:
    result = jobs("sample", "x.bson", "--transactions", "1000", file_size_limit=20_000)
    result.require_failure(1, "x.bson cannot be written: File too large")
    assert list(jobs.folder.iterdir()) == []
