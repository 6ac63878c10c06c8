"""Jobs over a collection with concurrent writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import wait_until
from effort import MONGODB_IF_THOROUGH, THOROUGH
from live_collections import EAGER
from live_shop import JobRunner, Shop, Writer
from transactions import published_rows, spread

from core.calendar import Mode
from core.stores import Stores, open_stores

pytest_plugins = ["refreshing_fixtures"]

OLD = spread(["old", "b"], days=60)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


def require_consistent(stores: Stores) -> None:
    """Require that the published totals are consistent."""
    published = stores.summaries.published()
    assert published is not None
    for mode in Mode:
        assert sum(value for _, value in stores.summaries.series(mode, "amount", None)) == published.total_amount
        assert sum(value for _, value in stores.summaries.series(mode, "count", None)) == published.total_count


def is_written_while_jobs_run(runner: JobRunner, rounds: int) -> None:
    """Two threads write while the jobs run. Then one refresh corrects everything, and a verification confirms it.

    The clock of the jobs stands still: what is written is of the two days before.
    """
    shop = runner.shop
    runner.live = EAGER  # several cursors at once
    shop.insert(*OLD)
    with Writer(shop.url, "first", runner.now) as first, Writer(shop.url, "second", runner.now) as second:
        for number in range(rounds):
            if number % 3 == 0:
                runner.rebuild(truncate=True)
                require_consistent(runner.stores)
            runner.refresh()
            require_consistent(runner.stores)
            runner.verify(repair=True)
            require_consistent(runner.stores)
        wait_until(lambda: min(first.written, second.written) > 10)
    runner.refresh()
    last = runner.stores.summaries.published()
    assert last is not None
    outcome = runner.verify(last_key=last.last_day_key)
    assert outcome.drift.is_empty()
    assert outcome.counted.counts.counted == last.total_count
    assert published_rows(runner.stores) == shop.summaries()


@MONGODB_IF_THOROUGH
def test_one_refresh_after_concurrent_writes_corrects_everything(shop: Shop, stores: Stores, tmp_path: Path) -> None:
    """The source is read by time, as its index allows."""
    shop.index()
    is_written_while_jobs_run(JobRunner(stores, shop, tmp_path, datetime.now(UTC)), 9 if THOROUGH else 1)


@pytest.mark.thorough
def test_one_refresh_without_index_after_concurrent_writes_corrects_everything(
    shop: Shop, sqlite_stores: Stores, tmp_path: Path
) -> None:
    """The source is read by `_id`."""
    is_written_while_jobs_run(JobRunner(sqlite_stores, shop, tmp_path, datetime.now(UTC)), 12)
