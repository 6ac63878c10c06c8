"""Concurrent rebuilds of one store: the run lock, takeover, and a single publication, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from rebuilding import AtPhase, Workshop
from transactions import published_rows, spread, summaries_of, write_bson

from core.errors import PublicationLost, RunHeld, RunTakenOver, SourceError, UsageError
from core.stores import open_stores, wall_clock_ms
from core.stores.runs import HEARTBEAT_LIMIT_S, RunStatus
from jobs.rebuild import RebuildRequest

OLD = spread(["old", "a"], days=30)
SLOW = spread(["slow", "a"], days=30)
FAST = spread(["fast", "a"], days=30)


def much_later_ms() -> int:
    """When a heartbeat of now is too old."""
    return wall_clock_ms() + int(HEARTBEAT_LIMIT_S * 1000) + 60_000


class TwoWorkshops:
    """Two users of one store: the clock of the second runs ahead, so that it takes over whatever the first does."""

    def __init__(self, slow: Workshop, fast: Workshop, folder: Path) -> None:
        self.slow = slow
        self.fast = fast
        self.slow_request = RebuildRequest((write_bson(folder / "slow.bson", SLOW),))
        self.fast_request = RebuildRequest((write_bson(folder / "fast.bson", FAST),))
        self.old_request = RebuildRequest((write_bson(folder / "old.bson", OLD),))


@pytest.fixture
def two(store_url: str, tmp_path: Path) -> Iterator[TwoWorkshops]:
    with ExitStack() as stack:
        first = stack.enter_context(open_stores(store_url, timeout_s=10))
        second = stack.enter_context(open_stores(store_url, timeout_s=10, clock=much_later_ms))
        yield TwoWorkshops(Workshop(first, tmp_path), Workshop(second, tmp_path, clock=much_later_ms), tmp_path)


def test_the_error_of_a_second_rebuild_names_the_running_one(store_url: str, tmp_path: Path) -> None:
    with open_stores(store_url, timeout_s=10) as first, open_stores(store_url, timeout_s=10) as second:
        slow, request = Workshop(first, tmp_path), RebuildRequest((write_bson(tmp_path / "a.bson", SLOW),))
        refused: list[RunHeld] = []

        def second_rebuild() -> None:
            with pytest.raises(RunHeld) as refusal:
                Workshop(second, tmp_path).rebuild(replace(request, truncate=True))
            refused.append(refusal.value)

        outcome = slow.rebuild(request, AtPhase("publishing", second_rebuild))
        holder = outcome.run.holder
        sentence = f"run 1 (rebuild) is active in process {holder.process_id} on {holder.host} since "
        assert refused[0].sentence.startswith(sentence)
        assert published_rows(first) == summaries_of(SLOW)
        assert [run.id for run in first.runs.recent(9)] == [1]


@pytest.mark.parametrize(
    ("how", "phase"),
    [
        ("first", "publishing"),
        ("truncate", "checking"),
        ("range", "publishing"),
        pytest.param("first", "checking", marks=pytest.mark.thorough),
        pytest.param("truncate", "publishing", marks=pytest.mark.thorough),
        pytest.param("range", "checking", marks=pytest.mark.thorough),
    ],
)
def test_a_taken_over_run_cannot_publish_over_its_successor(two: TwoWorkshops, phase: str, how: str) -> None:
    """Its heartbeat was too old, as after suspend; the other has published; now it resumes."""
    request = two.slow_request
    if how != "first":
        two.slow.rebuild(two.old_request)
        request = replace(request, truncate=how == "truncate", first_key="1403/01/01" if how == "range" else None)
    take_over = AtPhase(phase, lambda: two.fast.rebuild(replace(two.fast_request, truncate=True)))
    with pytest.raises((RunTakenOver, PublicationLost)):
        two.slow.rebuild(request, take_over)
    assert published_rows(two.slow.stores) == summaries_of(FAST)
    fast, slow = two.slow.stores.runs.recent(2)
    assert (fast.status, slow.status) == (RunStatus.PUBLISHED, RunStatus.DIED)
    assert slow.generation is None


@pytest.mark.parametrize(
    ("how", "phase"),
    [
        ("truncate", "publishing"),
        ("range", "checking"),
        pytest.param("truncate", "checking", marks=pytest.mark.thorough),
        pytest.param("range", "publishing", marks=pytest.mark.thorough),
    ],
)
def test_a_taken_over_run_publishes_nothing_even_if_its_successor_failed(
    two: TwoWorkshops, phase: str, how: str
) -> None:
    """Its generation is still free then, but its row in the ledger is closed."""
    two.slow.rebuild(two.old_request)
    request = replace(two.slow_request, truncate=how == "truncate", first_key="1403/01/01" if how == "range" else None)

    def take_over_and_fail() -> None:
        with pytest.raises(SourceError):
            two.fast.rebuild(RebuildRequest(("no-such-file.bson",), truncate=True))

    with pytest.raises((RunTakenOver, PublicationLost), match="taken over"):
        two.slow.rebuild(request, AtPhase(phase, take_over_and_fail))
    assert published_rows(two.slow.stores) == summaries_of(OLD)
    assert [run.status for run in two.slow.stores.runs.recent(2)] == [RunStatus.FAILED, RunStatus.DIED]


def test_a_run_is_refused_if_the_store_was_filled_while_it_waited(store_url: str, tmp_path: Path) -> None:
    """The store was empty when the run started and full when it got the lock, without an option of what to replace."""
    source = write_bson(tmp_path / "a.bson", SLOW)
    with open_stores(store_url, timeout_s=10) as first, open_stores(store_url, timeout_s=10) as second:
        fast = Workshop(second, tmp_path)
        turns: list[int] = []

        def clock() -> int:
            if not turns:  # it is called between the two reads of the store
                turns.append(1)
                fast.rebuild(RebuildRequest((write_bson(tmp_path / "b.bson", FAST),)))
            return wall_clock_ms()

        with pytest.raises(UsageError, match="the store already has"):
            Workshop(first, tmp_path, clock=clock).rebuild(RebuildRequest((source,)))
        assert published_rows(first) == summaries_of(FAST)
        assert [run.status for run in first.runs.recent(9)] == [RunStatus.FAILED, RunStatus.PUBLISHED]
