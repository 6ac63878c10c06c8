"""Series of several merchants in one request: points, bounds, and scopes of the key."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from urllib.parse import urlencode

import pytest
from api_client import SUMMARY, Api, document, problem, wrong
from api_client import add_key as add_key_to
from examples import frame, publication, row
from sales import SALES, expected_series, publish, published_in

from core.calendar import Mode
from core.stores import open_stores
from core.stores.api_keys import Scope
from core.stores.summaries import Measure

TWO = ("shop-2", "shop-1")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def query_of(*merchants: str, **more: str) -> str:
    fields = {"mode": "daily", "type": "amount", **more}
    return urlencode([*fields.items(), *(("merchant_id", merchant) for merchant in merchants)])


def expected(
    merchants: tuple[str, ...], mode: Mode = Mode.DAILY, measure: Measure = "amount"
) -> list[dict[str, object]]:
    return [
        {"merchant_id": merchant, **point}
        for merchant in sorted(merchants)
        for point in expected_series(SALES, mode, measure, merchant)
    ]


@pytest.mark.parametrize("measure", ["amount", "count"])
@pytest.mark.parametrize("mode", list(Mode))
def test_each_merchant_has_the_points_of_its_own_series(api: Api, mode: Mode, measure: Measure) -> None:
    shape = {"mode": str(mode), "type": measure}
    assert api.ask(SUMMARY, query_of(*TWO, **shape)).json == expected(TWO, mode, measure)
    assert api.ask(SUMMARY, query_of(group="merchant", **shape)).json == expected(tuple(SALES), mode, measure)


def test_group_gives_one_merchant_the_same_shape_as_several(api: Api) -> None:
    assert api.ask(SUMMARY, query_of("shop-2", group="merchant")).json == expected(("shop-2",))


def test_bounds_apply_to_each_merchant(api: Api) -> None:
    points = api.ask(SUMMARY, query_of(*TWO, **{"from": "1403/01/02", "to": "1403/01/03"})).json
    assert points == [
        {"merchant_id": "shop-1", "key": "1403/01/03", "value": 100},
        {"merchant_id": "shop-2", "key": "1403/01/02", "value": 1000},
    ]


def test_filling_gives_each_merchant_every_period(api: Api) -> None:
    for query in (query_of(*TWO, mode="weekly", fill="zero"), query_of(mode="weekly", fill="zero", group="merchant")):
        points = api.ask(SUMMARY, query).json
        for merchant in TWO:
            alone = api.series("weekly", fill="zero", merchant_id=merchant).json
            assert [point for point in points if point["merchant_id"] == merchant] == [
                {"merchant_id": merchant, **point} for point in alone
            ]


def test_csv_and_labels_have_the_merchant_first(api: Api) -> None:
    query = query_of(*TWO, locale="fa")
    answer = api.ask(SUMMARY, f"{query}&format=csv")
    assert answer.text.startswith("merchant_id,key,value,label,merchant_name\r\n")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    points = api.ask(SUMMARY, query).json
    assert rows == [{name: "" if value is None else str(value) for name, value in one.items()} for one in points]


def test_all_unknown_merchants_are_named(api: Api) -> None:
    for more in ({}, {"fill": "zero", "to": "1403/01/01"}, {"limit": "1"}):
        answer = api.ask(SUMMARY, query_of("shop-1", "nobody", "none", **more))
        assert problem(answer) == (404, "unknown-merchant")
        assert document(answer)["detail"] == "There is no merchant with the id 'nobody', 'none'."


def test_a_merchant_without_points_in_the_range_is_not_unknown(api: Api) -> None:
    assert api.ask(SUMMARY, query_of(*TWO, **{"from": "1399/01/01", "to": "1399/02/01"})).json == []


def test_the_order_of_requested_merchants_does_not_matter(tmp_path: Path) -> None:
    api = Api(published_in(tmp_path))
    one, other = (api.ask(SUMMARY, query_of(*names)) for names in (TWO, TWO[::-1]))
    assert (one.headers["etag"], one.content) == (other.headers["etag"], other.content)
    assert [line["cache"] for line in api.log()] == ["miss", "hit"]


def test_too_many_points_need_a_limit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    names = [f"m{number:04}" for number in range(5_001)]
    periods = (("daily", "1403/01/01"), ("daily", "1403/01/02"), ("monthly", "1403/01"))
    rows = frame([row(*period, name, number) for number, name in enumerate(names) for period in periods])
    with open_stores(url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)
    api = Api(url)
    for more in ({}, {"fill": "zero"}):
        refused = api.ask(SUMMARY, query_of(group="merchant", **more))
        assert "is required for more than 10,000 points" in wrong(refused)["limit"]
        page = api.ask(SUMMARY, query_of(group="merchant", limit="10000", **more))
        assert len(page.json) == 10_000
        following = page.headers["link"].partition(">")[0].partition("?")[2]
        assert [point["merchant_id"] for point in api.ask(SUMMARY, following).json] == ["m5000"] * 2
        whole = api.ask(SUMMARY, query_of(group="merchant", to="1403/01/01", **more)).json
        assert [point["value"] for point in whole] == list(range(5_001))


def test_every_backend_gives_the_same_points(store_url: str) -> None:
    publish(store_url)
    api = Api(store_url)
    assert api.ask(SUMMARY, query_of(*TWO)).json == expected(TWO)
    assert api.ask(SUMMARY, query_of(group="merchant")).json == expected(tuple(SALES))
    assert problem(api.ask(SUMMARY, query_of("shop-1", "nobody"))) == (404, "unknown-merchant")


class TestWithinTheScopeOfTheKey:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return published_in(tmp_path)

    def test_a_key_of_one_merchant_cannot_request_two(self, url: str) -> None:
        key = add_key_to(url, merchants=["shop-1"])
        api = Api(url)
        for other in ("shop-2", "nobody"):
            assert problem(api.ask(SUMMARY, query_of("shop-1", other), key=key)) == (403, "out-of-scope")
        assert api.ask(SUMMARY, query_of("shop-1", group="merchant"), key=key).json == expected(("shop-1",))

    def test_group_shows_a_key_its_own_merchants_only(self, url: str) -> None:
        one, two, every = (
            add_key_to(url, merchants=["shop-1", "not there"]),
            add_key_to(url, merchants=list(TWO)),
            add_key_to(url, [Scope.SUMMARIES]),
        )
        api = Api(url)
        for more in ({}, {"fill": "zero", "from": "1403/01/01", "to": "1403/01/03"}):
            for _ in range(2):  # the second time from the cache, and without the framework
                answers = [api.ask(SUMMARY, query_of(group="merchant", **more), key=key) for key in (one, two, every)]
                found = [{point["merchant_id"] for point in answer.json} for answer in answers]
                assert found[:2] == [{"shop-1"}, set(TWO)]
                assert found[2] > set(TWO)

    def test_a_key_of_no_merchant_may_not_group(self, url: str) -> None:
        key = add_key_to(url, [Scope.OPERATE, Scope.NOTIFICATIONS])
        assert problem(Api(url).ask(SUMMARY, query_of(group="merchant"), key=key)) == (403, "out-of-scope")

    def test_a_cursor_of_another_key_shows_nothing(self, url: str) -> None:
        every, one = add_key_to(url, [Scope.SUMMARIES]), add_key_to(url, merchants=["shop-1"])
        api = Api(url)
        page = api.ask(SUMMARY, query_of(group="merchant", limit="1"), key=every)
        following = page.headers["link"].partition(">")[0].partition("?")[2]
        assert api.ask(SUMMARY, following, key=every).status_code == 200
        assert "another query" in wrong(api.ask(SUMMARY, following, key=one))["cursor"]


def test_merchant_names_in_a_query_count_towards_the_cache_size(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    names = [f"{number:03}{'x' * 200}" for number in range(100)]
    publish(url, {name: {"1403/01/01": (1, 1)} for name in names})
    api = Api(url, {"api_cache_mb": 1})
    queries = [query_of(*names, **{"from": f"1403/02/{day:02}", "to": "1403/03/01"}) for day in range(1, 31)]
    queries += [query_of(*names, **{"from": f"1403/03/{day:02}", "to": "1403/04/01"}) for day in range(1, 31)]

    assert {api.ask(SUMMARY, query).content for query in [*queries, queries[0]]} == {b"[]"}

    assert [line["cache"] for line in api.log()] == ["miss"] * 61
