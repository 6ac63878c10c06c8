"""Conformance tests of the run ledger: run lock, heartbeat, takeover of dead runs, on every backend."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from effort import MONGODB_IF_THOROUGH
from examples import FINGERPRINT, NOW_MS, Script, frame, publication, run
from prepared_store import open_prepared
from pymongo import MongoClient
from pymongo.collection import Collection
from unmeasured import unmeasured

from core.errors import RunHeld, RunTakenOver
from core.stores import Stores, current_holder, open_stores, run_lock
from core.stores.runs import HEARTBEAT_LIMIT_S, Counts, Holder, RunStatus

ELSEWHERE = Holder("another-host", 4242, NOW_MS - 5_000)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(store_url: str, clock: Clock) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10, clock=clock) as opened:
        yield opened


@pytest.fixture
def dead_holder() -> Holder:
    """The holder of a process of this host that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(current_holder(), process_id=process.pid)


def test_a_new_store_has_an_empty_ledger(stores: Stores) -> None:
    assert stores.runs.get(1) is None
    assert stores.runs.recent(10) == []


def test_a_run_gets_the_next_number(stores: Stores) -> None:
    draft = run()
    first = stores.runs.begin(draft)
    assert first == replace(draft, id=1)
    assert stores.runs.get(1) == first
    stores.runs.update(first.ended(RunStatus.FAILED, NOW_MS + 1, "it failed"))
    assert stores.runs.begin(draft).id == 2


def test_a_run_is_read_back_exactly(stores: Stores) -> None:
    begun = stores.runs.begin(run())
    full = replace(
        begun,
        status=RunStatus.PUBLISHED,
        phase="done",
        heartbeat_at_ms=NOW_MS + 1,
        ended_at_ms=NOW_MS + 2,
        sources=("داده/خرید\u200cها.bson", "b.gz"),
        counts=Counts(2**62, 2**61, 2**60, 2**60, 0),
        rejects_by_reason={"customer.$amount: a fraction": 2**40, "time: null": 1},
        warnings=("merchant 42 is both a number and text",),
        generation=7,
        first_day_key="1403/04/04",
        last_day_key="1403/04/31",
        quarantine="quarantine/run-1.jsonl",
        rejects_kept=2**40,
        error="«نشد»",
    )
    stores.runs.update(full)
    assert stores.runs.get(1) == full
    assert stores.runs.recent(1) == [full]


def test_names_that_are_not_valid_utf_8_are_escaped(stores: Stores) -> None:
    begun = stores.runs.begin(replace(run(), command="rebuild a\udcff", sources=("a\udcff",)))
    found = stores.runs.get(begun.id)
    assert found is not None
    assert (found.command, found.sources) == ("rebuild a\\udcff", ("a\\udcff",))


def test_an_unknown_run_cannot_be_updated(stores: Stores) -> None:
    with pytest.raises(LookupError, match="no run 9"):
        stores.runs.update(replace(run(), id=9))
    assert stores.runs.recent(10) == []


def test_recent_gives_the_latest_first(stores: Stores) -> None:
    for _ in range(12):
        stores.runs.update(stores.runs.begin(run()).ended(RunStatus.INTERRUPTED, NOW_MS))
    assert [found.id for found in stores.runs.recent(3)] == [12, 11, 10]
    assert [found.id for found in stores.runs.recent(100)] == list(range(12, 0, -1))
    assert stores.runs.recent(0) == []


def test_the_latest_run_that_found_a_publication_unchanged_is_found(stores: Stores) -> None:
    published = publication(7, frame([]), run_id=2)
    statuses = [
        (RunStatus.UNCHANGED, 7),
        (RunStatus.PUBLISHED, 7),
        (RunStatus.UNCHANGED, 7),
        (RunStatus.UNCHANGED, 7),
        (RunStatus.FAILED, 7),
        (RunStatus.UNCHANGED, 8),
    ]
    found = []
    for status, generation in statuses:
        begun = stores.runs.begin(run())
        stores.runs.update(replace(begun, generation=generation).ended(status, NOW_MS))
        found.append(stores.runs.found_unchanged(published))
    assert found == [None, None, stores.runs.get(3), *[stores.runs.get(4)] * 3]


def test_a_run_is_silent_once_its_last_heartbeat_is_older_than_the_limit() -> None:
    begun, limit_ms = run(), int(HEARTBEAT_LIMIT_S * 1000)
    assert not begun.is_silent(NOW_MS + limit_ms)
    assert begun.is_silent(NOW_MS + limit_ms + 1)
    assert not begun.ended(RunStatus.FAILED, NOW_MS).is_silent(NOW_MS + 2 * limit_ms)


