"""The recorder of a run, which writes its row in the ledger."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rebuilding import Workshop
from transactions import bson_of, spread

import jobs.runs.ledger_row
from core.errors import Interrupted, RunTakenOver, ServiceError, SourceError, StoreUnavailable
from core.event_log import current_context
from core.stores import Stores, current_holder, open_stores, wall_clock_ms
from core.stores.runs import HEARTBEAT_LIMIT_S, Counts, Run, RunStatus
from core.stores.summaries import Fingerprint
from jobs.job import Watcher
from jobs.rebuild import RebuildRequest
from jobs.runs.ledger_row import RunRecorder

FINGERPRINT = Fingerprint("Asia/Tehran", "jalali", "merchantId", "amount", "createdAt")
BEGAN_MS = 1_719_230_400_000


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


def new_recorder(stores: Stores) -> RunRecorder:
    """The recorder of a new run; each call of its clock is a millisecond later."""
    draft = Run(0, "rebuild", RunStatus.RUNNING, current_holder(), BEGAN_MS, BEGAN_MS, ("x",), FINGERPRINT)
    return RunRecorder(stores.runs, draft, itertools.count(BEGAN_MS + 1).__next__)


def latest(stores: Stores) -> Run:
    """The row of the last run."""
    return stores.runs.recent(1)[0]


def test_a_successful_run_is_recorded_as_published(stores: Stores) -> None:
    with new_recorder(stores) as recorder:
        recorder.update(phase="publishing", warnings=("w",))
        assert latest(stores) == recorder.run
    run = latest(stores)
    assert run == recorder.run
    assert (run.status, run.phase, run.warnings, run.error) == (RunStatus.PUBLISHED, "done", ("w",), None)
    assert run.ended_at_ms == run.heartbeat_at_ms == BEGAN_MS + 2


def test_a_failed_run_is_recorded_with_its_error_and_phase(stores: Stores) -> None:
    def fail() -> None:
        with new_recorder(stores) as recorder:
            recorder.update(phase="checking")
            raise SourceError("x cannot be read", "Look at it.")

    with pytest.raises(SourceError):
        fail()
    run = latest(stores)
    assert (run.status, run.phase, run.error) == (RunStatus.FAILED, "checking", "x cannot be read")


def test_an_internal_error_is_recorded_with_its_type(stores: Stores) -> None:
    with pytest.raises(ZeroDivisionError), new_recorder(stores):
        raise ZeroDivisionError("that was not expected")
    assert latest(stores).error == "ZeroDivisionError: that was not expected"


def test_an_interrupted_insertion_of_a_run_is_closed(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = stores.runs.begin

    def begin_and_be_interrupted(draft: Run) -> Run:
        begin(draft)
        raise Interrupted(15, "SIGTERM")

    monkeypatch.setattr(stores.runs, "begin", begin_and_be_interrupted)
    with pytest.raises(Interrupted), new_recorder(stores):
        pass
    run = latest(stores)
    assert (run.id, run.status, run.error) == (1, RunStatus.INTERRUPTED, "stopped by SIGTERM, nothing was published")


@pytest.mark.parametrize(
    ("changes", "error", "level"),
    [
        ({}, None, "info"),
        ({"warnings": ("w",)}, None, "warning"),
        ({"counts": Counts(2, 1, 1, 0, 0)}, None, "warning"),
        ({}, SourceError("x cannot be read"), "error"),
    ],
)
def test_each_phase_and_the_end_of_a_run_are_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    error: ServiceError | None,
    level: str,
) -> None:
    monkeypatch.setattr(jobs.runs.ledger_row, "is_log_json", lambda: True)
    with (
        open_stores(f"sqlite:///{tmp_path}/s.db", timeout_s=10) as stores,
        suppress(SourceError),
        new_recorder(stores) as recorder,
    ):
        recorder.update(phase="checking")
        recorder.update(**changes)
        if error is not None:
            raise error
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line.get("phase"), line["run_id"]) for line in lines] == [
        ("run-began", None, 1),
        ("run-phase", "checking", 1),
        ("run-ended", None, 1),
    ]
    assert (lines[-1]["level"], lines[-1]["seconds"]) == (level, 0.003)
    assert current_context() == {}


@pytest.mark.parametrize("of", ["a full disk", "a closed file"])
def test_a_log_that_cannot_be_written_fails_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    monkeypatch.setattr(jobs.runs.ledger_row, "is_log_json", lambda: True)
    with suppress(OSError), Path("/dev/full").open("w") as output:
        if of == "a closed file":
            output.close()
        monkeypatch.setattr(sys, "stdout", output)
        with open_stores(f"sqlite:///{tmp_path}/s.db", timeout_s=10) as stores:
            with new_recorder(stores) as recorder:
                recorder.update(phase="checking")
            ended = latest(stores)
        monkeypatch.undo()
    assert ended.status is RunStatus.PUBLISHED


def test_an_interrupted_run_is_recorded_as_interrupted(stores: Stores) -> None:
    with pytest.raises(Interrupted), new_recorder(stores):
        raise Interrupted(15, "SIGTERM")
    run = latest(stores)
    assert (run.status, run.error) == (RunStatus.INTERRUPTED, "stopped by SIGTERM, nothing was published")


def test_the_heartbeat_is_renewed_while_the_run_is_busy(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.runs.ledger_row, "HEARTBEAT_S", 0.01)
    with new_recorder(stores):
        deadline = time.monotonic() + 60
        while latest(stores).heartbeat_at_ms < BEGAN_MS + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    ended = latest(stores)
    assert ended.heartbeat_at_ms > BEGAN_MS + 3
    time.sleep(0.05)
    assert latest(stores) == ended, "no heartbeat follows the end"


def test_a_heartbeat_ends_a_run_that_was_taken_over(
    stores: Stores, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source has more to come, so nothing but the heartbeat can notice."""
    monkeypatch.setattr(jobs.runs.ledger_row, "HEARTBEAT_S", 0.01)
    source = tmp_path / "source.bson"
    os.mkfifo(source)
    writer = os.open(source, os.O_RDWR)
    os.write(writer, bson_of(spread(["a"], days=300)))
    later = wall_clock_ms() + int(HEARTBEAT_LIMIT_S * 1000) + 60_000
    others = open_stores(store_url, timeout_s=10, clock=lambda: later)

    class TakingOver(Watcher):
        def reading(self, progress: object) -> None:
            if len(others.runs.recent(2)) < 2:
                others.runs.begin(replace(latest(others), started_at_ms=later, heartbeat_at_ms=later))

    with others, pytest.raises(RunTakenOver, match="run 1 was taken over"):
        Workshop(stores, tmp_path).rebuild(RebuildRequest((str(source),)), TakingOver())
    os.close(writer)
    assert [run.status for run in stores.runs.recent(9)] == [RunStatus.RUNNING, RunStatus.DIED]
    assert stores.summaries.published() is None


