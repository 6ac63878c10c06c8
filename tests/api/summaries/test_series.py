"""Series of summaries: exact values, order, ranges, filling, labels, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from api_client import SUMMARY, Api, problem, wrong
from examples import FINGERPRINT
from sales import EXACT, JALALI, ODD_IDS, SALES, expected_series, publish, published_in

from core.calendar import Mode
from core.stores.summaries import Measure

FIRST, LAST = "1402/12/27", "1403/12/30"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def keys(answer: object) -> list[str]:
    return [point["key"] for point in answer.json]  # type: ignore[attr-defined]


@pytest.mark.parametrize("merchant", [None, "shop-1", "shop-2"])
@pytest.mark.parametrize("measure", ["amount", "count"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_series_has_the_expected_sums(api: Api, mode: Mode, measure: Measure, merchant: str | None) -> None:
    query = {} if merchant is None else {"merchant_id": merchant}
    answer = api.series(mode, measure, **query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == expected_series(SALES, mode, measure, merchant)


def test_a_series_is_an_array_of_keys_and_values(api: Api) -> None:
    assert api.series("weekly", merchant_id="shop-2", last="1403/W01").text == '[{"key":"1403/W01","value":1000}]'


def test_integers_beyond_2_to_the_53_are_exact(api: Api) -> None:
    text = api.series("monthly", merchant_id="shop-1").text
    assert f'{{"key":"1403/01","value":{EXACT + 100}}}' in text
    assert f'{{"key":"1403/04","value":{120_000 - 2**62}}}' in text


@pytest.mark.parametrize("merchant", ODD_IDS)
def test_a_merchant_id_may_be_any_text(api: Api, merchant: str) -> None:
    assert api.series(merchant_id=merchant).json == expected_series(SALES, Mode.DAILY, "amount", merchant)


def test_spaces_around_a_merchant_id_are_significant(api: Api) -> None:
    assert problem(api.series(merchant_id=ODD_IDS[2].strip())) == (404, "unknown-merchant")


@pytest.mark.parametrize(
    ("mode", "first", "last", "expected"),
    [
        ("daily", "1403/01/01", "1403/04/04", ["1403/01/01", "1403/01/02", "1403/01/03", "1403/02/15", "1403/04/04"]),
        ("daily", "1403/01/01", "1403/01/01", ["1403/01/01"]),
        ("daily", "1403/12/30", None, ["1403/12/30"]),
        ("daily", None, "1402/12/27", ["1402/12/27"]),
        ("daily", "1399/01/01", "1399/12/30", []),
        ("weekly", "1403/W01", "1403/W08", ["1403/W01", "1403/W08"]),
        ("weekly", None, "1403/W01", ["1403/W01"]),
        ("monthly", "1403/01", "1403/02", ["1403/01", "1403/02"]),
        ("monthly", "1403/12", "1403/12", ["1403/12"]),
    ],
)
def test_from_and_to_are_inclusive(
    api: Api, mode: str, first: str | None, last: str | None, expected: list[str]
) -> None:
    answer = api.series(mode, **({"first": first} if first else {}), **({"last": last} if last else {}))
    assert keys(answer) == expected


@pytest.mark.parametrize("first", ["۱۴۰۳/۰۴/۰۴", "١٤٠٣/٠٤/٠٤", "۱۴۰۳/04/٠٤"])
def test_persian_and_arabic_digits_are_accepted(api: Api, first: str) -> None:
    expected = ["1403/04/04", "1403/04/05", "1403/12/30"]
    assert keys(api.series(first=first)) == expected
    as_curl_sends_it = f"mode=daily&type=amount&from={first}".encode().decode("latin-1")
    assert keys(api.ask(SUMMARY, as_curl_sends_it)) == expected


@pytest.mark.parametrize(
    ("mode", "first", "last", "expected"),
    [
        ("daily", "2024-03-19", "2024-03-21", ["1402/12/29", "1403/01/01", "1403/01/02"]),
        ("daily", "۲۰۲۴-۰۳-۲۰", "1403/01/02", ["1403/01/01", "1403/01/02"]),
        ("weekly", "2024-03-16", "2024-03-22", ["1403/W01"]),
        ("weekly", "2024-03-15", "2024-03-15", []),
        ("monthly", "2024-03-19", "2024-03-20", ["1402/12", "1403/01"]),
    ],
)
def test_a_gregorian_date_selects_the_period_that_contains_it(
    api: Api, mode: str, first: str, last: str, expected: list[str]
) -> None:
    assert keys(api.series(mode, first=first, last=last)) == expected


def test_values_can_be_returned_as_strings_for_javascript(api: Api) -> None:
    for query in ({"merchant_id": "shop-1"}, {"fill": "zero", "locale": "fa"}, {"group": "merchant"}):
        whole = api.series(**query).json
        assert api.series(values="string", **query).json == [{**point, "value": str(point["value"])} for point in whole]
    assert api.series(values="string", format="csv").content == api.series(format="csv").content


class TestFilling:
    def test_without_bounds_a_filled_series_covers_all_published_periods(self, api: Api) -> None:
        periods = JALALI.periods(
            Mode.DAILY, JALALI.parse(Mode.DAILY, FIRST).first_day, JALALI.parse(Mode.DAILY, LAST).first_day
        )
        for merchant in ("shop-1", "shop-2", ODD_IDS[0]):
            points = api.series(fill="zero", merchant_id=merchant).json
            assert [point["key"] for point in points] == [period.key for period in periods]
            there = {point["key"]: point["value"] for point in points if point["value"]}
            assert there == {day: amount for day, (amount, _) in SALES[merchant].items() if amount}

    @pytest.mark.parametrize(("mode", "number"), [("weekly", 53), ("monthly", 13)])
    def test_weeks_and_months_are_filled_over_the_same_range(self, api: Api, mode: str, number: int) -> None:
        one, other = (api.series(mode, fill="zero", merchant_id=merchant) for merchant in ("shop-2", ODD_IDS[0]))
        assert keys(one) == keys(other)
        assert len(one.json) == number

    def test_periods_beyond_the_published_range_are_filled_too(self, api: Api) -> None:
        answer = api.series(fill="zero", first="1404/01/01", last="1404/01/03")
        assert answer.json == [{"key": f"1404/01/0{day}", "value": 0} for day in (1, 2, 3)]

    def test_a_range_after_the_last_published_period_is_empty(self, api: Api) -> None:
        assert api.series(fill="zero", first="1404/01/01").json == []

    def test_the_first_and_last_period_of_the_calendar_can_be_requested(self, api: Api) -> None:
        assert keys(api.series("weekly", fill="zero", first="1200/W01", last="1200/W01")) == ["1200/W01"]

    def test_more_than_a_century_of_days_is_refused(self, api: Api) -> None:
        assert "40,000 days" in wrong(api.series(fill="zero", first="1200/01/01"))["fill"]


@pytest.mark.parametrize(
    ("mode", "key", "fa", "en"),
    [
        ("daily", "1403/04/04", "۴ تیر ۱۴۰۳", "4 Tir 1403"),
        ("weekly", "1403/W08", "۱۴۰۳ هفته ۸", "1403 week 8"),
        ("monthly", "1403/04", "تیر ۱۴۰۳", "Tir 1403"),
    ],
)
def test_a_locale_adds_a_label(api: Api, mode: str, key: str, fa: str, en: str) -> None:
    for locale, label in (("fa", fa), ("en", en)):
        (point,) = api.series(mode, first=key, last=key, locale=locale).json
        assert list(point) == ["key", "value", "label"]
        assert point["key"] == key
        assert point["label"] == label


class TestCsv:
    def test_csv_has_the_same_values_as_json(self, api: Api) -> None:
        answer = api.series(format="csv", locale="fa", fill="zero")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="summary-daily-amount.csv"'
        assert answer.content.endswith(b"\r\n")
        assert answer.content.count(b"\n") == answer.content.count(b"\r\n")
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        points = api.series(locale="fa", fill="zero").json
        assert rows == [{name: str(value) for name, value in point.items()} for point in points]

    def test_csv_without_a_locale_has_two_columns(self, api: Api) -> None:
        answer = api.series("monthly", "count", format="csv", first="1403/12")
        assert answer.text == "key,value\r\n1403/12,1\r\n"

    def test_csv_begins_with_a_byte_order_mark_on_request(self, api: Api) -> None:
        plain, marked = (api.series(format="csv", locale="fa", **more) for more in ({}, {"bom": "1"}))
        assert marked.content == b"\xef\xbb\xbf" + plain.content
        assert marked.headers["etag"] != plain.headers["etag"]

    def test_an_empty_csv_series_has_only_the_header(self, api: Api) -> None:
        assert api.series(format="csv", last="1300/01/01").text == "key,value\r\n"


class TestMethods:
    def test_head_has_the_headers_of_get_and_no_body(self, api: Api) -> None:
        query = {"mode": "daily", "type": "amount", "fill": "zero"}
        for accepted in ("identity", "gzip"):
            get, head = (
                api.ask(SUMMARY, query, method=method, headers={"Accept-Encoding": accepted, "X-Request-Id": "same"})
                for method in ("GET", "HEAD")
            )
            assert head.content == b""
            assert head.headers == get.headers
            assert head.headers["content-length"] == str(len(get.content))

    def test_options_lists_the_methods(self, api: Api) -> None:
        answer = api.ask(method="OPTIONS")
        assert answer.status_code == 200
        assert set(answer.headers["allow"].split(", ")) >= {"GET", "HEAD"}
        assert answer.content == b""

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_other_methods_are_refused_with_the_allowed_ones(self, api: Api, method: str) -> None:
        answer = api.ask(method=method, headers={"Content-Type": "application/json"})
        assert problem(answer) == (405, "method-not-allowed")
        assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))


def test_an_empty_publication_has_empty_series_and_can_be_filled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    publish(url, {})
    api = Api(url)
    assert api.series().json == []
    assert api.series(fill="zero").json == []
    assert api.series("monthly", fill="zero", first="1403/01", last="1403/02").json == [
        {"key": "1403/01", "value": 0},
        {"key": "1403/02", "value": 0},
    ]
    assert problem(api.series(merchant_id="shop-1")) == (404, "unknown-merchant")


def test_every_backend_gives_the_same_series(store_url: str) -> None:
    publish(store_url)
    api = Api(store_url)
    for merchant in (None, "shop-1", *ODD_IDS):
        query = {} if merchant is None else {"merchant_id": merchant}
        assert api.series("weekly", **query).json == expected_series(SALES, Mode.WEEKLY, "amount", merchant)
    assert problem(api.series(merchant_id="nobody")) == (404, "unknown-merchant")
    totals = json.loads(api.ask("/api/merchants", {"sort": "merchant_id"}).content)
    assert [merchant["merchant_id"] for merchant in totals["merchants"]] == sorted(SALES)


@pytest.fixture(scope="module")
def cents(tmp_path_factory: pytest.TempPathFactory) -> Api:
    url = f"sqlite:///{tmp_path_factory.mktemp('cents') / 'summaries.db'}"
    publish(url, fingerprint=replace(FINGERPRINT, currency="USD", amount_scale=2))
    return Api(url)


class TestMajorUnits:
    def test_amounts_are_exact_decimal_strings(self, cents: Api) -> None:
        minor, major = cents.series(), cents.series(unit="major")
        assert [Decimal(point["value"]) for point in major.json] == [
            Decimal(point["value"]).scaleb(-2) for point in minor.json
        ]
        assert {len(point["value"].partition(".")[2]) for point in major.json} == {2}
        assert '{"key":"1402/12/27","value":"0.05"},{"key":"1402/12/29","value":"-0.07"}' in major.text
        assert minor.headers["etag"] != major.headers["etag"]
        assert cents.series(unit="minor").json == minor.json

    def test_csv_pages_and_filled_zeros_have_decimals(self, cents: Api) -> None:
        answer = cents.series(unit="major", format="csv", fill="zero", limit="3")
        assert answer.text == "key,value\r\n1402/12/27,0.05\r\n1402/12/28,0.00\r\n1402/12/29,-0.07\r\n"
        assert "unit=major" in answer.headers["link"]

    def test_amounts_without_decimals_are_whole_numbers(self, api: Api) -> None:
        assert api.series(unit="major", last=FIRST).json == [{"key": FIRST, "value": "5"}]

    def test_counts_have_no_unit(self, cents: Api) -> None:
        assert list(wrong(cents.series(measure="count", unit="major"))) == ["unit"]
        assert list(wrong(cents.series(unit="cents"))) == ["unit"]

    def test_the_response_has_the_unit_of_amounts(self, cents: Api) -> None:
        for where in (cents.ask("/api/me").json, cents.ask("/api/status").json["published"]):
            assert (where["currency"], where["scale"]) == ("USD", 2)