def test_a_live_run_locks_the_ledger(stores: Stores, clock: Clock) -> None:
    begun = stores.runs.begin(run())
    clock.now_ms += 30_000
    with pytest.raises(RunHeld) as caught:
        stores.runs.begin(run())
    holder = begun.holder
    assert caught.value.sentence == (
        f"run 1 (rebuild --truncate dump.archive) is active in process {holder.process_id} on {holder.host} "
        "since 2024-06-24 12:00:00 UTC; its last heartbeat was 30 s ago"
    )
    assert "120 s" in caught.value.hint
    assert stores.runs.recent(10) == [begun]


def test_a_run_whose_process_died_is_taken_over(stores: Stores, dead_holder: Holder) -> None:
    begun = stores.runs.begin(run(dead_holder))
    assert stores.runs.begin(run()).id == 2
    assert stores.runs.get(1) == replace(begun, status=RunStatus.DIED, ended_at_ms=NOW_MS)


def test_a_reused_process_id_does_not_keep_the_lock(stores: Stores) -> None:
    place, _, started = str(current_holder().identity).rpartition(" ")
    stores.runs.begin(run(replace(current_holder(), identity=f"{place} {int(started) - 1}")))
    assert stores.runs.begin(run()).id == 2


def test_a_changed_clock_does_not_release_the_lock(stores: Stores) -> None:
    started_ms = current_holder().process_started_ms
    stores.runs.begin(run(replace(current_holder(), process_started_ms=started_ms - 3_600_000)))
    with pytest.raises(RunHeld):
        stores.runs.begin(run())


@pytest.mark.parametrize(
    "where", ["in another container", "before the host was started again", "by an earlier version"]
)
def test_a_process_of_another_host_with_the_same_name_is_not_dead(
    stores: Stores, clock: Clock, dead_holder: Holder, where: str
) -> None:
    boot, namespace, started = str(current_holder().identity).split(" ")
    identities = {
        "in another container": f"{boot} pid:[1] {started}",
        "before the host was started again": f"00000000-0000-4000-8000-000000000000 {namespace} {started}",
        "by an earlier version": None,
    }
    stores.runs.begin(run(replace(dead_holder, identity=identities[where])))
    with pytest.raises(RunHeld, match=f"process {dead_holder.process_id} on {dead_holder.host}"):
        stores.runs.begin(run())
    clock.now_ms += int(HEARTBEAT_LIMIT_S * 1000) + 1
    assert stores.runs.begin(run()).id == 2


def test_a_closed_run_stays_closed(stores: Stores, clock: Clock) -> None:
    """The process was paused, and continues after another run has taken it over."""
    paused = stores.runs.begin(run(ELSEWHERE))
    clock.now_ms += int(HEARTBEAT_LIMIT_S * 1000) + 1
    successor = stores.runs.begin(run())
    closed = stores.runs.get(paused.id)
    for written in (
        replace(paused, heartbeat_at_ms=clock.now_ms),
        replace(paused, phase="publishing"),
        paused.ended(RunStatus.PUBLISHED, clock.now_ms),
    ):
        with pytest.raises(RunTakenOver, match=f"run {paused.id} was taken over"):
            stores.runs.update(written)
    assert closed is not None
    assert closed.status is RunStatus.DIED
    assert stores.runs.recent(9) == [successor, closed]


def test_a_run_that_has_ended_stays_so(stores: Stores) -> None:
    begun = stores.runs.begin(run())
    ended = begun.ended(RunStatus.FAILED, NOW_MS + 1, "it failed")
    stores.runs.update(ended)
    with pytest.raises(RunTakenOver) as caught:
        stores.runs.update(replace(begun, heartbeat_at_ms=NOW_MS + 2))
    assert stores.runs.get(begun.id) == ended
    assert caught.value.hint == (
        "Do not pause the process or its host for so long. Run the same command again; it starts from the current "
        "publication."
    )


def test_the_end_of_a_run_may_be_written_again_by_the_driver(mongo_database_url: str) -> None:
    """It repeats a write of which the answer was lost."""
    with open_prepared(mongo_database_url, timeout_s=10) as stores:
        stores.runs.update(stores.runs.begin(run()).ended(RunStatus.INTERRUPTED, NOW_MS))
        ended = stores.runs.begin(run()).ended(RunStatus.FAILED, NOW_MS + 1)
        stores.runs.update(ended)
        stores.runs.update(ended)
        assert stores.runs.get(2) == ended


