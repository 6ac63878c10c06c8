"""The fast path: a request with the headers of an earlier one is answered without Falcon, with the same response."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_client import FRESHNESS_S, KEYS_ONLY, SUMMARY, Api, add_key, on_the_loop, problem, revoke
from examples import NOW_MS
from falcon.testing import ASGIResponseEventCollector, Result, create_scope
from sales import SALES, publish, published_in
from slow_store import SlowStore

from api.middleware import fast_path
from api.middleware.rate_limit import ProcessStorage
from core.stores.api_keys import Scope

QUERY = "mode=daily&type=amount"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


class UnreachableMiddleware:
    """Middleware that fails if Falcon handles a request."""

    async def process_request(self, req: Any, resp: Any) -> None:
        raise AssertionError("Falcon was asked")


def ask(api: Api, **more: Any) -> Result:
    return api.ask(SUMMARY, QUERY, **more)


def warm(api: Api, **more: Any) -> Result:
    """Send the request twice, so that response and headers are cached; returns the last response."""
    for _ in range(2):
        answer = ask(api, **more)
    return answer


def without_falcon(api: Api) -> None:
    """Fail every request that reaches Falcon from now on."""
    api.app.add_middleware(UnreachableMiddleware())


HEADERS = [{}, {"Accept-Encoding": "br"}, {"If-None-Match": "*"}, {"Origin": "https://shop.example"}]
QUERIES = [
    QUERY,
    "mode=weekly&type=count",
    "mode=daily&type=amount&limit=2",
    "mode=daily&type=amount&merchant_id=shop-1&format=csv",
    "mode=daily&type=amount&note=" + 2000 * "a",
    "mode=yearly",
    "mode=daily&type=amount&merchant_id=unknown",
    "mode=daily&type=amount&merchant_id=%DB%B1",
]


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_the_fast_path_answers_logs_and_counts_like_falcon(url: str, headers: dict[str, str]) -> None:
    settings = {"cors_origins": "https://shop.example"}
    api, falcon_only = Api(url, settings), Api(url, settings)
    falcon_only.app.fast_path = None
    for one in (api, falcon_only):
        warm(one, headers=headers)
    for query in QUERIES * 2:
        found, expected = (one.ask(SUMMARY, query, headers=headers) for one in (api, falcon_only))
        assert found.status_code == expected.status_code
        request_id, other_id = (answer.headers["x-request-id"] for answer in (found, expected))
        assert found.content == expected.content.replace(other_id.encode(), request_id.encode())
        assert dict(found.headers) | {"x-request-id": ""} == dict(expected.headers) | {"x-request-id": ""}
        line, line_of_falcon = api.log()[-1], falcon_only.log()[-1]
        assert line["request_id"] == request_id
        assert list(line) == list(line_of_falcon)
        changing = {"request_id": "", "duration_ms": 0}
        assert line | changing == line_of_falcon | changing
    counts = [
        [line for line in one.ask("/metrics").text.splitlines() if "http_requests" in line and "_created" not in line]
        for one in (api, falcon_only)
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("query", ["mode=weekly&type=count", "mode=daily&type=amount&merchant_id=shop-1&format=csv"])
def test_a_second_query_with_equal_headers_uses_the_fast_path(url: str, query: str) -> None:
    api = Api(url)
    ask(api)
    without_falcon(api)
    assert [api.ask(SUMMARY, query).status_code for _ in range(2)] == [200, 200]
    assert [line["cache"] for line in api.log()] == ["miss", "miss", "hit"]


def test_the_fast_path_enforces_the_scopes_of_the_key(url: str) -> None:
    key = add_key(url, merchants=["shop-1"])
    api = Api(url, KEYS_ONLY)
    own = "mode=daily&type=amount&merchant_id=shop-1"
    assert [api.ask(SUMMARY, own, key=key).status_code for _ in range(2)] == [200, 200]
    assert problem(ask(api, key=key)) == (403, "out-of-scope")
    assert problem(api.ask(SUMMARY, own.replace("shop-1", "shop-2"), key=key)) == (403, "out-of-scope")


def test_a_request_that_ends_with_an_error_is_counted_once(url: str) -> None:
    api = Api(url, {"api_rate_limit": "5/minute"})
    statuses = [api.ask(SUMMARY, query).status_code for query in (QUERY, *4 * ["mode=yearly"], QUERY)]
    assert statuses == [200, 400, 400, 400, 400, 429]


def test_a_request_over_the_limit_is_counted_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    count = ProcessStorage.incr

    async def note_count(storage: ProcessStorage, key: str, expiry: float) -> int:
        counts.append(await count(storage, key, expiry))
        return counts[-1]

    monkeypatch.setattr(ProcessStorage, "incr", note_count)
    api = Api(url, {"api_rate_limit": "2/minute"})
    assert [ask(api).status_code for _ in range(5)] == [200, 200, 429, 429, 429]
    assert counts == [1, 2, 3, 4, 5]


def test_a_missing_merchant_is_read_from_the_store_once(url: str) -> None:
    api = Api(url)
    store = SlowStore(api)
    warm(api)
    asked = store.asked
    assert problem(api.series(merchant_id="unknown")) == (404, "unknown-merchant")
    assert store.asked == asked + 1


@pytest.mark.parametrize(("query", "status"), [("mode=daily&type=amount&merchant_id=unknown", 404), ("mode=x", 400)])
def test_an_error_is_logged_and_counted_even_if_the_client_has_left(url: str, query: str, status: int) -> None:
    async def has_left() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    api = Api(url)
    warm(api)
    scope = create_scope(SUMMARY, query_string=query, remote_addr="127.0.0.1", host="127.0.0.1:8000")
    on_the_loop(api.app(scope, has_left, ASGIResponseEventCollector()))
    line = api.log()[-1]
    assert (line["query"], line["status"], line["route"]) == (query, status, SUMMARY)
    text = api.ask("/metrics").text
    assert f'http_requests_total{{method="GET",route="{SUMMARY}",status="{status}"}} 1.0' in text
    assert "http_requests_in_progress 1.0" in text


def test_fast_path_requests_are_counted_in_metrics(url: str) -> None:
    api = Api(url)
    for _ in range(5):
        ask(api)
    text = api.ask("/metrics").text
    assert 'http_requests_total{method="GET",route="/api/transactions/summary",status="200"} 5.0' in text
    assert 'cache_requests_total{result="hit"} 4.0' in text
    assert 'request_duration_seconds_count{route="/api/transactions/summary"} 5.0' in text
    assert "http_requests_in_progress 1.0" in text


@pytest.mark.parametrize(
    "changed",
    [
        {"peer": "10.0.0.1"},
        {"host": "example.org"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Authorization": "Bearer x"}},
        {"key": "tss_aaaaaaaaaa_" + 43 * "a"},
    ],
)
def test_a_request_that_differs_from_the_recorded_one_is_not_reused(url: str, changed: dict[str, Any]) -> None:
    api = Api(url)
    warm(api)
    assert ask(api, **changed).status_code == 401


def test_a_request_with_another_if_none_match_is_reused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "_MOST", 2)
    api = Api(url)
    first = {"Accept-Language": "fa"}
    etag = warm(api, headers=first).headers["etag"]
    for other in ("1", "2", "3"):
        assert ask(api, headers={"If-None-Match": f'"{other}"'}).status_code == 200
    without_falcon(api)
    known = {"If-None-Match": f'"other", W/{etag}'}
    assert [ask(api, headers=headers).status_code for headers in (first, {})] == [200, 200]
    assert [ask(api, headers=headers).status_code for headers in (known, first | known)] == [304, 304]


def test_recording_a_request_again_replaces_only_its_own_entry(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "_MOST", 2)
    api = Api(url)
    one, other = {"Accept-Language": "fa"}, {"Accept-Language": "en"}
    for headers in (one, other):
        warm(api, headers=headers)
    unencoded = "merchant_id=فروشگاه تهران".encode().decode("latin-1")
    assert api.ask(SUMMARY, f"{QUERY}&{unencoded}", headers=other).status_code == 200  # through Falcon
    without_falcon(api)
    assert [ask(api, headers=headers).status_code for headers in (one, other)] == [200, 200]


def test_a_request_with_large_headers_is_not_recorded(url: str) -> None:
    api = Api(url)
    small, large = ({"headers": {"Cookie": "a" * size}} for size in (1000, 2000))
    warm(api, **small)
    warm(api, **large)
    without_falcon(api)
    assert [ask(api, **small).status_code, ask(api, **large).status_code] == [200, 500]


def test_each_request_id_of_a_client_is_returned(url: str) -> None:
    api = Api(url)
    named = [ask(api, headers={"X-Request-Id": "one"}) for _ in range(4)]
    assert {answer.headers["x-request-id"] for answer in named} == {"one"}


def test_a_revoked_key_is_refused_on_the_fast_path(url: str) -> None:
    key = add_key(url, [Scope.SUMMARIES])
    api = Api(url, KEYS_ONLY)
    assert warm(api, key=key).status_code == 200
    revoke(url, key)
    api.moment.advance(FRESHNESS_S)
    assert key in repr(vars(api.app.fast_path))
    assert problem(ask(api, key=key)) == (401, "bad-key")
    assert problem(ask(api, key=key)) == (401, "bad-key")
    assert key not in repr(vars(api.app.fast_path))


def test_the_fast_path_counts_against_the_rate_limit(url: str) -> None:
    one, other = add_key(url, [Scope.SUMMARIES]), add_key(url, [Scope.SUMMARIES])
    api = Api(url, KEYS_ONLY | {"api_rate_limit": "5/minute"})
    assert [ask(api, key=one).status_code for _ in range(6)] == [200] * 5 + [429]
    assert ask(api, key=other).status_code == 200
    api.moment.advance(60)
    assert ask(api, key=one).status_code == 200


def test_a_new_publication_is_served_on_the_fast_path(url: str) -> None:
    api = Api(url)
    before = warm(api)
    without_falcon(api)
    publish(url, {**SALES, "new": {"1403/01/01": (1, 1)}}, generation=2, at_ms=NOW_MS + 1)
    api.moment.advance()
    after = [ask(api) for _ in range(3)]
    assert all(answer.headers["etag"] != before.headers["etag"] for answer in after)
    assert len({answer.content for answer in after}) == 1


@pytest.mark.parametrize(("stale_s", "status"), [(60, 200), (0, 503)])
def test_during_a_store_outage_cached_responses_are_served_for_a_limited_time(
    url: str, stale_s: int, status: int
) -> None:
    api = Api(url, {"api_stale_if_error_s": stale_s})
    warm(api)
    (stores,) = api.stores
    stores.close()
    api.moment.advance()
    assert problem(api.series("weekly")) == (503, "store-unavailable")
    assert ask(api).status_code == status
    api.moment.advance()
    assert ask(api).status_code == 200


def test_an_evicted_response_is_computed_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'many.db'}"
    publish(url, {merchant: {"1403/01/01": (1, 1), "1436/01/01": (1, 1)} for merchant in "abcd"})
    api = Api(url, {"api_cache_mb": 1})  # of which one answer takes about a third
    for merchant in "aaabcda":
        assert api.series(fill="zero", merchant_id=merchant).status_code == 200
    assert [line["cache"] for line in api.log()] == ["miss", "hit", "hit", "miss", "miss", "miss", "miss"]
