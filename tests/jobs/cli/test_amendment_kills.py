"""``kill -9`` of a run that replaces some days: afterwards exactly the old or exactly the new state."""

from __future__ import annotations

import random
import signal
from datetime import date
from pathlib import Path

import pytest
from command_line import CommandLine
from effort import MONGODB_IF_THOROUGH, THOROUGH
from transactions import Transaction, published_rows, spread, summaries_of, write_bson

from core.stores import open_stores
from core.stores.runs import RunStatus

DAYS = ("--from", "1402/12/28", "--to", "1403/01/01")
FIRST_DAY, LAST_DAY = date(2024, 3, 18), date(2024, 3, 20)
OLD = spread(["a", "old"], days=20)
OTHER = spread(["a", "new"], days=20, amount=50_000)


def is_replaced(one: Transaction) -> bool:
    return FIRST_DAY <= one.at.date() <= LAST_DAY


NEW = [one for one in OLD if not is_replaced(one)] + [one for one in OTHER if is_replaced(one)]


@pytest.fixture
def jobs(store_url: str, tmp_path: Path) -> CommandLine:
    """A command line whose store holds the old state."""
    for name, transactions in (("old", OLD), ("new", OTHER)):
        write_bson(tmp_path / f"{name}.bson", transactions)
    jobs = CommandLine(tmp_path, STORE_URL=store_url)
    assert jobs("rebuild", "old.bson").code == 0
    return jobs


@MONGODB_IF_THOROUGH
def test_a_kill_after_any_statement_while_replacing_days_is_safe(jobs: CommandLine, store_url: str) -> None:
    """At every statement of a whole run, or at every few from a random one on; fewer before it begins."""
    coarse, fine = (1, 1) if THOROUGH else (20, 10)
    expected = {"old": summaries_of(OLD), "new": summaries_of(NEW)}
    phases, outcomes = set(), set()
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        current, calls, step = "old", 0, random.randint(1, coarse)
        while True:
            calls += step
            wanted = "new" if current == "old" else "old"
            before = stores.runs.recent(1)[0].id
            result = jobs("rebuild", f"{wanted}.bson", *DAYS, signal_after=calls)
            rows = published_rows(stores)
            if result.code == 0:
                break
            assert result.code == -signal.SIGKILL, result
            assert rows in (expected[current], expected[wanted]), f"killed after {calls} calls"
            killed = stores.runs.recent(1)[0]
            step = fine if killed.id > before else coarse
            if killed.id > before:
                phases.add(killed.phase)
                outcomes.add("new" if rows == expected[wanted] else "old")
            current = wanted if rows == expected[wanted] else current
        assert rows == expected[wanted], "the run that nobody killed has published, whatever the others left behind"
        assert phases >= {"checking", "publishing"}
        assert outcomes == {"old", "new"}
        assert all(run.status is not RunStatus.RUNNING for run in stores.runs.recent(1000))
