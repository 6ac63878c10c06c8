"""``/api/status``: the publication, its run, failures, freshness and the active run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from api_client import Api, add_key, problem
from examples import FINGERPRINT, NOW_MS, frame, publication, row, run

from core.calendar.zones import rules_digest_here
from core.stores import Stores, open_stores
from core.stores.api_keys import Scope
from core.stores.runs import Counts, Run, RunStatus

ROWS = frame([row("daily", "1403/04/04", name, 2**63 - 1, 2) for name in (None, "a", "b")])
AT_MS = NOW_MS + 1  # when `publication(1, …)` is published


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'summaries.db'}"


@pytest.fixture
def stores(url: str) -> Iterator[Stores]:
    with open_stores(url, timeout_s=10) as stores:
        yield stores


def begin(stores: Stores) -> Run:
    return stores.runs.begin(run())


def publish(
    stores: Stores, counts: Counts, rejects: dict[str, int] | None = None, complete_until_ms: int | None = NOW_MS
) -> Run:
    """One run that publishes."""
    begun = begin(stores)
    stores.summaries.publish(replace(publication(begun.id, ROWS), complete_until_ms=complete_until_ms), ROWS)
    ended = replace(
        begun.ended(RunStatus.PUBLISHED, AT_MS), counts=counts, rejects_by_reason=rejects or {}, generation=begun.id
    )
    stores.runs.update(ended)
    return ended


def test_a_good_run_is_ok_and_its_numbers_add_up(store_url: str) -> None:
    with open_stores(store_url, timeout_s=10) as stores:
        publish(stores, Counts(read=10, counted=6, filtered=3, out_of_range=1))
    answer = Api(store_url, clock=lambda: AT_MS + 90_500).ask("/api/status")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {
        "state": "ok",
        "degraded_by": [],
        "published": {
            "version": f"1-{AT_MS:x}",
            "generation": 1,
            "run_id": 1,
            "published_at": "2024-06-24T12:00:00.001Z",
            "as_of": "2024-06-24T12:00:00.000Z",
            "age_s": 90.501,
            "first_day_key": "1403/04/04",
            "last_day_key": "1403/04/04",
            "summaries": 3,
            "total_amount": 3 * (2**63 - 1),
            "total_count": 6,
            "currency": "IRR",
            "scale": 0,
            "calendar": "jalali",
            "time_zone": "Asia/Tehran",
            "zone_rules": None,
            "zone_rules_source": None,
            "zone_rules_agree": None,
            "filters": [{"field": field, "value": value} for field, value in FINGERPRINT.where],
        },
        "refreshes": None,
        "rejects": {"count": 0, "by_reason": {}},
        "conservation": {
            "read": 10,
            "counted": 6,
            "rejected": 0,
            "filtered": 3,
            "out_of_range": 1,
            "holds": True,
        },
        "warnings": [],
        "failures_in_a_row": 0,
        "last_failure": None,
        "running": None,
    }
    assert str(3 * (2**63 - 1)) in answer.text


def test_a_run_with_rejects_is_degraded(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=9, counted=2, rejected=7), {"time: missing": 3, "amount: fraction": 4})
    status = Api(url).ask("/api/status").json
    assert (status["state"], status["degraded_by"]) == ("degraded", ["rejects"])
    assert status["rejects"] == {"count": 7, "by_reason": {"amount: fraction": 4, "time: missing": 3}}
    assert status["conservation"]["holds"] is True


def test_numbers_that_do_not_add_up_are_reported(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=9, counted=2))
    assert Api(url).ask("/api/status").json["conservation"]["holds"] is False


def test_the_warnings_of_the_last_run_are_reported(url: str, stores: Stores) -> None:
    published = publish(stores, Counts(read=2, counted=2))
    unchanged = begin(stores).ended(RunStatus.UNCHANGED, AT_MS)
    warnings = ("1 day(s) keep what is published",)
    stores.runs.update(replace(unchanged, generation=published.generation, warnings=warnings))
    assert Api(url).ask("/api/status").json["warnings"] == list(warnings)


def test_a_store_with_nothing_published_is_empty(url: str, stores: Stores) -> None:
    status = Api(url).ask("/api/status").json
    assert status == {
        "state": "empty",
        "degraded_by": [],
        "published": None,
        "refreshes": None,
        "rejects": None,
        "conservation": None,
        "warnings": [],
        "failures_in_a_row": 0,
        "last_failure": None,
        "running": None,
    }


def test_the_last_failure_is_shown_with_the_previous_publication(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=2, counted=2))
    for error in ("an older failure", "خطا: the dump is damaged"):
        stores.runs.update(begin(stores).ended(RunStatus.FAILED, AT_MS + 1_000, error))
    status = Api(url).ask("/api/status").json
    assert (status["state"], status["degraded_by"], status["failures_in_a_row"]) == ("degraded", ["failures"], 2)
    assert status["published"]["run_id"] == 1
    assert status["last_failure"] == {
        "run_id": 3,
        "status": "failed",
        "ended_at": "2024-06-24T12:00:01.001Z",
        "error": "خطا: the dump is damaged",
    }


def test_a_success_clears_the_failure(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=2, counted=2))
    stores.runs.update(begin(stores).ended(RunStatus.FAILED, AT_MS))
    stores.runs.update(replace(begin(stores), generation=1).ended(RunStatus.UNCHANGED, AT_MS))
    api = Api(url)
    status = api.ask("/api/status").json
    assert (status["state"], status["failures_in_a_row"], status["last_failure"]) == ("ok", 0, None)
    assert api.ask("/readyz").json["status"] == "ready"


def test_a_failure_degrades_readiness_and_summaries_are_still_served(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=2, counted=2))
    stores.runs.update(begin(stores).ended(RunStatus.DIED, AT_MS + 1_000))
    answer = Api(url).ask("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")


@pytest.mark.parametrize(("after_ms", "stale"), [(3 * 60_000 - 1, False), (3 * 60_000, True)])
def test_a_live_source_is_stale_after_three_missed_refreshes(store_url: str, after_ms: int, stale: bool) -> None:
    with open_stores(store_url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, ROWS), ROWS)
        for number in range(4):
            at_ms = NOW_MS + number * 60_000
            begun = replace(run(at_ms=at_ms), incremental=True, generation=1, as_of_ms=at_ms)
            stores.runs.update(replace(stores.runs.begin(begun), generation=1).ended(RunStatus.UNCHANGED, at_ms + 9))
    api = Api(store_url, clock=lambda: at_ms + after_ms)
    status = api.ask("/api/status").json
    assert status["degraded_by"] == (["missed_refreshes"] if stale else [])
    assert status["refreshes"] == {"every_s": 60, "due_at": "2024-06-24T12:04:00.000Z", "missed": 2 + stale}
    assert api.ask("/readyz").json["status"] == ("degraded" if stale else "ready")
    reported = dict(line.rsplit(" ", 1) for line in api.ask("/metrics").text.splitlines() if line[0] != "#")
    assert float(reported['transaction_summary_degraded{by="missed_refreshes"}']) == stale
    assert float(reported["transaction_summary_refreshes_missed"]) == 2 + stale


def test_the_schedule_comes_from_the_setting_of_beat(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=2, counted=2))
    api = Api(url, clock=lambda: NOW_MS + 300_000, settings={"refresh_every_s": 60})
    status = api.ask("/api/status").json
    assert status["degraded_by"] == ["missed_refreshes"]
    assert status["refreshes"] == {"every_s": 60, "due_at": "2024-06-24T12:01:00.000Z", "missed": 5}


@pytest.mark.parametrize("failure", [RunStatus.INTERRUPTED, RunStatus.DIED])
def test_runs_that_were_stopped_or_died_are_failures(url: str, stores: Stores, failure: RunStatus) -> None:
    stores.runs.update(begin(stores).ended(failure, AT_MS))
    assert Api(url).ask("/api/status").json["last_failure"]["status"] == failure


def test_an_active_run_is_reported_with_its_progress(url: str, stores: Stores) -> None:
    begun = begin(stores)
    stores.runs.update(replace(begun, heartbeat_at_ms=NOW_MS + 5, phase="checking", counts=Counts(read=20, counted=10)))
    assert Api(url).ask("/api/status").json["running"] == {
        "run_id": 1,
        "phase": "checking",
        "started_at": "2024-06-24T12:00:00.000Z",
        "heartbeat_at": "2024-06-24T12:00:00.005Z",
        "read": 20,
        "counted": 10,
    }


def test_a_publication_without_its_run_is_reported(url: str, stores: Stores) -> None:
    stores.summaries.publish(publication(1, ROWS, run_id=7), ROWS)
    status = Api(url).ask("/api/status").json
    assert status["state"] == "ok"
    assert (status["rejects"], status["conservation"]) == (None, None)


def test_the_age_is_never_negative_with_clock_skew(url: str, stores: Stores) -> None:
    publish(stores, Counts())
    assert Api(url, clock=lambda: 0).ask("/api/status").json["published"]["age_s"] == 0


def test_a_run_without_changes_renews_freshness(url: str, stores: Stores) -> None:
    publish(stores, Counts(read=9, counted=2, rejected=7), {"time: missing": 7})
    unchanged = replace(begin(stores), as_of_ms=AT_MS + 60_000, generation=1, incremental=True)
    stores.runs.update(unchanged.ended(RunStatus.UNCHANGED, AT_MS + 61_000))
    status = Api(url, clock=lambda: AT_MS + 62_500, settings={"api_max_age_s": 2.5}).ask("/api/status").json
    assert (status["state"], status["published"]["age_s"], status["published"]["run_id"]) == ("ok", 2.5, 1)
    assert status["rejects"] == {"count": 0, "by_reason": {}}


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.DIED])
def test_a_failed_run_does_not_renew_freshness(url: str, stores: Stores, status: RunStatus) -> None:
    publish(stores, Counts())
    stores.runs.update(replace(begin(stores), as_of_ms=AT_MS + 60_000).ended(status, AT_MS + 61_000))
    assert Api(url, clock=lambda: AT_MS + 70_000).ask("/api/status").json["published"]["age_s"] == 70.001


def test_freshness_of_an_export_is_that_of_its_data(url: str, stores: Stores) -> None:
    publish(stores, Counts(), complete_until_ms=AT_MS - 86_400_000)
    published = Api(url, clock=lambda: AT_MS).ask("/api/status").json["published"]
    assert (published["as_of"], published["age_s"]) == ("2024-06-23T12:00:00.001Z", 86_400)


def test_stale_data_degrades_readiness_and_is_still_served(url: str, stores: Stores) -> None:
    publish(stores, Counts())
    for limit_s, state, ready in ((60.002, "ok", "ready"), (60.0, "degraded", "degraded"), (0.0, "ok", "ready")):
        api = Api(url, clock=lambda: AT_MS + 60_000, settings={"api_max_age_s": limit_s})
        status = api.ask("/api/status").json
        assert (status["state"], status["degraded_by"]) == (state, ["age"] if state == "degraded" else [])
        answer = api.ask("/readyz")
        assert (answer.status_code, answer.json["status"]) == (200, ready)


def test_the_status_needs_the_operate_scope(url: str, stores: Stores) -> None:
    publish(stores, Counts())
    tokens = {scope: add_key(url, [scope]) for scope in Scope}
    api = Api(url)
    assert {scope: api.ask("/api/status", key=token).status_code for scope, token in tokens.items()} == {
        Scope.SUMMARIES: 403,
        Scope.NOTIFICATIONS: 403,
        Scope.OPERATE: 200,
    }
    answer = api.ask("/api/status", key=tokens[Scope.SUMMARIES])
    assert problem(answer) == (403, "out-of-scope")
    assert answer.json["detail"] == "This needs the scope operate."


@pytest.mark.parametrize("agrees", [True, False])
def test_the_status_compares_time_zone_rules_with_those_of_the_server(tmp_path: Path, agrees: bool) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    digest = rules_digest_here("Asia/Tehran", "jalali") if agrees else "0" * 64
    fingerprint = replace(publication(1, ROWS).fingerprint, zone_rules=digest, zone_rules_source="tzdata 2026.6")
    with open_stores(url, timeout_s=10) as stores:
        stores.summaries.publish(replace(publication(1, ROWS), fingerprint=fingerprint), ROWS)
    published = Api(url).ask("/api/status").json["published"]
    assert (published["zone_rules"], published["zone_rules_source"]) == (digest, "tzdata 2026.6")
    assert published["zone_rules_agree"] is agrees
