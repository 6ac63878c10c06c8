"""Verifications during publications: no crash, no mix, and no newer data replaced by older."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from live_shop import FirstRefresh, JobRunner, drift_of
from rebuilding import AtPhase
from transactions import Transaction, published_rows, spread

from core.errors import ConservationBroken, PublicationLost, RunTakenOver
from core.stores import open_stores
from core.stores.runs import HEARTBEAT_LIMIT_S, RunStatus
from jobs.publish.replacing import Change

pytest_plugins = ["refreshing_fixtures"]

LATE = datetime(2024, 2, 20, 12, tzinfo=UTC)
"""1402/12/01, long before every look-back."""
NO_READS = {"published", "publish", "amend", "recover", "close"}
"""The methods of a store of summaries that do not read summaries."""


@pytest.fixture
def filled(runner: JobRunner, first_refresh: FirstRefresh, tmp_path: Path) -> JobRunner:
    """A shop of forty days up to the day before, refreshed."""
    runner.shop.index()
    runner.shop.insert(*spread(["a", 7], days=40, first=date(2024, 2, 12)))
    first_refresh(runner, tmp_path / "summaries.db")
    return runner


@pytest.fixture
def other(filled: JobRunner, tmp_path: Path) -> Iterator[JobRunner]:
    """The same jobs as another process runs them."""
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as others:
        yield JobRunner(others, filled.shop, tmp_path, filled.now)


def refresh_after_read(number: int, runner: JobRunner, other: JobRunner, patch: pytest.MonkeyPatch) -> list[int]:
    """Have `other` publish when `runner` has read its summaries so often; what is returned counts the reads."""
    reads: list[int] = []
    store = type(runner.stores.summaries)

    def read(original: Any, self: object, *arguments: Any) -> Any:
        answer = original(self, *arguments)
        if self is runner.stores.summaries:
            reads.append(len(reads) + 1)
            if len(reads) == number:
                runner.shop.insert(Transaction("new", 5, runner.now))
                other.refresh()
        return answer

    for name, original in vars(store).items():
        if name.startswith("_") or name in NO_READS or not callable(original):
            continue
        patch.setattr(store, name, lambda self, *rest, original=original: read(original, self, *rest))
    return reads


def test_a_publication_between_two_reads_is_compared_completely(
    filled: JobRunner, other: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.shop.insert(Transaction("late", 17, LATE))
    number, overtaken = 1, 0
    while True:
        with monkeypatch.context() as patch:
            reads = refresh_after_read(number, filled, other, patch)
            outcome = filled.verify(last_key="1403/01/03")
        assert {(key, merchant) for mode, key, merchant in drift_of(outcome) if mode == "daily"} == {
            ("1402/12/01", None),
            ("1402/12/01", "late"),
        }
        assert outcome.compared == other.stores.summaries.published()
        if len(reads) < number:
            break
        assert [warning.partition(",")[0] for warning in outcome.counted.warnings] == [
            f"generation {outcome.compared.generation} was published during this verification"
        ]
        overtaken += 1
        number += 1
    assert overtaken >= 3


@pytest.mark.parametrize("failure", [KeyError, partial(ConservationBroken, "-"), partial(PublicationLost, "-")])
def test_inconsistent_reads_are_retried_after_a_publication(
    filled: JobRunner, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    from jobs.publish.replacing import replace_days

    failed: list[int] = []

    def torn(*arguments: Any) -> Change:
        if not failed:
            failed.append(1)
            filled.shop.insert(Transaction("new", 5, filled.now))
            filled.refresh()
            raise failure()
        return replace_days(*arguments)

    monkeypatch.setattr("jobs.job.replace_days", torn)
    assert filled.verify().drift.is_empty()
    assert failed


@pytest.mark.parametrize("repair", [False, True])
def test_inconsistent_totals_without_a_publication_are_reported(
    filled: JobRunner, monkeypatch: pytest.MonkeyPatch, repair: bool
) -> None:
    def broken(*arguments: Any) -> Change:
        raise ConservationBroken("weeks and days differ")

    monkeypatch.setattr("jobs.job.replace_days", broken)
    with pytest.raises(ConservationBroken, match="weeks and days differ"):
        filled.verify(repair=repair)


@pytest.mark.parametrize("drifted", [True, False])
def test_a_taken_over_repair_replaces_nothing_of_its_successor(
    filled: JobRunner, other: JobRunner, drifted: bool
) -> None:
    """It was silent for too long while it counted; the other has read later changes and published them."""
    if drifted:
        filled.shop.insert(Transaction("late", 17, LATE))
    filled.now = other.now = datetime.now(UTC)

    def take_over() -> None:
        silent = filled.stores.runs.recent(1)[0]
        long_ago = silent.heartbeat_at_ms - int(HEARTBEAT_LIMIT_S * 1000) - 60_000
        filled.stores.runs.update(replace(silent, heartbeat_at_ms=long_ago))
        filled.shop.insert(Transaction("newer", 2, LATE))
        other.refresh(look_back_days=5_000)

    with pytest.raises((PublicationLost, RunTakenOver)):
        filled.verify(AtPhase("checking", take_over), repair=True)
    assert published_rows(filled.stores) == filled.shop.summaries()
    assert [run.status for run in filled.stores.runs.recent(2)] == [RunStatus.PUBLISHED, RunStatus.DIED]
