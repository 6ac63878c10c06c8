"""The condition of the summaries: consecutive failures, missed refreshes, freshness and rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from examples import NOW_MS, publication, run, uniform
from prepared_store import open_prepared

from core.stores import Stores
from core.stores.condition import Condition, FreshnessLimits, Refreshes, failures_of, refreshes_of
from core.stores.runs import HEARTBEAT_LIMIT_S, Counts, Run, RunStatus

ROWS: Final = uniform(1, merchants=1, days=1)
PUBLISHED: Final = replace(publication(1, ROWS), complete_until_ms=NOW_MS)
LIVE: Final = "mongodb://db1/shop.transaction"
EVERY_MS: Final = 300_000
UNCHANGED, FAILED = RunStatus.UNCHANGED, RunStatus.FAILED


def refresh(number: int, at_ms: int, status: RunStatus = UNCHANGED, **changes: Any) -> Run:
    """Refresh `number`, which began at `at_ms` after `NOW_MS` and took a second."""
    begun = replace(run(at_ms=NOW_MS + at_ms), id=number, incremental=True, sources=(LIVE,), as_of_ms=NOW_MS + at_ms)
    ended = begun if status is RunStatus.RUNNING else begun.ended(status, NOW_MS + at_ms + 1000)
    return replace(ended, **{"generation": 1 if ended.succeeded else None} | changes)


def every(*instants_ms: int) -> list[Run]:
    """Refreshes that began at these instants and succeeded, newest first."""
    return [refresh(number, at_ms) for number, at_ms in enumerate(instants_ms, 1)][::-1]


FIVE: Final = tuple(number * EVERY_MS for number in range(5))
"""The beginnings of five refreshes, five minutes from one to the next."""


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def add(stores: Stores, runs: Sequence[Run]) -> None:
    """Add `runs`, newest first, to the ledger."""
    for one in reversed(runs):
        begun = stores.runs.begin(replace(one, status=RunStatus.RUNNING, ended_at_ms=None))
        stores.runs.update(replace(one, id=begun.id))


def condition(stores: Stores, after_ms: int, **limits: float) -> Condition:
    return Condition.read(stores, NOW_MS + after_ms, FreshnessLimits(**limits))


def test_a_live_source_is_stale_after_three_missed_refreshes(stores: Stores) -> None:
    stores.summaries.publish(PUBLISHED, ROWS)
    add(stores, every(*FIVE))
    last_ms = FIVE[-1]
    well = condition(stores, last_ms + 3 * EVERY_MS - 1)
    assert (well.state, well.degraded_by) == ("ok", ())
    assert well.refreshes == Refreshes(300, NOW_MS + last_ms, NOW_MS + last_ms)
    assert well.refreshes.due_ms == NOW_MS + last_ms + EVERY_MS
    stale = condition(stores, last_ms + 3 * EVERY_MS)
    assert (stale.state, stale.degraded_by) == ("degraded", ("missed_refreshes",))
    add(stores, [refresh(6, last_ms + 3 * EVERY_MS)])
    assert condition(stores, last_ms + 3 * EVERY_MS + 2000).state == "ok"


def test_failures_in_a_row_degrade_the_state_until_a_success(stores: Stores) -> None:
    stores.summaries.publish(PUBLISHED, ROWS)
    died = refresh(3, 3000, RunStatus.DIED)
    add(stores, [died, refresh(2, 2000, RunStatus.INTERRUPTED), refresh(1, 0)])
    found = condition(stores, 4000)
    assert (found.state, found.degraded_by) == ("degraded", ("failures",))
    assert [one.id for one in found.failures] == [3, 2]
    add(stores, [refresh(4, 4000)])
    found = condition(stores, 6000)
    assert (found.state, found.failures) == ("ok", ())


def test_every_reason_for_a_degraded_state_is_listed(stores: Stores) -> None:
    stores.summaries.publish(PUBLISHED, ROWS)
    rejecting = replace(refresh(5, FIVE[4]), counts=Counts(read=3, counted=2, rejected=1))
    add(stores, [refresh(6, FIVE[4] + EVERY_MS, FAILED), rejecting, *every(*FIVE[:4])])
    found = condition(stores, FIVE[4] + 4 * EVERY_MS, max_age_s=900)
    assert found.degraded_by == ("rejects", "failures", "missed_refreshes", "age")


def test_without_a_publication_the_state_is_empty(stores: Stores) -> None:
    add(stores, [refresh(2, 1000, FAILED), refresh(1, 0, FAILED)])
    found = condition(stores, 5000, max_age_s=1)
    assert (found.state, found.degraded_by, len(found.failures), found.freshness) == ("empty", (), 2, None)


class TestFailures:
    def test_an_active_run_neither_adds_nor_clears_failures(self) -> None:
        runs = [refresh(3, 3000, RunStatus.RUNNING), refresh(2, 2000, FAILED), refresh(1, 0)]
        assert [one.id for one in failures_of(runs, PUBLISHED, NOW_MS + 4000)] == [2]

    def test_a_run_with_an_old_heartbeat_is_dead(self) -> None:
        silent = refresh(2, 2000, RunStatus.RUNNING)
        limit_ms = round(HEARTBEAT_LIMIT_S * 1000)
        assert failures_of([silent], PUBLISHED, NOW_MS + 2000 + limit_ms) == ()
        (found,) = failures_of([silent], PUBLISHED, NOW_MS + 2001 + limit_ms)
        assert (found.status, found.ended_at_ms) == (RunStatus.DIED, silent.heartbeat_at_ms)

    def test_a_silent_run_that_published_has_not_failed(self) -> None:
        silent = refresh(1, 0, RunStatus.RUNNING)
        assert failures_of([silent], PUBLISHED, NOW_MS + 10**9) == ()


class TestSchedule:
    @pytest.mark.parametrize(
        "instants_ms",
        [(0, EVERY_MS, 2 * EVERY_MS), (0, 10_000, 90_000, 95_000, 600_000), (0, 6000, 12_000, 18_000, 24_000)],
        ids=["two intervals only", "by hand now and then", "by hand one after another"],
    )
    def test_too_few_refreshes_give_no_usual_interval(self, instants_ms: tuple[int, ...]) -> None:
        assert refreshes_of(every(*instants_ms)) is None

    def test_outages_jitter_and_manual_refreshes_do_not_change_the_usual_interval(self) -> None:
        usual = [0, 300_900, 599_000, 901_000, 1_200_000, 1_230_000, 1_500_000, 20_000_000, 20_300_000]
        found = refreshes_of(every(*usual))
        assert found is not None
        assert found.every_s == pytest.approx(300, abs=3)

    def test_a_new_schedule_is_detected_after_six_refreshes(self) -> None:
        nightly = [number * 86_400_000 for number in range(10)]
        often = [nightly[-1] + number * EVERY_MS for number in range(1, 7)]
        assert refreshes_of(every(*nightly, *often)) == Refreshes(300, NOW_MS + often[-1], NOW_MS + often[-1])

    def test_failed_refreshes_count_for_the_schedule_but_not_for_freshness(self) -> None:
        runs = [refresh(6, FIVE[-1] + EVERY_MS, FAILED), *every(*FIVE)]
        assert refreshes_of(runs) == Refreshes(300, NOW_MS + FIVE[-1] + EVERY_MS, NOW_MS + FIVE[-1])

    def test_runs_that_are_no_refreshes_do_not_count_for_the_schedule(self) -> None:
        repair = replace(run(at_ms=NOW_MS + FIVE[-1] + 1), id=9, days_changed=2).ended(
            RunStatus.PUBLISHED, NOW_MS + 10**7
        )
        found = refreshes_of([repair, *every(*FIVE)])
        assert found == Refreshes(300, NOW_MS + FIVE[-1], NOW_MS + FIVE[-1])

    @pytest.mark.parametrize(
        ("source", "expected"), [(LIVE, True), ("mongodb+srv://db/shop", True), ("mongodb.bson", False), ("-", False)]
    )
    def test_no_refresh_is_expected_after_a_full_rebuild_from_an_export(self, source: str, expected: bool) -> None:
        at_ms = NOW_MS + FIVE[-1] + 1000
        rebuilt = replace(run(at_ms=at_ms), id=9, sources=(source,)).ended(RunStatus.PUBLISHED, at_ms + 5000)
        found = refreshes_of([rebuilt, *every(*FIVE)])
        assert found == (Refreshes(300, at_ms, at_ms) if expected else None)

    def test_the_schedule_setting_overrides_the_ledger(self) -> None:
        assert refreshes_of(every(*FIVE), 60) == Refreshes(60, NOW_MS + FIVE[-1], NOW_MS + FIVE[-1])
        rebuilt = replace(run(), id=1).ended(RunStatus.PUBLISHED, NOW_MS + 5000)
        assert refreshes_of([rebuilt], 60) == Refreshes(60, NOW_MS, NOW_MS)
        assert refreshes_of([refresh(1, 0, FAILED)], 60) is None

    def test_a_refresh_that_takes_longer_than_the_interval_is_not_missed(self) -> None:
        long = replace(refresh(1, 0), ended_at_ms=NOW_MS + 600_000)
        assert refreshes_of([long], 60) == Refreshes(600, NOW_MS, NOW_MS)

    def test_a_clock_set_back_causes_no_missed_refresh(self) -> None:
        assert Refreshes(60, NOW_MS, NOW_MS).missed(NOW_MS - 10**9) == 0


class TestRuns:
    def test_a_run_has_a_duration_and_a_rate(self) -> None:
        ended = replace(refresh(1, 0), counts=Counts(read=500, counted=500), ended_at_ms=NOW_MS + 2500)
        assert (ended.duration_s, ended.documents_per_s) == (2.5, 200)
        under_way = replace(run(), heartbeat_at_ms=NOW_MS + 4000, counts=Counts(read=100, counted=100))
        assert (under_way.duration_s, under_way.documents_per_s) == (None, 25)
        assert run().documents_per_s is None
