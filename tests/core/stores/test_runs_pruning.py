"""Conformance tests of the run ledger: pruning (retention) of old runs and publications."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from examples import NOW_MS, publication, run, uniform
from prepared_store import open_prepared

from core.calendar import Mode
from core.stores import Stores
from core.stores.runs import RunStatus


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10, clock=lambda: NOW_MS) as opened:
        yield opened


def _end_runs(stores: Stores, number: int) -> None:
    for ended_ms in range(NOW_MS + 1, NOW_MS + 1 + number):
        stores.runs.update(stores.runs.begin(run()).ended(RunStatus.FAILED, ended_ms))


def test_runs_that_ended_before_an_instant_are_found(stores: Stores) -> None:
    _end_runs(stores, 4)
    stores.runs.begin(run())
    assert stores.runs.ended_before(NOW_MS + 4, below=100) == [1, 2, 3]
    assert stores.runs.ended_before(NOW_MS + 4, below=3) == [1, 2]
    assert stores.runs.ended_before(NOW_MS + 99, below=100) == [1, 2, 3, 4]


def test_only_the_given_runs_are_removed(stores: Stores) -> None:
    _end_runs(stores, 4)
    assert stores.runs.remove([1, 3, 77]) == 2
    assert [found.id for found in stores.runs.recent(10)] == [4, 2]
    assert stores.runs.get(3) is None
    assert stores.runs.remove([]) == 0


def test_run_numbers_are_never_reused(stores: Stores) -> None:
    _end_runs(stores, 3)
    assert stores.runs.remove([1, 2, 3]) == 2
    assert stores.runs.begin(run()).id == 4


def test_an_active_run_is_not_removed(stores: Stores) -> None:
    begun = stores.runs.begin(run())
    assert stores.runs.remove([begun.id]) == 0
    assert stores.runs.get(begun.id) == begun


def test_only_the_last_two_publications_stay_listed(stores: Stores) -> None:
    for generation in range(1, 5):
        rows = uniform(generation, merchants=1, days=1)
        stores.summaries.publish(publication(generation, rows), rows)
    before = stores.summaries.rows(Mode.DAILY)
    assert stores.summaries.publications_before(NOW_MS + 4, below=100) == [1, 2, 3]
    assert stores.summaries.publications_before(NOW_MS + 4, below=3) == [1, 2]

    assert stores.summaries.remove_publications([1, 2, 3, 4]) == 2

    assert stores.summaries.publications_before(NOW_MS + 99, below=100) == [3, 4]
    assert stores.summaries.rows(Mode.DAILY).equals(before)
    rows = uniform(5, merchants=1, days=1)
    stores.summaries.publish(publication(5, rows), rows)
    assert stores.summaries.remove_publications([]) == 0


def test_an_empty_store_has_nothing_to_prune(stores: Stores) -> None:
    assert stores.runs.ended_before(NOW_MS, below=100) == []
    assert stores.runs.remove([1]) == 0
    assert stores.summaries.publications_before(NOW_MS, below=100) == []
    assert stores.summaries.remove_publications([1]) == 0