def test_a_run_followed_by_another_has_ended(mongo_database_url: str) -> None:
    """Where updates are not atomic, its process may write the row that another has just closed."""
    client: MongoClient[dict[str, Any]]
    with open_prepared(mongo_database_url, timeout_s=10) as stores, MongoClient(mongo_database_url) as client:
        for number in (1, 2, 3):
            begun = stores.runs.begin(run(at_ms=NOW_MS + number))
            if number == 1:
                stores.summaries.publish(publication(1, frame([])), frame([]))
            stores.runs.update(begun.ended(RunStatus.FAILED, NOW_MS + 10))
        rows: Collection[dict[str, Any]] = client.get_default_database()["summary_runs"]
        rows.update_many({"_id": {"$lt": 3}}, {"$set": {"status": "running", "ended_at": None}})
        second = rows.find_one_and_delete({"_id": 2})
        assert second is not None
        rows.insert_one(second)  # is stored behind the third from now on
        found = stores.runs.recent(3)
        assert [(one.status, one.ended_at_ms, one.generation) for one in found] == [
            (RunStatus.FAILED, NOW_MS + 10, None),
            (RunStatus.DIED, NOW_MS + 3, None),
            (RunStatus.PUBLISHED, NOW_MS + 2, 1),
        ]
        with pytest.raises(RunTakenOver):
            stores.runs.update(replace(found[1], status=RunStatus.RUNNING, ended_at_ms=None))


def test_only_the_owner_of_a_run_writes_its_row(stores: Stores) -> None:
    """A store restored from a backup may have a run of that number by another process."""
    begun = stores.runs.begin(run())
    for holder in (ELSEWHERE, replace(begun.holder, identity=f"{begun.holder.identity}1")):
        with pytest.raises(RunTakenOver):
            stores.runs.update(replace(begun, holder=holder, phase="checking"))
    assert stores.runs.get(begun.id) == begun


def test_a_run_on_another_host_blocks_the_ledger_until_its_heartbeat_is_too_old(stores: Stores, clock: Clock) -> None:
    begun = stores.runs.begin(run(ELSEWHERE))
    clock.now_ms = NOW_MS + int(HEARTBEAT_LIMIT_S * 1000)
    with pytest.raises(RunHeld, match="process 4242 on another-host"):
        stores.runs.begin(run())
    stores.runs.update(replace(begun, heartbeat_at_ms=NOW_MS + 1_000))
    clock.now_ms += 1_000
    with pytest.raises(RunHeld):
        stores.runs.begin(run())
    clock.now_ms += 1
    assert stores.runs.begin(run()).id == 2
    found = stores.runs.get(1)
    assert found is not None
    assert (found.status, found.ended_at_ms) == (RunStatus.DIED, clock.now_ms)


