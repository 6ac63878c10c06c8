"""A slow store: only requests that need it wait, in a queue of limited length."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

import pytest
from api_client import FRESHNESS_S, KEYS_ONLY, MERCHANTS, SUMMARY, Api, add_key, problem, revoke
from examples import NOW_MS, run
from sales import publish, published_in
from sending import NOTIFICATIONS
from slow_store import WAIT_S, SlowStore

from api.store_access import PATIENCE_S
from core.calendar import Mode
from core.stores import open_stores
from core.stores.api_keys import Scope
from core.stores.runs import RunStatus

WARM: dict[str, Any] = {"path": SUMMARY, "query": "mode=daily&type=amount"}
AT_ONCE_S = 5.0
"""Far less than any wait for the store in these tests, on a noisy machine."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


def cold(number: int, **more: Any) -> dict[str, Any]:
    """A question that was not asked before."""
    return {"path": SUMMARY, "query": f"mode=daily&type=count&limit={number}"} | more


def test_cached_responses_health_and_metrics_do_not_wait_for_the_store(url: str) -> None:
    key = add_key(url, list(Scope))
    api = Api(url, KEYS_ONLY, settles=False, patience_s=PATIENCE_S)
    store = SlowStore(api)
    assert api.ask(**WARM, key=key).status_code == 200
    assert "store_up 1.0" in api.ask("/metrics", key=key).text
    with store.asked_by(*(cold(number, key=key) for number in range(1, 9))) as answers:
        store.wait_for(1)
        began = time.monotonic()
        for _ in range(8):  # for four times the freshness: the key and what is published are asked for in vain
            api.moment.advance(FRESHNESS_S / 2)
            assert api.ask(**WARM, key=key).status_code == 200
            assert api.ask("/healthz").status_code == 200
        assert "store_up 1.0" in api.ask("/metrics", key=key).text
        assert time.monotonic() - began < AT_ONCE_S
        assert not any(answer.done() for answer in answers)
    assert [answer.result().status_code for answer in answers] == [200] * 8


def test_a_key_that_was_idle_does_not_wait_for_the_store(url: str) -> None:
    till, prometheus = add_key(url, [Scope.SUMMARIES]), add_key(url, [Scope.OPERATE])
    api = Api(url, KEYS_ONLY, settles=False, patience_s=PATIENCE_S)
    store = SlowStore(api)
    assert api.ask(**WARM, key=till).status_code == 200
    assert "store_up 1.0" in api.ask("/metrics", key=prometheus).text
    began = time.monotonic()
    with store.slow():
        ups = []
        for _ in range(4):
            api.moment.advance(15)
            assert api.ask(**WARM, key=till).status_code == 200
            ups.append("store_up 1.0" in api.ask("/metrics", key=prometheus).text)
        assert time.monotonic() - began < AT_ONCE_S
        assert ups == [True, False, False, False]  # as it has not answered the scrape before


def test_a_key_revoked_during_an_outage_is_refused_after_it_and_writes_nothing(url: str) -> None:
    key = add_key(url, list(Scope))
    api = Api(url, KEYS_ONLY, settles=False, patience_s=PATIENCE_S)
    store = SlowStore(api)
    assert api.ask(**WARM, key=key).status_code == 200
    api.moment.advance(FRESHNESS_S * 1.5)
    with store.asked_by({"path": NOTIFICATIONS, "method": "POST", "key": key}) as (write,):
        store.wait_for(1)
        revoke(url, key)
        assert api.ask(**WARM, key=key).status_code == 200
    assert problem(write.result()) == (401, "bad-key")
    assert problem(api.ask(**WARM, key=key)) == (401, "bad-key")


def test_a_publication_during_an_outage_is_served_afterwards(url: str) -> None:
    api = Api(url, settles=False)
    store = SlowStore(api)
    before = api.ask(**WARM)
    with store.slow():
        publish(url, generation=2, at_ms=api.clock() + 1)
        for _ in range(8):
            api.moment.advance(FRESHNESS_S / 2)
            assert api.ask(**WARM).headers["etag"] == before.headers["etag"]
    api.moment.advance()
    deadline = time.monotonic() + 40
    while api.ask(**WARM).headers["etag"] == before.headers["etag"]:
        assert time.monotonic() < deadline
        api.moment.advance()


def test_with_a_full_queue_requests_are_refused_immediately(url: str) -> None:
    api = Api(url, {"api_queue": 3})
    store = SlowStore(api)
    api.ask(**WARM)
    with store.asked_by(*(cold(number) for number in range(1, 6))) as answers:
        done = wait(answers, timeout=WAIT_S, return_when=FIRST_COMPLETED).done
        assert [problem(answer.result()) for answer in done] == [(503, "overloaded")]  # one is asked, three wait
        began = time.monotonic()
        refused = api.ask(**cold(9))
        assert problem(refused) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert api.ask(**WARM).status_code == 200
        assert time.monotonic() - began < AT_ONCE_S
    assert sorted(answer.result().status_code for answer in answers) == [200] * 4 + [503]
    assert api.ask(**cold(9)).status_code == 200


