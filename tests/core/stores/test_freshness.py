"""Freshness of the publication, from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import DAY_MS, NOW_MS, publication, run, uniform
from prepared_store import open_prepared

from core.stores import Stores, open_stores
from core.stores.freshness import RUNS_READ, Freshness, complete_until_ms, confirms
from core.stores.runs import Run, RunStatus

ROWS = uniform(1, merchants=1, days=1)
PUBLISHED = replace(publication(1, ROWS), complete_until_ms=NOW_MS - DAY_MS)
HOUR_MS = 3_600_000


def ended(number: int, status: RunStatus = RunStatus.PUBLISHED, **changes: Any) -> Run:
    """Run `number`, a refresh that began so many hours after `NOW_MS`."""
    at_ms = NOW_MS + number * HOUR_MS
    begun = replace(run(at_ms=at_ms), id=number, as_of_ms=at_ms, incremental=True, generation=1)
    return replace(begun.ended(status, at_ms), **changes)


def known(*runs: Run) -> int | None:
    """The instant up to which the publication is complete; `runs` in chronological order."""
    return complete_until_ms(PUBLISHED, runs[::-1])


def test_without_runs_freshness_comes_from_the_publication() -> None:
    assert known() == NOW_MS - DAY_MS
    assert known(ended(1), ended(2, RunStatus.FAILED)) == NOW_MS - DAY_MS


def test_a_refresh_without_changes_renews_freshness() -> None:
    assert known(ended(1), ended(2, RunStatus.UNCHANGED), ended(3, RunStatus.UNCHANGED)) == NOW_MS + 3 * HOUR_MS


@pytest.mark.parametrize(
    "changes", [{"generation": 2}, {"generation": None}, {"incremental": False}, {"status": RunStatus.DIED}]
)
def test_only_refreshes_of_this_publication_renew_freshness(changes: dict[str, Any]) -> None:
    assert known(replace(ended(2, RunStatus.UNCHANGED), **changes)) == NOW_MS - DAY_MS


def test_the_publishing_run_counts_before_its_ledger_row_is_closed() -> None:
    assert confirms(ended(1, RunStatus.DIED, generation=None), PUBLISHED)
    assert not confirms(ended(2, RunStatus.PUBLISHED, generation=2), PUBLISHED)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def add(stores: Stores, *runs: Run) -> None:
    """Add `runs` to the ledger, numbered as they come."""
    for one in runs:
        begun = stores.runs.begin(replace(one, status=RunStatus.RUNNING, ended_at_ms=None))
        stores.runs.update(replace(one, id=begun.id))


def freshness_of(stores: Stores) -> Freshness:
    freshness = Freshness.read(stores)
    assert freshness is not None
    return freshness


def test_without_a_publication_there_is_no_freshness(stores: Stores) -> None:
    add(stores, ended(1, RunStatus.FAILED))
    assert Freshness.read(stores) is None


def test_freshness_names_the_publishing_and_the_last_confirming_run(stores: Stores) -> None:
    stores.summaries.publish(PUBLISHED, ROWS)
    add(stores, ended(1), ended(2, RunStatus.UNCHANGED), ended(3, RunStatus.FAILED))
    freshness = freshness_of(stores)
    assert freshness.publication == PUBLISHED
    assert (freshness.publisher, freshness.confirmed_by) == (stores.runs.get(1), stores.runs.get(2))
    assert [one.id for one in freshness.recent] == [3, 2, 1]
    assert freshness.as_of_ms == NOW_MS + 2 * HOUR_MS
    assert freshness.age_s(freshness.as_of_ms + DAY_MS) == 86_400
    assert freshness.age_s(freshness.as_of_ms - 1) == 0


def test_without_a_reading_time_the_publication_time_is_used(stores: Stores) -> None:
    stores.summaries.publish(replace(PUBLISHED, complete_until_ms=None), ROWS)
    freshness = freshness_of(stores)
    assert (freshness.publisher, freshness.confirmed_by) == (None, None)
    assert freshness.as_of_ms == PUBLISHED.published_at_ms


def test_the_publisher_is_found_however_long_ago_it_was(tmp_path: Path) -> None:
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        stores.summaries.publish(PUBLISHED, ROWS)
        add(stores, ended(1), *(ended(2, RunStatus.FAILED) for _ in range(RUNS_READ)))
        freshness = freshness_of(stores)
        assert freshness.publisher == freshness.confirmed_by == stores.runs.get(1)