def test_a_live_run_whose_clock_is_ahead_is_not_taken_over(
    stores: Stores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heartbeats are in the future, but continue."""
    monkeypatch.setattr(run_lock, "AHEAD_WATCHED_S", 60.0)
    ahead_ms = clock.now_ms + int(HEARTBEAT_LIMIT_S * 1000) + 1
    begun = stores.runs.begin(replace(run(ELSEWHERE), heartbeat_at_ms=ahead_ms))
    ended = threading.Event()

    def beat() -> None:
        heartbeat_at_ms = ahead_ms
        while not ended.wait(0.01):
            heartbeat_at_ms += 1
            stores.runs.update(replace(begun, heartbeat_at_ms=heartbeat_at_ms))

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(RunHeld, match="120 s ahead of this host's clock: the clocks of the hosts differ"):
            stores.runs.begin(run())
    finally:
        ended.set()
        beating.join()
    assert [found.status for found in stores.runs.recent(9)] == [RunStatus.RUNNING]


def test_a_run_with_an_old_heartbeat_from_a_fast_clock_is_taken_over(
    stores: Stores, dead_holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was watched for a while; at once when its process is known to be dead."""
    a_day_ahead = replace(run(ELSEWHERE), heartbeat_at_ms=NOW_MS + 86_400_000)
    monkeypatch.setattr(run_lock, "AHEAD_WATCHED_S", 0.1)
    stores.runs.begin(a_day_ahead)
    assert stores.runs.begin(replace(a_day_ahead, holder=dead_holder)).id == 2
    monkeypatch.setattr(run_lock, "AHEAD_WATCHED_S", 3_600.0)
    assert stores.runs.begin(run()).id == 3


def test_a_run_that_had_published_before_it_died_is_closed_as_published(stores: Stores, dead_holder: Holder) -> None:
    begun = stores.runs.begin(run(dead_holder))
    rows = frame([])
    stores.summaries.publish(publication(1, rows, run_id=begun.id), rows)
    stores.runs.begin(run())
    found = stores.runs.get(begun.id)
    assert found is not None
    assert (found.status, found.generation) == (RunStatus.PUBLISHED, 1)


def test_a_run_that_ended_is_not_closed_again(stores: Stores) -> None:
    ended = stores.runs.begin(run()).ended(RunStatus.FAILED, NOW_MS, "it failed")
    stores.runs.update(ended)
    stores.runs.begin(run())
    assert stores.runs.get(1) == ended


def test_of_threads_that_begin_concurrently_one_gets_the_lock(stores: Stores, store_url: str) -> None:
    outcomes: list[int | RunHeld] = []
    barrier = threading.Barrier(6)

    def begin(own: Stores) -> None:
        barrier.wait()
        try:
            outcomes.append(own.runs.begin(run()).id)
        except RunHeld as error:
            outcomes.append(error)

    with ExitStack() as stack:
        own_stores = [stack.enter_context(open_stores(store_url, timeout_s=10, clock=Clock())) for _ in range(6)]
        threads = [threading.Thread(target=begin, args=(own,)) for own in own_stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(outcomes) == 6
    assert [outcome for outcome in outcomes if not isinstance(outcome, RunHeld)] == [1]
    assert [found.id for found in stores.runs.recent(10)] == [1]


def test_of_processes_that_begin_concurrently_one_gets_the_lock(store_url: str) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(Script("beginner.py", store_url)) for _ in range(4)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.tell("begin")
        outcomes = [process.stdout.readline() for process in processes]
    assert outcomes.count("began 1\n") == 1
    assert sum(outcome.startswith("held: run 1 ") for outcome in outcomes) == 3


@MONGODB_IF_THOROUGH
def test_containers_with_one_host_name_do_not_take_over_each_other(store_url: str) -> None:
    """Each has its own process ids, which are meaningless in the other."""
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not make a PID namespace")
    here = Path(__file__).parent
    contained = [*container, sys.executable, str(here / "beginner.py"), store_url]
    environment = unmeasured() | {"PYTHONPATH": str(here.parents[2])}
    outcomes = []
    with ExitStack() as stack:
        for _ in range(2):
            process = stack.enter_context(
                subprocess.Popen(contained, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            )
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdin.write("begin\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            outcomes.append(process.stdout.readline())
        outside = stack.enter_context(Script("beginner.py", store_url))
        outside.tell("begin")
        assert outside.stdout.readline() == "ready\n"
        outcomes.append(outside.stdout.readline())
    assert outcomes[0] == "began 1\n"
    assert [outcome.startswith("held: run 1 ") for outcome in outcomes] == [False, True, True], outcomes


def test_a_heartbeat_from_another_thread_is_stored(stores: Stores) -> None:
    begun = stores.runs.begin(run())
    beat = replace(begun, heartbeat_at_ms=NOW_MS + 1, fingerprint=FINGERPRINT, phase="checking")
    thread = threading.Thread(target=stores.runs.update, args=(beat,))
    thread.start()
    thread.join()
    assert stores.runs.get(begun.id) == beat


def test_an_unchanged_run_is_stored_with_all_fields(stores: Stores) -> None:
    begun = stores.runs.begin(run())
    ended = replace(begun, as_of_ms=NOW_MS - 7, generation=3, days_changed=0, days_kept=2).ended(
        RunStatus.UNCHANGED, NOW_MS + 1
    )
    stores.runs.update(ended)
    assert stores.runs.get(1) == ended
    assert ended.succeeded
    assert stores.runs.begin(run()).id == 2


def test_of_two_dead_runs_only_the_publishing_one_is_closed_as_published(stores: Stores, dead_holder: Holder) -> None:
    rows = frame([])
    for published in (True, False):
        begun = stores.runs.begin(run(dead_holder))
        if published:
            stores.summaries.publish(publication(1, rows, run_id=begun.id), rows)
    stores.runs.begin(run())
    one, other = stores.runs.get(1), stores.runs.get(2)
    assert one is not None
    assert other is not None
    assert [(found.status, found.generation) for found in (one, other)] == [
        (RunStatus.PUBLISHED, 1),
        (RunStatus.DIED, None),
    ]
