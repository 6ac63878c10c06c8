"""Refreshes that are killed, stopped, taken over, or lose their server leave the old or the new state, never a mix."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandLine
from effort import MONGODB_IF_THOROUGH, THOROUGH
from live_collections import EAGER
from live_shop import JobRunner, Shop
from rebuilding import AtPhase
from transactions import Rows, Transaction, published_rows, spread

from core.errors import PublicationLost, RunHeld, SourceError
from core.stores import Stores, open_stores
from core.stores.runs import HEARTBEAT_LIMIT_S, RunStatus
from jobs.job import Watcher
from jobs.partitions.counting import Progress

pytest_plugins = ["refreshing_fixtures"]

DAY = timedelta(days=1)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


class ShopInTwoStates:
    """A shop of ten days up to now in one of two states, refreshed by a command line."""

    def __init__(self, shop: Shop, stores: Stores, jobs: CommandLine) -> None:
        self.shop = shop
        self.stores = stores
        self.jobs = jobs
        now = datetime.now(UTC)
        shop.index()
        *_, self._yesterday, self._today = shop.insert(
            *(Transaction("a", 10 + days, now - days * DAY) for days in reversed(range(10)))
        )
        self.other_merchant = False

    def toggle(self) -> tuple[Rows, Rows]:
        """Change two days; what must be published before and after the next refresh."""
        before = self.shop.summaries()
        self.other_merchant = not self.other_merchant
        for number, one in enumerate((self._yesterday, self._today)):
            self.shop.change(
                one, merchantId="b" if self.other_merchant else "a", amount=random.randrange(10**6) + number
            )
        return before, self.shop.summaries()


@pytest.fixture
def shop_in_two_states(shop: Shop, stores: Stores, store_url: str, tmp_path: Path) -> ShopInTwoStates:
    shop_in_two_states = ShopInTwoStates(shop, stores, CommandLine(tmp_path, STORE_URL=store_url, SOURCE_URL=shop.url))
    assert shop_in_two_states.jobs("refresh").code == 0
    return shop_in_two_states


def of_store(store_url: str, sqlite: int, mongo: int) -> int:
    """The cases of each backend."""
    return sqlite if store_url.startswith("sqlite") else mongo


@MONGODB_IF_THOROUGH
def test_a_kill_after_any_store_statement_is_safe(shop_in_two_states: ShopInTwoStates, store_url: str) -> None:
    """At every statement of a whole refresh, or at every few from a random one on."""
    jobs, stores = shop_in_two_states.jobs, shop_in_two_states.stores
    stride = 1 if THOROUGH else 11
    phases, outcomes, kills = set(), set(), 0
    before, after = shop_in_two_states.toggle()
    for calls in range(random.randint(1, stride), 1000, stride):
        last_run = stores.runs.recent(1)[0]
        result = jobs("refresh", signal_after=calls)
        if result.code == 0:
            break
        kills += 1
        assert result.code == -signal.SIGKILL, result
        rows = published_rows(stores)
        assert rows in (before, after), f"killed after {calls} calls"
        killed = stores.runs.recent(1)[0]
        if killed.id > last_run.id:
            phases.add(killed.phase)
            outcomes.add("new" if rows == after else "old")
        if rows == after or kills % 3 == 0:
            assert jobs("refresh").code == 0
            assert published_rows(stores) == after
            before, after = shop_in_two_states.toggle()
    assert kills * stride >= of_store(store_url, 30, 15)
    assert "publishing" in phases
    assert "reading" in phases or stride > 1
    assert "old" in outcomes
    assert published_rows(stores) == shop_in_two_states.shop.summaries()
    assert all(run.status is not RunStatus.RUNNING for run in stores.runs.recent(1000))


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_stop_after_any_store_statement_is_safe(shop_in_two_states: ShopInTwoStates) -> None:
    """SIGTERM: a published run is reported as published, any other as stopped."""
    jobs, stores = shop_in_two_states.jobs, shop_in_two_states.stores
    stride = 2 if THOROUGH else 15
    stopped, done = 0, 0
    before, after = shop_in_two_states.toggle()
    for calls in range(random.randint(1, stride), 1000, stride):
        result = jobs("refresh", signal_after=calls, number=signal.SIGTERM)
        if result.code == 0:
            assert published_rows(stores) == after
            before, after = shop_in_two_states.toggle()
            done += 1
            if done == 2:
                break
        else:
            result.require_failure(143, "stopped by SIGTERM, nothing was published")
            assert published_rows(stores) == before, f"stopped after {calls} calls"
            stopped += 1
    assert stopped > 1
    assert jobs("refresh").code == 0
    assert published_rows(stores) == shop_in_two_states.shop.summaries()
    assert RunStatus.INTERRUPTED in {run.status for run in stores.runs.recent(1000)}


def test_concurrent_refreshes_are_refused_or_correct(shop_in_two_states: ShopInTwoStates) -> None:
    _, after = shop_in_two_states.toggle()
    result = [running.wait() for running in [shop_in_two_states.jobs.start("refresh") for _ in range(3)]]
    assert 0 in {one.code for one in result}
    for one in result:
        if one.code:
            one.require_failure(1)
            assert "is active in process" in one.err or "at the same moment" in one.err
    assert published_rows(shop_in_two_states.stores) == after
    runs = shop_in_two_states.stores.runs.recent(9)
    assert {run.status for run in runs} <= {RunStatus.PUBLISHED, RunStatus.UNCHANGED}
    assert [run.status for run in runs].count(RunStatus.PUBLISHED) == 2


def a_shop_of_a_month(shop: Shop) -> datetime:
    """Fill it; the time now, by which runs are not silent for long."""
    now = datetime.now(UTC)
    shop.insert(*spread(["a", "b"], days=30, first=(now - 29 * DAY).date()))
    return now


def test_a_second_refresh_is_refused_while_the_first_runs(
    shop: Shop, stores: Stores, store_url: str, tmp_path: Path
) -> None:
    runner = JobRunner(stores, shop, tmp_path, a_shop_of_a_month(shop))
    refused = []
    with open_stores(store_url, timeout_s=10) as others:

        def refresh_as_well() -> None:
            with pytest.raises(RunHeld) as refusal:
                JobRunner(others, shop, tmp_path, runner.now).refresh()
            refused.append(refusal.value.sentence)

        for _ in range(2):
            runner.refresh(AtPhase("checking", refresh_as_well))
    assert [sentence.partition(" in process")[0] for sentence in refused] == [
        f"run {number} (refresh) is active" for number in (1, 2)
    ]
    assert published_rows(stores) == shop.summaries()


def test_a_refresh_that_was_taken_over_does_not_publish_over_its_successor(
    shop: Shop, stores: Stores, store_url: str, tmp_path: Path
) -> None:
    """It was silent for too long; the other has read later changes and published them."""
    runner = JobRunner(stores, shop, tmp_path, a_shop_of_a_month(shop))
    runner.refresh()
    shop.insert(Transaction("new", 1, runner.now))
    with open_stores(store_url, timeout_s=10) as others:

        def take_over() -> None:
            silent = stores.runs.recent(1)[0]
            long_ago = silent.heartbeat_at_ms - int(HEARTBEAT_LIMIT_S * 1000) - 60_000
            stores.runs.update(replace(silent, heartbeat_at_ms=long_ago))
            shop.insert(Transaction("newer", 2, runner.now))
            JobRunner(others, shop, tmp_path, runner.now).refresh()

        with pytest.raises(PublicationLost):
            runner.refresh(AtPhase("publishing", take_over))
    assert published_rows(stores) == shop.summaries()
    assert [run.status for run in stores.runs.recent(2)] == [RunStatus.PUBLISHED, RunStatus.DIED]


class KillsTheServer(Watcher):
    """Kills a server when documents have been read, and starts it again after a while."""

    def __init__(self, process: subprocess.Popen[bytes], again: bool) -> None:
        self.read_before: int | None = None
        self.started: list[subprocess.Popen[bytes]] = []
        self._process = process
        self._timer = threading.Timer(0.5, self._start) if again else None

    def reading(self, progress: Progress) -> None:
        """See `Watcher.reading`."""
        if self.read_before is None and progress.documents:
            self._process.kill()
            self._process.wait(60)
            self.read_before = progress.documents
            if self._timer is not None:
                self._timer.start()

    def _start(self) -> None:
        self.started.append(subprocess.Popen(self._process.args, stderr=subprocess.DEVNULL))

    def close(self) -> None:
        """End the server that was started."""
        if self._timer is not None:
            self._timer.join()
        for one in self.started:
            one.kill()
            one.wait(60)


@pytest.mark.parametrize("again", [True, False], ids=["started again", "gone for good"])
def test_a_source_server_killed_during_a_read_fails_the_refresh(
    mortal_server: tuple[str, subprocess.Popen[bytes]], sqlite_stores: Stores, tmp_path: Path, again: bool
) -> None:
    server, process = mortal_server
    now, many = datetime(2024, 3, 23, 9, tzinfo=UTC), 3000
    slowly = replace(
        EAGER, cursors=2, batch_documents=10, timeout_s=2, backoff=replace(EAGER.backoff, retries=30 if again else 1)
    )
    with Shop(f"{server}shop") as shop:
        runner = JobRunner(sqlite_stores, shop, tmp_path, now)
        shop.index()
        shop.insert(*spread(["a"], days=3, first=now.date()))
        runner.refresh()
        before = published_rows(sqlite_stores)
        shop.insert(*(Transaction(i % 5, i, now - i * timedelta(minutes=1)) for i in range(many)))
        after = shop.summaries()
        killer = KillsTheServer(process, again)
        try:
            if again:
                outcome = runner.refresh(killer, live=slowly)
                assert outcome.run.counts.read == many + 3
                assert published_rows(sqlite_stores) == after
            else:
                with pytest.raises(SourceError, match="transaction stopped answering after"):
                    runner.refresh(killer, live=slowly)
                assert published_rows(sqlite_stores) == before
                assert sqlite_stores.runs.recent(1)[0].status is RunStatus.FAILED
            assert killer.read_before is not None
            assert killer.read_before < many, "it was killed too late"
        finally:
            killer.close()
