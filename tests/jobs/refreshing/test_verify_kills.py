"""``kill -9`` of a repair leaves the old or the repaired state, and the next repair succeeds."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandLine
from effort import MONGODB_IF_THOROUGH, THOROUGH
from live_shop import Shop
from transactions import Transaction, published_rows

from core.stores import Stores, open_stores
from core.stores.runs import RunStatus

pytest_plugins = ["refreshing_fixtures"]

DAY = timedelta(days=1)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@MONGODB_IF_THOROUGH
def test_a_kill_after_any_store_statement_is_safe(shop: Shop, stores: Stores, store_url: str, tmp_path: Path) -> None:
    """At every statement of a whole repair, or at every few from a random one on."""
    jobs = CommandLine(tmp_path, STORE_URL=store_url, SOURCE_URL=shop.url)
    now = datetime.now(UTC)
    shop.index()
    shop.insert(*(Transaction("a", 10 + days, now - days * DAY) for days in range(20)))
    assert jobs("refresh").code == 0
    stride = 1 if THOROUGH else 19
    outcomes, killed_runs = set(), set()
    shop.insert(Transaction("late", 1, now - 10 * DAY))
    before, after = published_rows(stores), shop.summaries()
    for calls in range(random.randint(1, stride), 1000, stride):
        result = jobs("verify", "--repair", signal_after=calls)
        rows = published_rows(stores)
        if result.code == 0:
            break
        assert result.code == -signal.SIGKILL, result
        assert rows in (before, after), f"killed after {calls} calls"
        killed_runs.add(stores.runs.recent(1)[0].id)
        outcomes.add("right" if rows == after else "drifted")
        if rows == after:
            shop.insert(Transaction("late", calls, now - 10 * DAY))
            before, after = rows, shop.summaries()
    assert rows == after, "the repair that nobody killed has published, whatever the others left behind"
    assert len(killed_runs) >= 2
    assert "drifted" in outcomes
    assert all(run.status is not RunStatus.RUNNING for run in stores.runs.recent(1000))
