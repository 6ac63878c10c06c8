"""Scheduled refreshes by beat: each in its own process, one at a time, with a time limit."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from examples import run as run_of
from notifier_services import notifier_services, wait_until
from pymongo import MongoClient
from pymongo.collection import Collection
from unmeasured import unmeasured

from core.notifications.broker import REFRESH
from core.stores import open_stores, wall_clock_ms
from core.stores.runs import RunStatus
from jobs.runs.supervision import Ended, refresh_once

TIMEOUT_S = 60


@pytest.fixture
def shop(mongo_database_url: str) -> Iterator[Collection[dict[str, Any]]]:
    """A live collection with one transaction of today."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(mongo_database_url) as client:
        collection: Collection[dict[str, Any]] = client.get_default_database()["transaction"]
        collection.insert_one({"merchantId": "m1", "amount": 7, "createdAt": datetime.now(UTC)})
        yield collection


@pytest.fixture
def store_of_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store, which the environment names as well."""
    url = f"sqlite:///{tmp_path / 's.db'}"
    monkeypatch.setenv("STORE_URL", url)
    monkeypatch.setenv("QUARANTINE_DIR", str(tmp_path / "quarantine"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    for name in set(os.environ).difference(unmeasured()):  # the refreshes themselves
        monkeypatch.delenv(name)
    return url


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def silent_url(silent: socket.socket) -> str:
    """A live collection on it."""
    return f"mongodb://127.0.0.1:{silent.getsockname()[1]}/shop"


def test_beat_refreshes_the_summaries_from_the_collection(
    tmp_path: Path,
    shop: Collection[dict[str, Any]],
    mongo_database_url: str,
    missing: Callable[[str], NoReturn],
) -> None:
    with notifier_services(tmp_path, missing) as made:
        variables = {
            "SOURCE_URL": mongo_database_url,
            "REFRESH_EVERY_S": "1",
            "REFRESH_OPTIONS": "--updated-field updatedAt --look-back 0",
            "QUARANTINE_DIR": str(tmp_path / "quarantine"),
        }
        made.run_worker(1, **variables)
        made.run("beat", "-l", "info", **variables)

        def counted() -> int:
            published = made.stores.summaries.published()
            return 0 if published is None else published.total_count

        wait_until(lambda: counted() == 1, TIMEOUT_S, made.logs)
        long_ago = datetime.now(UTC) - timedelta(days=100)
        shop.insert_one({"merchantId": "m1", "amount": 8, "createdAt": long_ago, "updatedAt": datetime.now(UTC)})
        wait_until(lambda: counted() == 2, TIMEOUT_S, made.logs)
        output = [
            json.loads(line) for line in made.running[0].log.read_text().splitlines() if '"event":"refresh' in line
        ]
        assert {line["event"] for line in output} == {"refreshed"}
        assert {line["status"] for line in output} >= {"published"}
        runs = made.stores.runs.recent(100)
        assert all(run.command.endswith("--look-back 0 --updated-field updatedAt") for run in runs)
        # Beat goes on when a worker has died in the middle of a refresh, and the next one catches up.
        made.running[0].kill_all()
        shop.insert_one({"merchantId": "m2", "amount": 9, "createdAt": datetime.now(UTC)})
        made.run_worker(1, **variables)
        wait_until(lambda: counted() == 3, TIMEOUT_S, made.logs)


def test_a_stop_signal_ends_the_refresh_and_the_worker(
    tmp_path: Path, silent_url: str, missing: Callable[[str], NoReturn]
) -> None:
    with notifier_services(tmp_path, missing) as made:
        worker = made.run_worker(1, SOURCE_URL=silent_url, QUARANTINE_DIR=str(tmp_path / "quarantine"))
        made.app.send_task(REFRESH)
        wait_until(lambda: bool(made.stores.runs.recent(1)), TIMEOUT_S, made.logs)
        assert worker.stop() == 0
        assert '"event":"refresh-stopped"' in worker.log.read_text()
        assert made.stores.runs.recent(1)[0].status is RunStatus.INTERRUPTED


def test_a_hanging_refresh_is_stopped_and_recorded_in_the_ledger(store_of_here: str, silent_url: str) -> None:
    with open_stores(store_of_here, timeout_s=10) as stores:
        for time_limit_s in (3, 10, 30):  # a loaded machine may take longer for the start alone
            ended = refresh_once([silent_url], time_limit_s=time_limit_s)
            assert ended.as_event()["event"] == "refresh-timed-out"
            if stores.runs.recent(1):
                break
        assert (ended.timed_out, ended.code) == (True, 143), ended
        assert [run.status for run in stores.runs.recent(9)] == [RunStatus.INTERRUPTED]
        assert stores.summaries.published() is None


def test_a_refresh_is_skipped_while_another_run_is_active(store_of_here: str, silent_url: str) -> None:
    with open_stores(store_of_here, timeout_s=10) as stores:
        stores.runs.begin(run_of(at_ms=wall_clock_ms()))
        event = refresh_once([silent_url], time_limit_s=TIMEOUT_S).as_event()
    assert event["event"] == "refresh-skipped"
    assert f"process {os.getpid()} on " in str(event["reason"])


def test_a_failure_is_logged_with_its_reason_and_remedy(store_of_here: str, tmp_path: Path) -> None:
    """Also where the options ask for JSON themselves, and name another store."""
    options = ["no-such.bson", "--json", "--store", f"sqlite:///{tmp_path / 'other.db'}"]
    event = refresh_once(options, time_limit_s=TIMEOUT_S).as_event()
    assert (event["event"], event["exit_code"]) == ("refresh-failed", 2)
    assert event["error"] == "no-such.bson is not a live collection"
    assert "use rebuild" in str(event["hint"])
    assert (tmp_path / "other.db").exists()


@pytest.mark.thorough
def test_a_refresh_that_shrinks_too_much_fails_until_allowed(
    store_of_here: str, shop: Collection[dict[str, Any]], mongo_database_url: str
) -> None:
    today = datetime.now(UTC)
    shop.insert_many({"merchantId": "m2", "amount": 1, "createdAt": today} for _ in range(30))
    shop.insert_one({"merchantId": "m1", "amount": 1, "createdAt": today - timedelta(days=9)})

    def event(*options: str) -> dict[str, object]:
        return refresh_once([mongo_database_url, *options], time_limit_s=TIMEOUT_S).as_event()

    assert event()["event"] == "refreshed"
    shop.delete_many({"merchantId": "m2"})
    stopped = event()
    assert (stopped["event"], stopped["exit_code"]) == ("refresh-failed", 5)
    assert "(31 published, 1 counted)" in str(stopped["error"])
    assert event("--allow-shrink")["event"] == "refreshed"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--look-back 1 --help", "it ended without a refresh, as after --help"),
        pytest.param("--version", "No such option: --version", marks=pytest.mark.thorough),
        ("--where", "Option '--where' requires an argument."),
        pytest.param("one two", "Got unexpected extra argument", marks=pytest.mark.thorough),
    ],
)
def test_invalid_refresh_options_are_reported_in_one_sentence(store_of_here: str, options: str, error: str) -> None:
    event = refresh_once(options.split(), time_limit_s=TIMEOUT_S).as_event()
    assert (event["event"], event["level"]) == ("refresh-failed", "error")
    assert str(event["error"]).startswith(error)
    assert "REFRESH_OPTIONS" in str(event["hint"])


def test_a_killed_process_is_reported_with_its_signal() -> None:
    assert Ended(-9, {}, "", False).as_event()["exit_code"] == -9


def test_a_refresh_that_published_before_its_time_limit_is_a_success() -> None:
    run = {"id": 3, "status": "published", "generation": 2, "days_changed": 1, "warnings": []}
    times = {"started_at_ms": 1_000, "ended_at_ms": 5_500}
    event = Ended(0, {"run": run | times}, "", timed_out=True).as_event()
    assert (event["event"], event["run_id"], event["seconds"]) == ("refreshed", 3, 4.5)


def test_a_worker_stopped_while_it_waits_ends_the_refresh(
    store_of_here: str, silent: socket.socket, silent_url: str
) -> None:
    class Stopped(Exception):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stopped

    main, held = threading.get_ident(), []

    def stop_when_it_reads() -> None:
        held.append(silent.accept())
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        threading.Thread(target=stop_when_it_reads, daemon=True).start()
        with pytest.raises(Stopped):
            refresh_once([silent_url], time_limit_s=TIMEOUT_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
        for connection, _ in held:
            connection.close()
    with open_stores(store_of_here, timeout_s=10) as stores:
        assert [run.status for run in stores.runs.recent(9)] == [RunStatus.INTERRUPTED]