def test_a_ledger_that_cannot_be_written_does_not_hide_the_first_error(tmp_path: Path) -> None:
    path = tmp_path / "summaries.db"
    with open_stores(f"sqlite:///{path}", timeout_s=10) as stores:
        with pytest.raises(SourceError, match=r"^this came first$"):
            _fail_over_a_spoilt_store(stores, path)
        with pytest.raises(StoreUnavailable):
            latest(stores)


def test_a_failed_heartbeat_does_not_fail_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.runs.ledger_row, "HEARTBEAT_S", 0.01)
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    with open_stores(url, timeout_s=0.02) as stores:
        with new_recorder(stores) as recorder:
            with sqlite3.connect(tmp_path / "summaries.db") as other:
                other.execute("BEGIN IMMEDIATE")  # nobody else can write meanwhile
                time.sleep(0.2)
                other.rollback()
            other.close()
            before = latest(stores).heartbeat_at_ms
            deadline = time.monotonic() + 60
            while latest(stores).heartbeat_at_ms <= before and time.monotonic() < deadline:
                time.sleep(0.01)
            assert latest(stores).heartbeat_at_ms > before
        assert latest(stores) == recorder.run


def _fail_over_a_spoilt_store(stores: Stores, path: Path) -> None:
    with new_recorder(stores):
        _spoil(path)
        raise SourceError("this came first")


@pytest.mark.parametrize("status", [RunStatus.PUBLISHED, RunStatus.UNCHANGED])
def test_the_generation_is_recorded_when_the_run_ends(stores: Stores, status: RunStatus) -> None:
    with new_recorder(stores) as recorder:
        (recorder.published if status is RunStatus.PUBLISHED else recorder.unchanged)(7)
        assert latest(stores).generation is None
    assert (latest(stores).status, latest(stores).generation) == (status, 7)


def test_losing_the_ledger_after_publishing_is_only_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "summaries.db"
    with open_stores(f"sqlite:///{path}", timeout_s=10) as stores:
        with new_recorder(stores) as recorder:
            recorder.update(warnings=("w",))
            recorder.published(7)
            _spoil(path)
        first, second = recorder.run.warnings
        assert (recorder.run.generation, first) == (7, "w")
        assert second.startswith("the ledger could not be written after the publication: the store at ")


def _spoil(path: Path) -> None:
    """Take the table of runs away."""
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE summary_runs")
    connection.close()
