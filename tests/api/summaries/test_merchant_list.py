"""The list of merchants: search, order, totals, and the merchants allowed by the key."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from api_client import MERCHANTS, Api, Query, add_key, problem, wrong
from examples import FINGERPRINT, frame, publication, row
from sales import EXACT, ODD_IDS, SALES, publish, published_in

from core.stores import open_stores
from core.stores.api_keys import Scope


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def ids(api: Api, query: Query = "", key: str | None = None) -> list[str]:
    answer = api.ask(MERCHANTS, query, key=key)
    assert answer.status_code == 200
    return [merchant["merchant_id"] for merchant in answer.json["merchants"]]


def total(merchant: str, place: int, months: tuple[str, str] = ("0", "9")) -> int:
    return sum(values[place] for day, values in SALES[merchant].items() if months[0] <= day[:7] <= months[1])


@pytest.mark.parametrize(("sort", "place"), [("amount", 0), ("count", 1)])
def test_merchants_are_sorted_by_total_descending_then_id(api: Api, sort: str, place: int) -> None:
    expected = sorted(SALES, key=lambda merchant: (-total(merchant, place), merchant))
    assert ids(api, {"sort": sort}) == expected


def test_merchants_are_sorted_by_amount_by_default(api: Api) -> None:
    assert ids(api) == ids(api, {"sort": "amount"})


def test_merchants_can_be_sorted_by_id(api: Api) -> None:
    assert ids(api, {"sort": "merchant_id"}) == sorted(SALES)


def test_each_merchant_has_exact_totals(api: Api) -> None:
    answer = api.ask(MERCHANTS, {"search": "shop-1"})
    amount = EXACT - 2 + 100 + 120_000 - 2**62
    merchant = f'{{"merchant_id":"shop-1","amount":{amount},"count":20}}'
    assert answer.text == f'{{"merchants":[{merchant}],"total":1,"next_cursor":null}}'


@pytest.mark.parametrize("months", [("1403/01", "1403/02"), ("1403/04", "1403/04"), ("1402/01", "1402/12")])
def test_totals_cover_the_requested_months(api: Api, months: tuple[str, str]) -> None:
    answer = api.ask(MERCHANTS, {"from": months[0], "to": months[1], "limit": "1000"}).json
    expected = {
        merchant: (total(merchant, 0, months), total(merchant, 1, months))
        for merchant, days in SALES.items()
        if any(months[0] <= day[:7] <= months[1] for day in days)
    }
    assert {each["merchant_id"]: (each["amount"], each["count"]) for each in answer["merchants"]} == expected
    assert answer["total"] == len(expected)


@pytest.mark.parametrize(
    ("mode", "first", "last", "days"),
    [
        ("daily", "1403/01/01", "1403/01/01", ("1403/01/01", "1403/01/01")),
        ("daily", "1403/01/02", "1403/01/03", ("1403/01/02", "1403/01/03")),
        ("daily", "1402/12/29", "1403/01/02", ("1402/12/29", "1403/01/02")),
        ("daily", "1402/12/28", "1403/04/04", ("1402/12/28", "1403/04/04")),
        ("daily", "1403/01/01", "1403/04/04", ("1403/01/01", "1403/04/04")),
        ("daily", "1402/12/28", "1403/12/30", ("1402/12/28", "1403/12/30")),
        ("daily", "1403/01/02", None, ("1403/01/02", "9")),
        ("daily", None, "1403/04/04", ("0", "1403/04/04")),
        ("daily", "2024-03-19", "2024-03-21", ("1402/12/29", "1403/01/02")),
        ("weekly", "1403/W01", "1403/W01", ("1402/12/26", "1403/01/03")),
        ("weekly", "1403/W02", "1403/W15", ("1403/01/04", "1403/04/08")),
        ("weekly", "2024-03-18", "2024-03-18", ("1402/12/26", "1403/01/03")),
        ("monthly", "2024-03-19", "2024-03-21", ("1402/12/01", "1403/01/31")),
    ],
)
def test_totals_can_cover_days_and_weeks(
    api: Api, mode: str, first: str | None, last: str | None, days: tuple[str, str]
) -> None:
    bounds = {name: key for name, key in (("from", first), ("to", last)) if key is not None}
    found = api.ask(MERCHANTS, {"mode": mode, "limit": "1000", **bounds}).json["merchants"]
    expected = {
        merchant: tuple(
            sum(values[place] for day, values in sold.items() if days[0] <= day <= days[1]) for place in (0, 1)
        )
        for merchant, sold in SALES.items()
        if any(days[0] <= day <= days[1] for day in sold)
    }
    assert {each["merchant_id"]: (each["amount"], each["count"]) for each in found} == expected


def test_every_backend_gives_the_same_daily_totals(store_url: str) -> None:
    publish(store_url)
    query = {"mode": "daily", "from": "1402/12/28", "to": "1403/04/04", "search": "shop"}
    assert Api(store_url).ask(MERCHANTS, query).json["merchants"] == [
        {"merchant_id": "shop-1", "amount": EXACT - 7 + 100 + 120_000, "count": 18},
        {"merchant_id": "shop-2", "amount": 1_000, "count": 5},
    ]


def test_totals_can_be_returned_as_strings_for_javascript(api: Api) -> None:
    whole, text = (api.ask(MERCHANTS, {"search": "shop", **more}).json for more in ({}, {"values": "string"}))
    for merchant in whole["merchants"]:
        merchant.update(amount=str(merchant["amount"]), count=str(merchant["count"]))
    assert text == whole


def test_amounts_in_major_units_are_exact_decimal_strings_on_every_page(store_url: str) -> None:
    publish(store_url, fingerprint=replace(FINGERPRINT, currency="USD", amount_scale=2))
    cents = Api(store_url)
    minor = cents.ask(MERCHANTS).json["merchants"]
    query = {"unit": "major", "limit": str(len(SALES) - 1)}
    first = cents.ask(MERCHANTS, query)
    assert "unit=major" in first.headers["link"]
    rest = cents.ask(MERCHANTS, query | {"cursor": first.json["next_cursor"]})
    major = first.json["merchants"] + rest.json["merchants"]
    assert major == [one | {"amount": f"{Decimal(one['amount']).scaleb(-2):.2f}"} for one in minor]
    lines = cents.ask(MERCHANTS, {"search": "shop-2", "unit": "major", "format": "csv"}).text.splitlines()
    assert lines[1] == f"shop-2,{total('shop-2', 0) / 100:.2f},{total('shop-2', 1)}"
    whole = cents.ask(MERCHANTS, {"search": "shop-2", "unit": "major", "values": "string"}).json["merchants"]
    assert (whole[0]["amount"], whole[0]["count"]) == (lines[1].split(",")[1], str(total("shop-2", 1)))
    assert list(wrong(cents.ask(MERCHANTS, {"unit": "cents"}))) == ["unit"]


class TestCsv:
    def test_csv_has_the_same_values_as_json(self, api: Api) -> None:
        answer = api.ask(MERCHANTS, {"format": "csv"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="merchants.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        merchants = api.ask(MERCHANTS).json["merchants"]
        assert rows == [{name: str(value) for name, value in merchant.items()} for merchant in merchants]

    def test_csv_begins_with_a_byte_order_mark_on_request(self, api: Api) -> None:
        plain, marked = (api.ask(MERCHANTS, {"format": "csv", **more}) for more in ({}, {"bom": "1"}))
        assert marked.content == b"\xef\xbb\xbf" + plain.content
        assert wrong(api.ask(MERCHANTS, {"bom": "1"})) == {"bom": "is for CSV only; add format=csv"}

    def test_csv_escapes_spreadsheet_formulas(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'summaries.db'}"
        publish(url, {"=HYPERLINK(1)": {"1403/01/01": (1, 1)}, "-5": {"1403/01/01": (2, 1)}})
        assert Api(url).ask(MERCHANTS, {"format": "csv"}).text.splitlines()[1:] == ["-5,2,1", "'=HYPERLINK(1),1,1"]
        grouped = Api(url).series(group="merchant", format="csv").text.splitlines()
        assert grouped == ["merchant_id,key,value", "-5,1403/01/01,2", "'=HYPERLINK(1),1403/01/01,1"]

    def test_csv_is_cached_compressed_and_has_an_etag(self, tmp_path: Path) -> None:
        api = Api(published_in(tmp_path))
        query, accepted = {"format": "csv", "limit": "1000", "search": ""}, {"Accept-Encoding": "gzip;q=1,identity;q=0"}
        first = api.ask(MERCHANTS, query, headers=accepted)
        again = api.ask(MERCHANTS, query, headers=accepted | {"If-None-Match": first.headers["etag"]})
        assert first.headers["content-encoding"] == "gzip"
        assert again.status_code == 304
        assert [line["cache"] for line in api.log()] == ["miss", "not-modified"]


def test_a_range_may_have_one_bound(api: Api) -> None:
    assert ids(api, {"from": "۱۴۰۳/۱۲"}) == ["shop-2"]
    assert ids(api, {"to": "1402/12"}) == ["shop-1"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("SHOP", {"shop-1", "shop-2"}),
        ("shop-2", {"shop-2"}),
        ("تهران", {ODD_IDS[0]}),
        ("نیم\u200cفاصله", {ODD_IDS[7]}),
        ("STRASSE", {"ß-Straße"}),
        ("ẞ", {"ß-Straße"}),
        ("ğ", {"ĞİŞ"}),
        ("=c+", {"a&b=c+d%20e"}),
        ("%20", {"a&b=c+d%20e"}),
        (" ", {ODD_IDS[0], " blank both "}),
        ("%", {"a&b=c+d%20e"}),
        ("_", set()),
        ("", set(SALES)),
    ],
)
def test_search_matches_part_of_the_id_case_insensitively(api: Api, search: str, found: set[str]) -> None:
    answer = api.ask(MERCHANTS, {"search": search}).json
    assert {merchant["merchant_id"] for merchant in answer["merchants"]} == found
    assert answer["total"] == len(found)


def test_totals_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    most = 2**63 - 1
    rows = frame([row("monthly", f"1403/{month:02}", "giant", sign * most) for sign in (1,) for month in range(1, 13)])
    with open_stores(url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)
    answer = Api(url).ask(MERCHANTS)
    assert json.loads(answer.text) == {
        "merchants": [{"merchant_id": "giant", "amount": 12 * most, "count": 12}],
        "total": 1,
        "next_cursor": None,
    }


class TestOfAMerchantsKey:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path / 'summaries.db'}"
        publish(url)
        return url

    def test_only_the_merchants_of_the_key_are_listed(self, url: str) -> None:
        key = add_key(url, merchants=["shop-1", ODD_IDS[0], "not there"])
        api = Api(url)
        answer = api.ask(MERCHANTS, key=key).json
        assert {merchant["merchant_id"] for merchant in answer["merchants"]} == {"shop-1", ODD_IDS[0]}
        assert answer["total"] == 2
        assert ids(api, {"search": "shop-2"}, key=key) == []

    def test_responses_cached_for_one_key_are_not_served_to_another(self, url: str) -> None:
        every, one, other = (
            add_key(url, [Scope.SUMMARIES]),
            add_key(url, merchants=["shop-1"]),
            add_key(url, merchants=["shop-2"]),
        )
        api = Api(url)
        for _ in range(2):
            assert set(ids(api, key=every)) == set(SALES)
            assert ids(api, key=one) == ["shop-1"]
            assert ids(api, key=other) == ["shop-2"]
        tags = {api.ask(MERCHANTS, key=key).headers["etag"] for key in (every, one, other)}
        assert len(tags) == 3

    def test_a_key_without_merchants_lists_none(self, url: str) -> None:
        key = add_key(url, [Scope.OPERATE, Scope.NOTIFICATIONS])
        assert problem(Api(url).ask(MERCHANTS, key=key)) == (403, "out-of-scope")


@pytest.mark.parametrize(
    ("query", "has_any"),
    [
        ({"mode": "daily", "to": "1200/01/05"}, False),
        ({"mode": "weekly", "to": "1200/W01"}, False),
        ({"mode": "monthly", "to": "1200/01"}, False),
        ({"mode": "daily", "from": "1501/12/05"}, False),
        ({"mode": "weekly", "from": "1501/W51"}, False),
        ({"mode": "daily", "from": "1200/01/05", "to": "1501/12/05"}, True),
    ],
)
def test_totals_at_the_edges_of_the_calendar(api: Api, query: dict[str, str], has_any: bool) -> None:
    assert ids(api, query) == (ids(api) if has_any else [])
