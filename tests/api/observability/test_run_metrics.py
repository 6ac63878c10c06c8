"""Metrics of the job runs, from the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_client import Api
from examples import NOW_MS, run
from prometheus_client.parser import text_string_to_metric_families

from core.stores import Stores, open_stores
from core.stores.runs import Counts, RunStatus

_PREFIX = "transaction_summary_"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'summaries.db'}"


@pytest.fixture
def stores(url: str) -> Iterator[Stores]:
    with open_stores(url, timeout_s=10, clock=lambda: NOW_MS) as stores:
        yield stores


def _end(stores: Stores, status: RunStatus, at_ms: int = NOW_MS, **fields: Any) -> None:
    """One run that has ended."""
    begun = stores.runs.begin(run(at_ms=at_ms))
    stores.runs.update(replace(begun.ended(status, at_ms + 2500), **fields))


def _output(url: str) -> Mapping[str, float]:
    """The metrics of runs, by name and label value."""
    text = Api(url).ask("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        "/".join((sample.name.removeprefix(_PREFIX), *sample.labels.values())): sample.value
        for sample in samples
        if any(part in sample.name for part in ("run", "success", "heartbeat", "refresh", "degraded"))
    }


def test_a_store_without_runs_has_no_failures_and_no_last_run(stores: Stores, url: str) -> None:
    well = {f"degraded/{cause}": 0 for cause in ("rejects", "failures", "missed_refreshes", "age")}
    assert _output(url) == {"run_in_progress": 0, "runs_failed_in_a_row": 0, "refreshes_missed": 0, **well}


def test_the_last_run_is_reported_with_its_times_counts_and_changes(stores: Stores, url: str) -> None:
    counts = Counts(read=10, counted=6, rejected=1, filtered=2, out_of_range=1)
    _end(stores, RunStatus.UNCHANGED, counts=counts, days_changed=0, days_kept=3, warnings=("one",))
    reported = _output(url)
    assert {name: value for name, value in reported.items() if name.startswith("last_run_documents")} == {
        "last_run_documents/read": 10,
        "last_run_documents/counted": 6,
        "last_run_documents/rejected": 1,
        "last_run_documents/filtered": 2,
        "last_run_documents/out_of_range": 1,
    }
    assert reported["last_run_number"] == 1
    assert reported["last_run_started_timestamp_seconds"] == NOW_MS / 1000
    assert (
        reported["last_run_ended_timestamp_seconds"]
        == reported["last_success_timestamp_seconds"]
        == NOW_MS / 1000 + 2.5
    )
    assert reported["last_run_duration_seconds"] == 2.5
    assert (reported["last_run_days_changed"], reported["last_run_days_kept"], reported["last_run_warnings"]) == (
        0,
        3,
        1,
    )


def test_exactly_one_result_of_the_last_run_is_1(stores: Stores, url: str) -> None:
    _end(stores, RunStatus.INTERRUPTED)
    reported = {name: value for name, value in _output(url).items() if name.startswith("last_run_status")}
    assert reported == {
        f"last_run_status/{status}": float(status is RunStatus.INTERRUPTED)
        for status in RunStatus
        if status is not RunStatus.RUNNING
    }


def test_a_full_rebuild_reports_no_kept_or_changed_days(stores: Stores, url: str) -> None:
    _end(stores, RunStatus.PUBLISHED)
    reported = _output(url)
    assert reported["last_run_days_kept"] == 0
    assert "last_run_days_changed" not in reported


def test_metrics_count_failures_since_the_last_success(stores: Stores, url: str) -> None:
    for nth, status in enumerate(
        (RunStatus.FAILED, RunStatus.PUBLISHED, RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.DIED)
    ):
        _end(stores, status, NOW_MS + nth * 10_000)
    reported = _output(url)
    assert reported["runs_failed_in_a_row"] == 3
    assert reported["last_success_timestamp_seconds"] == NOW_MS / 1000 + 10 + 2.5
    assert reported["last_run_number"] == 5


def test_metrics_show_the_heartbeat_of_the_active_run(stores: Stores, url: str) -> None:
    _end(stores, RunStatus.PUBLISHED)
    begun = stores.runs.begin(run(at_ms=NOW_MS + 60_000))
    stores.runs.update(replace(begun, heartbeat_at_ms=NOW_MS + 75_000))
    reported = _output(url)
    assert reported["run_in_progress"] == 1
    assert reported["heartbeat_timestamp_seconds"] == NOW_MS / 1000 + 75
    assert reported["last_run_number"] == 1