def test_the_queue_of_other_requests_is_limited(url: str) -> None:
    api = Api(url, {"api_threads": 1, "api_queue": 1}, settles=False)
    store = SlowStore(api)
    with store.asked_by(*[{"path": "/api/status"}] * 3) as answers:
        done = wait(answers, timeout=WAIT_S, return_when=FIRST_COMPLETED).done
        assert [problem(answer.result()) for answer in done] == [(503, "overloaded")]
    assert sorted(answer.result().status_code for answer in answers) == [200, 200, 503]


def test_cached_responses_do_not_wait_for_readiness_checks(url: str) -> None:
    key = add_key(url, list(Scope))
    api = Api(url, KEYS_ONLY | {"api_queue": 1, "api_max_age_s": 60}, settles=False)
    store = SlowStore(api)
    for _ in range(2):
        assert api.ask(**WARM, key=key).status_code == 200
    with store.asked_by(*[{"path": "/readyz"}] * 8) as ready:
        store.wait_for(1)
        for _ in range(2):
            api.moment.advance(FRESHNESS_S * 0.4)
            assert [api.ask(**WARM, key=key).status_code for _ in range(3)] == [200] * 3
    assert {answer.result().status_code for answer in ready} == {200}


def test_readiness_reports_the_last_known_state(url: str) -> None:
    with open_stores(url, timeout_s=10) as stores:
        for status in (RunStatus.PUBLISHED, RunStatus.FAILED):
            stores.runs.update(stores.runs.begin(run()).ended(status, NOW_MS))
    api = Api(url, settles=False)
    store = SlowStore(api)
    assert api.ask("/readyz").json["status"] == "degraded"
    with store.slow():
        for _ in range(3):
            api.moment.advance(FRESHNESS_S * 0.6)
            assert api.ask("/readyz").json["status"] == "degraded"
        store.wait_for(1)


def test_with_a_full_queue_a_cached_key_works_for_a_minute(url: str) -> None:
    key, *others = [add_key(url, [Scope.SUMMARIES]) for _ in range(5)]
    api = Api(url, KEYS_ONLY | {"api_queue": 1}, settles=False)
    store = SlowStore(api)
    assert api.ask(**WARM, key=key).status_code == 200
    with store.asked_by(*({**WARM, "key": other} for other in others)) as answers:
        done = wait(answers, timeout=WAIT_S, return_when=FIRST_COMPLETED).done
        assert [problem(answer.result()) for answer in done] == [(503, "overloaded")]  # two are asked, one waits
        for seconds in (FRESHNESS_S * 0.6, 60):
            api.moment.advance(seconds)
            assert [api.ask(**WARM, key=key).status_code for _ in range(3)] == [200] * 3
        api.moment.advance(FRESHNESS_S * 0.6)
        assert problem(api.ask(**WARM, key=key)) == (503, "overloaded")
    assert api.ask(**WARM, key=key).status_code == 200


@pytest.mark.parametrize("question", [cold(1), {"path": MERCHANTS, "query": "limit=1"}])
def test_concurrent_equal_cache_misses_are_computed_once(url: str, question: dict[str, Any]) -> None:
    api = Api(url, {"api_threads": 4})
    store = SlowStore(api)
    api.ask(**WARM)
    before = store.asked
    with store.asked_by(*[question] * 12) as answers:
        store.wait_for(1)
    assert len({answer.result().content for answer in answers}) == 1
    assert {answer.result().status_code for answer in answers} == {200}
    assert store.asked - before == 2  # for the answer, and whether it is still what is published


def test_an_unknown_merchant_is_an_error_only_for_the_requests_for_it(url: str) -> None:
    api = Api(url)
    store = SlowStore(api)
    api.ask(**WARM)
    merchants = ("shop-1", "nobody", "shop-2", "nothing", "shop-1")
    questions = [{"path": SUMMARY, "query": f"mode=daily&type=count&merchant_id={one}"} for one in merchants]
    with store.asked_by(*questions) as answers:
        store.wait_for(1)
    for merchant, answer in zip(merchants, answers, strict=True):
        if merchant.startswith("no"):
            assert problem(answer.result()) == (404, "unknown-merchant")
        else:
            with open_stores(url, timeout_s=10) as stores:
                series = stores.summaries.series(Mode.DAILY, "count", merchant)
            assert answer.result().json == [point._asdict() for point in series]


def test_a_failure_reaches_every_waiting_request_and_is_not_cached(url: str) -> None:
    api = Api(url)
    store = SlowStore(api)
    api.ask(**WARM)
    unknown: dict[str, Any] = {"path": SUMMARY, "query": "mode=daily&type=count&merchant_id=nobody"}
    with store.asked_by(*[unknown] * 4) as answers:
        store.wait_for(1)
    assert {problem(answer.result()) for answer in answers} == {(404, "unknown-merchant")}
    publish(url, {"nobody": {"1403/01/01": (1, 1)}}, generation=2)
    api.moment.advance()
    assert api.ask(**unknown).status_code == 200
