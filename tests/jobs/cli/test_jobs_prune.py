"""The ``prune`` command of the jobs: retention of quarantine files, runs and publications."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from command_line import CommandLine
from examples import publication, run, uniform

from core.stores import Stores, open_stores, wall_clock_ms
from core.stores.runs import RunStatus

DAY_MS: Final = 86_400_000
OLD_MS: Final = wall_clock_ms() - 100 * DAY_MS
KEPT_RUNS: Final = 100


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def _rejects(folder: Path, name: str, age_days: float) -> Path:
    path = folder / "quarantine" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")
    written_s = wall_clock_ms() / 1000 - age_days * 86_400
    os.utime(path, (written_s, written_s))
    return path


def _stores(folder: Path) -> Stores:
    return open_stores(f"sqlite:///{folder}/summaries.db", timeout_s=10)


def _run(stores: Stores, status: RunStatus = RunStatus.FAILED, ended_ms: int = OLD_MS, **changes: Any) -> None:
    stores.runs.update(replace(stores.runs.begin(run(at_ms=ended_ms)).ended(status, ended_ms), **changes))


def _publish(stores: Stores, generation: int) -> None:
    rows = uniform(generation, merchants=1, days=1)
    stores.summaries.publish(replace(publication(generation, rows), published_at_ms=OLD_MS), rows)


def test_only_old_quarantine_files_are_pruned(jobs: CommandLine, tmp_path: Path) -> None:
    _stores(tmp_path).close()
    old = _rejects(tmp_path, "run-000001-20240101T000000Z-17.jsonl", 31)
    young = _rejects(tmp_path, "run-000002-20240101T000000Z-17.jsonl", 29)
    of_a_verification = _rejects(tmp_path, "verify-20240101T000000Z-17.jsonl", 31)
    of_another = _rejects(tmp_path, "notes.jsonl", 31)
    link = tmp_path / "quarantine" / "run-000003-20240101T000000Z-17.jsonl"
    link.symlink_to(of_another)
    os.utime(link, (0, 0), follow_symlinks=False)

    result = jobs("prune", "--older-than", "30")

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Removed 2 quarantine files (6 bytes), 0 runs and 0 publications from before 20")
    assert not old.exists()
    assert not of_a_verification.exists()
    assert young.exists()
    assert of_another.exists()
    assert link.is_symlink()


def test_the_publishing_run_and_the_latest_runs_are_kept(jobs: CommandLine, tmp_path: Path) -> None:
    kept = _rejects(tmp_path, "run-000002-20240101T000000Z-17.jsonl", 90)
    gone = _rejects(tmp_path, "run-000001-20240101T000000Z-17.jsonl", 90)
    with _stores(tmp_path) as stores:
        _publish(stores, 1)
        _run(stores, RunStatus.PUBLISHED, quarantine=str(gone), generation=1)
        _publish(stores, 2)
        _run(stores, RunStatus.PUBLISHED, quarantine=str(kept), generation=2)
        for _ in range(KEPT_RUNS + 2):
            _run(stores)

    result = jobs("prune", "--older-than", "30", "--json").json

    assert (result["runs"], result["publications"], result["files"], result["bytes"]) == (3, 0, 1, 3)
    assert kept.exists()
    assert not gone.exists()
    with _stores(tmp_path) as stores:
        assert [found.id for found in stores.runs.recent(1000)] == [*range(KEPT_RUNS + 4, 4, -1), 2]
        assert stores.summaries.published() is not None


def test_old_publications_are_pruned(jobs: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _stores(tmp_path) as stores:
        _publish(stores, 1)
        with closing(sqlite3.connect(tmp_path / "summaries.db")) as connection, connection:
            connection.row_factory = sqlite3.Row
            first = dict(connection.execute("SELECT * FROM summary_publications").fetchone())
            values = ", ".join(f":{name}" for name in first)
            connection.executemany(
                f"INSERT INTO summary_publications ({', '.join(first)}) VALUES ({values})",
                [first | {"generation": generation} for generation in range(2, KEPT_RUNS + 3)],
            )
        _publish(stores, KEPT_RUNS + 3)
    assert jobs("prune", "--older-than", "30", "--dry-run", "--json").json["publications"] == 3
    assert jobs("prune", "--older-than", "30", "--json").json["publications"] == 3
    assert jobs("prune", "--older-than", "30", "--json").json["publications"] == 0


def test_a_dry_run_removes_nothing(jobs: CommandLine, tmp_path: Path) -> None:
    old = _rejects(tmp_path, "run-000001-20240101T000000Z-17.jsonl", 90)
    with _stores(tmp_path) as stores:
        for _ in range(KEPT_RUNS + 1):
            _run(stores)
    result = jobs("prune", "--older-than", "30", "--dry-run")
    assert result.out.startswith("Would remove 1 quarantine files (3 bytes), 1 runs and 0 publications from before ")
    assert old.exists()
    with _stores(tmp_path) as stores:
        assert stores.runs.get(1) is not None


def test_without_a_store_there_is_nothing_to_prune(jobs: CommandLine, tmp_path: Path) -> None:
    jobs("prune", "--older-than", "30").require_failure(1, "there is no store at summaries.db")
    assert list(tmp_path.iterdir()) == []
