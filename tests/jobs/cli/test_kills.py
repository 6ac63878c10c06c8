"""``kill -9`` at any moment leaves exactly the old or the new state, and the next run succeeds."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, wait_until
from effort import THOROUGH
from transactions import bson_of, published_rows, spread, summaries_of, write_bson

from core.stores import Stores, open_stores
from core.stores.runs import Run, RunStatus

STATES = {"one": spread(["one", "a"], days=20), "two": spread(["two", "b"], days=20)}
LARGE = {name: spread([f"{name}{i}" for i in range(20)], days=250) for name in STATES}


@pytest.fixture
def jobs(store_url: str, tmp_path: Path) -> CommandLine:
    """A command line whose store holds the first state."""
    for name, transactions in STATES.items():
        write_bson(tmp_path / f"{name}.bson", transactions)
    jobs = CommandLine(tmp_path, STORE_URL=store_url)
    assert jobs("rebuild", "one.bson").code == 0
    return jobs


@pytest.fixture
def stores(jobs: CommandLine, store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10, create=False) as opened:
        yield opened


def of_store(store_url: str, sqlite: int, mongo: int) -> int:
    """The cases of each backend."""
    return sqlite if store_url.startswith("sqlite") else mongo


def require_closed(stores: Stores, killed: Run, succeeded: Run) -> None:
    """Require that the killed run is closed in the ledger with its true result, and that the next one published."""
    assert succeeded.id == killed.id + 1
    assert succeeded.status is RunStatus.PUBLISHED
    closed = stores.runs.get(killed.id)
    assert closed is not None
    assert closed.ended_at_ms is not None
    assert closed.status is (RunStatus.DIED if closed.generation is None else RunStatus.PUBLISHED)


def test_a_kill_after_any_store_statement_keeps_the_store_consistent(
    jobs: CommandLine, stores: Stores, store_url: str
) -> None:
    """Of a whole run, from opening to the end, at every statement, or at every few of them from a random one on.

    Of some 120 to SQLite, the last 60 publish. `test_a_kill_while_reading_keeps_the_store_consistent` tests those
    before.
    """
    coarse, fine = (1, 1) if THOROUGH else (of_store(store_url, 24, 6), of_store(store_url, 12, 3))
    expected = {name: summaries_of(transactions) for name, transactions in STATES.items()}
    phases, outcomes, kills = set(), set(), 0
    current, calls, step = "one", 0, random.randint(1, coarse)
    while True:
        calls += step
        wanted = "two" if current == "one" else "one"
        before = stores.runs.recent(1)[0]
        result = jobs("rebuild", f"{wanted}.bson", "--truncate", signal_after=calls)
        if result.code == 0:
            break
        kills += 1
        step = coarse
        assert result.code == -signal.SIGKILL, result
        rows = published_rows(stores)
        assert rows in (expected[current], expected[wanted]), f"killed after {calls} calls"
        killed = stores.runs.recent(1)[0]
        if killed.id > before.id:
            phases.add(killed.phase)
            step = fine if killed.phase == "publishing" else coarse
            outcomes.add("new" if rows == expected[wanted] else "old")
        if rows == expected[wanted]:
            current = wanted
        if kills % 3 == 0:
            wanted = "two" if current == "one" else "one"
            assert jobs("rebuild", f"{wanted}.bson", "--truncate").code == 0
            assert published_rows(stores) == expected[wanted]
            current = wanted
            if killed.id > before.id:
                require_closed(stores, killed, stores.runs.recent(1)[0])
    assert calls >= of_store(store_url, 100, 15)
    assert phases >= ({"reading", "publishing"} if THOROUGH else {"publishing"})
    assert outcomes == {"old", "new"}
    assert published_rows(stores) == expected[wanted]
    assert all(run.status is not RunStatus.RUNNING for run in stores.runs.recent(1000))


def test_a_kill_at_a_random_moment_keeps_the_store_consistent(
    jobs: CommandLine, stores: Stores, store_url: str, tmp_path: Path
) -> None:
    """Also inside a statement: while pages are written, and during a commit."""
    large = store_url.startswith("sqlite")
    states = LARGE if large else STATES
    expected = {name: summaries_of(transactions) for name, transactions in states.items()}
    for name, transactions in states.items():
        write_bson(tmp_path / f"{name}.bson", transactions)
    began = time.monotonic()
    assert jobs("rebuild", "one.bson", "--truncate").code == 0
    run_s = time.monotonic() - began
    current = "one"
    for _ in range(20 if THOROUGH else 2):
        wanted = "two" if current == "one" else "one"
        running = jobs.start("rebuild", f"{wanted}.bson", "--truncate")
        time.sleep(random.uniform(0.2, 1.0) * run_s)
        running.send(signal.SIGKILL)
        assert running.wait().code in (-signal.SIGKILL, 0)
        rows = published_rows(stores)
        assert rows in expected.values()
        current = "one" if rows == expected["one"] else "two"
    wanted = "two" if current == "one" else "one"
    assert jobs("rebuild", f"{wanted}.bson", "--truncate").code == 0
    assert published_rows(stores) == expected[wanted]
    assert all(run.status is not RunStatus.RUNNING for run in stores.runs.recent(1000))


def test_a_kill_while_reading_keeps_the_store_consistent(jobs: CommandLine, stores: Stores) -> None:
    before = stores.summaries.published()
    for number in (2, 3):
        read_end, write_end = os.pipe()
        running = jobs.start("rebuild", "-", "--truncate", stdin=read_end)
        os.close(read_end)
        os.write(write_end, bson_of(STATES["two"]))
        wait_until(lambda number=number: stores.runs.get(number))  # type: ignore[misc]
        running.send(signal.SIGKILL)
        os.close(write_end)
        assert running.wait().code == -signal.SIGKILL
        killed = stores.runs.get(number)
        assert killed is not None
        assert (killed.status, killed.phase) == (RunStatus.RUNNING, "reading")
        assert stores.summaries.published() == before
    assert jobs("rebuild", "two.bson", "--truncate").code == 0
    assert published_rows(stores) == summaries_of(STATES["two"])
    statuses = [run.status for run in stores.runs.recent(9)]
    assert statuses == [RunStatus.PUBLISHED, RunStatus.DIED, RunStatus.DIED, RunStatus.PUBLISHED]


def test_leftovers_of_a_killed_run_are_cleared(jobs: CommandLine, tmp_path: Path, store_url: str) -> None:
    """Half-filled tables would pile up in the file."""
    if not store_url.startswith("sqlite"):
        pytest.skip("the tests of the MongoDB store look for this")
    import sqlite3

    write_bson(tmp_path / "large.bson", LARGE["one"])
    running = jobs.start("rebuild", "large.bson", "--truncate")
    with sqlite3.connect(tmp_path / "summaries.db") as connection:
        tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'summary_transaction%'"
        wait_until(lambda: connection.execute(tables).fetchone()[0] > 1)
        running.send(signal.SIGKILL)
        running.wait()
        assert jobs("rebuild", "two.bson", "--truncate").code == 0
        assert connection.execute(tables).fetchone()[0] == 1
    connection.close()
