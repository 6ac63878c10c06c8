"""Cache warming: popular responses of a new publication are cached before it becomes current."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, SUMMARY, Api, ManualClock, on_the_loop
from examples import publication, uniform

from api.summaries.current_publication import Work, in_background
from core.stores import open_stores

DAILY = "mode=daily&type=amount"
OF_ONE = "mode=daily&type=amount&merchant_id=m0001"


@dataclass
class DeferredWork:
    """Background work that runs when the test says so."""

    waiting: list[Work] = field(default_factory=list)

    async def __call__(self, work: Work) -> None:
        self.waiting.append(work)

    def run(self) -> None:
        """Run the waiting work."""
        while self.waiting:
            on_the_loop(self.waiting.pop(0))

    def __del__(self) -> None:
        for work in self.waiting:
            work.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/summaries.db"
    publish(url, 1)
    return url


def publish(url: str, generation: int) -> None:
    rows = uniform(generation, 3, 12)
    with open_stores(url, timeout_s=10) as stores:
        stores.summaries.publish(publication(generation, rows), rows)


def value(api: Api, query: str = DAILY) -> int:
    (only,) = {point["value"] for point in api.ask(SUMMARY, query).json}
    return int(only)


def asked_twice(url: str, later: DeferredWork) -> Api:
    """An API with one series requested twice, which has then detected generation 2."""
    api = Api(url, spawn=later)
    assert [value(api), value(api)] == [1, 1]
    publish(url, 2)
    api.moment.advance(FRESHNESS_S * 0.6)
    assert value(api) == 1  # and this request noticed
    return api


def caches(api: Api) -> list[str]:
    """The cache result of each request."""
    return [line["cache"] for line in api.log()]


def test_the_previous_publication_is_served_while_the_cache_is_warmed(url: str) -> None:
    later = DeferredWork()
    api = asked_twice(url, later)
    assert value(api) == 1
    assert len(later.waiting) == 1
    later.run()
    assert value(api) == 2
    assert caches(api)[-1] == "hit"


def test_cache_warming_never_serves_the_previous_publication_beyond_the_freshness(url: str) -> None:
    api = asked_twice(url, DeferredWork())
    assert value(api) == 1
    api.moment.advance(FRESHNESS_S * 0.45)
    assert value(api) == 2


def test_a_query_requested_once_is_not_warmed(url: str) -> None:
    api = Api(url)
    for query in (DAILY, DAILY, OF_ONE):
        value(api, query)
    publish(url, 2)
    api.moment.advance()
    assert [value(api, DAILY), value(api, OF_ONE)] == [2, 2]
    assert caches(api)[-2:] == ["hit", "miss"]


def test_a_cache_miss_makes_the_new_publication_current(url: str) -> None:
    later = DeferredWork()
    api = asked_twice(url, later)
    assert value(api, OF_ONE) == 2
    assert value(api) == 2
    later.run()
    assert value(api) == 2


def test_a_publication_during_warming_becomes_current(url: str) -> None:
    later = DeferredWork()
    api = asked_twice(url, later)
    publish(url, 3)
    api.moment.advance(FRESHNESS_S * 0.6)
    assert value(api) == 3
    later.run()
    assert value(api) == 3


def test_a_removed_merchant_does_not_stop_warming(url: str) -> None:
    api = Api(url)
    of_the_gone = "mode=daily&type=amount&merchant_id=m0002"
    for query in (of_the_gone, of_the_gone, of_the_gone, DAILY, DAILY):
        value(api, query)
    rows = uniform(2, 2, 12)
    with open_stores(url, timeout_s=10) as stores:
        stores.summaries.publish(publication(2, rows), rows)
    api.moment.advance()
    assert value(api) == 2
    assert caches(api)[-1] == "hit"
    assert api.ask(SUMMARY, of_the_gone).status_code == 404


def test_a_store_failure_during_warming_makes_the_publication_current(url: str, tmp_path: Path) -> None:
    later = DeferredWork()
    api = asked_twice(url, later)
    (tmp_path / "summaries.db").rename(tmp_path / "away.db")
    later.run()
    (tmp_path / "away.db").rename(tmp_path / "summaries.db")
    api.moment.advance()
    assert value(api) == 2


def test_cache_warming_stops_at_its_time_limit(url: str) -> None:
    later = DeferredWork()
    api = Api(url, spawn=later, moment=ManualClock())
    others = [f"mode=daily&type=amount&limit={number}" for number in range(1, 9)]
    for query in (DAILY, DAILY, DAILY, *others, *others, OF_ONE, OF_ONE):
        value(api, query)
    publish(url, 2)
    api.moment.advance(FRESHNESS_S * 0.6)
    value(api)
    api.moment.step_s = FRESHNESS_S * 0.3  # so that some answers are made, and for the others there is no time
    later.run()
    api.moment.step_s = 0.0
    assert [value(api), value(api, OF_ONE)] == [2, 2]
    assert caches(api)[-2:] == ["hit", "miss"]


def test_after_an_idle_period_the_new_publication_is_served_at_once(url: str) -> None:
    later = DeferredWork()
    api = Api(url, spawn=later)
    assert [value(api), value(api)] == [1, 1]
    publish(url, 2)
    api.moment.advance(8 * 3600)
    assert value(api) == 2


def test_after_an_idle_period_no_request_gets_the_previous_publication(url: str) -> None:
    api = Api(url, spawn=in_background)
    assert [value(api), value(api)] == [1, 1]
    publish(url, 2)
    api.moment.advance(8 * 3600)
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda _: value(api), range(16), timeout=60)) == {2}


def test_warming_that_never_runs_delays_a_publication_by_the_freshness_at_most(url: str) -> None:
    api = asked_twice(url, DeferredWork())
    api.moment.advance(FRESHNESS_S * 0.6)
    assert value(api) == 2


def test_an_unexpected_warming_error_makes_the_new_publication_current(url: str) -> None:
    later = DeferredWork()
    api = asked_twice(url, later)
    (stores,) = api.stores
    stores.summaries.series_json = None  # type: ignore[method-assign, assignment]
    with pytest.raises(TypeError):
        later.run()
    del stores.summaries.series_json
    assert value(api) == 2


def test_with_zero_freshness_every_response_is_of_the_current_publication(url: str) -> None:
    api = Api(url, {"api_freshness_s": 0.0}, spawn=DeferredWork())
    assert [value(api), value(api)] == [1, 1]
    publish(url, 2)
    assert value(api) == 2


def test_a_cursor_of_a_newer_publication_is_accepted(url: str) -> None:
    knows, behind = Api(url), Api(url)
    assert value(behind) == 1
    publish(url, 2)
    address = knows.ask(SUMMARY, f"{DAILY}&limit=5").headers["link"].partition(">")[0].lstrip("<")
    following = behind.ask(SUMMARY, address.partition("?")[2])
    assert following.status_code == 200
    assert {point["value"] for point in following.json} == {2}
