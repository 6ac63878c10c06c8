"""A signal to a refresh or repair after any statement: all or nothing is published, and no ledger row stays open."""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandLine
from effort import THOROUGH
from live_shop import Shop
from transactions import Transaction, published_rows

from core.stores import Stores
from core.stores.runs import RunStatus

pytest_plugins = ["refreshing_fixtures"]

CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("command", ["refresh", "verify --repair"])
def test_a_signal_after_any_statement_leaves_no_open_ledger_row(
    shop: Shop, sqlite_stores: Stores, tmp_path: Path, command: str
) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path / 'summaries.db'}", SOURCE_URL=shop.url)
    now = datetime.now(UTC)
    shop.index()
    shop.insert(*(Transaction("a", 10 + days, now - timedelta(days=days)) for days in range(20)))
    assert jobs("refresh").code == 0
    days_ago = 1 if command == "refresh" else 10  # each sees only one of these
    shop.insert(Transaction("late", 1, now - timedelta(days=days_ago)))
    before, after = published_rows(sqlite_stores), shop.summaries()
    stride = 1 if THOROUGH else 25
    for calls in range(random.randint(1, stride), 2000, stride):
        number = list(CODES)[calls % len(CODES)]
        result = jobs(*command.split(), signal_after=calls, number=number)
        run = sqlite_stores.runs.recent(1)[0]
        assert run.status is not RunStatus.RUNNING, f"after {calls} calls"
        if result.code == 0:
            break
        result.require_failure(CODES[number], f"stopped by {number.name}, nothing was published")
        assert published_rows(sqlite_stores) == before
    assert published_rows(sqlite_stores) == after
    statuses = {run.status for run in sqlite_stores.runs.recent(1000)}
    assert statuses == {RunStatus.PUBLISHED, RunStatus.INTERRUPTED}


def test_a_command_under_nohup_survives_its_terminal(shop: Shop, tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path / 'summaries.db'}", SOURCE_URL=shop.url)
    shop.insert(Transaction("a", 1, datetime.now(UTC)))
    assert jobs("refresh", signal_after=20, number=signal.SIGHUP, ignored=signal.SIGHUP).code == 0
