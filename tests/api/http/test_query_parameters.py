"""Validation of query parameters: all errors are reported at once, and no request causes a 500."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from api_client import MERCHANTS, SUMMARY, Api, document, problem, wrong
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sales import published_in

from api.http.query_parameters import Findings, period_in
from core.calendar import GregorianCalendar, Mode


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def test_every_wrong_parameter_is_reported_at_once(api: Api) -> None:
    errors = wrong(
        api.ask(
            SUMMARY,
            "mode=daily&type=sum&merchant_id=&from=1403/4/4&to=1403/13/01&fill=one&limit=0&cursor=&locale=de&format=xml&bom=0&x=1&x=2",
        )
    )
    assert set(errors) == {
        "type", "merchant_id", "from", "to", "fill", "limit", "cursor", "locale", "format", "bom", "x"
    }  # fmt: skip
    assert errors["type"] == "'sum' is not one of 'amount' or 'count'"
    assert errors["merchant_id"] == "is empty"


def test_missing_parameters_are_reported(api: Api) -> None:
    assert wrong(api.ask(SUMMARY)) == {"mode": "is required", "type": "is required"}


def test_the_detail_names_every_wrong_parameter(api: Api) -> None:
    assert document(api.ask(SUMMARY, "mode=x&limit=y"))["detail"] == "Wrong: mode, type, limit."


def test_an_unknown_parameter_is_reported_with_those_that_are_known(api: Api) -> None:
    errors = wrong(api.series(merchant="shop-1"))
    assert errors == {
        "merchant": "is not a parameter here; parameters: mode, type, merchant_id, group, from, to, "
        "fill, include, complete, values, limit, cursor, locale, format, unit, bom"
    }


def test_the_byte_order_mark_is_allowed_for_csv_only(api: Api) -> None:
    assert wrong(api.series(bom="1")) == {"bom": "is for CSV only; add format=csv"}


@pytest.mark.parametrize("name", ["first", "last", "Mode", "limit "])
def test_parameter_names_are_case_sensitive(api: Api, name: str) -> None:
    assert list(wrong(api.ask(SUMMARY, {"mode": "daily", "type": "amount", name: "1"}))) == [name]


def test_a_repeated_parameter_is_refused_even_with_the_same_value(api: Api) -> None:
    assert wrong(api.ask(SUMMARY, "mode=daily&type=amount&mode=daily&mode=daily")) == {
        "mode": "is given more than once"
    }


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "99999999999999999999", "1" * 2000])
def test_a_limit_out_of_range_is_refused(api: Api, limit: str) -> None:
    assert list(wrong(api.series(limit=limit))) == ["limit"]


@pytest.mark.parametrize("limit", ["", "x", "1.5", "1.0", "1e3", "0x10", "1_0", "+5", " 5", "٥", "NaN", "true", "null"])
def test_a_limit_that_is_no_integer_is_refused(api: Api, limit: str) -> None:
    assert "is not a whole number" in wrong(api.series(limit=limit))["limit"]
    assert "is not a whole number" in wrong(api.ask(MERCHANTS, {"limit": limit}))["limit"]


@pytest.mark.parametrize(
    ("mode", "key", "looks"),
    [
        ("daily", "1403-04-04", "1403/04/04"),
        ("daily", "1403/04", "1403/04/04"),
        ("daily", "1403/12/31", "1403/04/04"),
        ("weekly", "1403/15", "1403/W15"),
        ("weekly", "1403/W54", "1403/W15"),
        ("monthly", "1403/13", "1403/04"),
        ("monthly", "", "1403/04"),
        ("monthly", "9" * 2000, "1403/04"),
    ],
)
def test_the_error_for_a_malformed_period_key_shows_an_example(api: Api, mode: str, key: str, looks: str) -> None:
    errors = wrong(api.series(mode, first=key, last=key))
    assert set(errors) == {"from", "to"}
    for error in errors.values():
        assert f"one looks like {looks}" in error
        assert len(error) < 200


@pytest.mark.parametrize("key", ["2024-02-30", "2024-13-01", "1403-04-04", "9999-01-01", "2024-6-24", "24-06-24"])
def test_the_error_for_an_impossible_date_shows_examples(api: Api, key: str) -> None:
    for answer in (api.series(first=key), api.ask(MERCHANTS, {"mode": "daily", "from": key})):
        error = wrong(answer)["from"]
        assert "one looks like 1403/04/04" in error
        assert "or like the Gregorian date 2024-06-24" in error
        assert len(error) < 200


@pytest.mark.parametrize(("mode", "key"), [("daily", "2024-06-24"), ("weekly", "2024-W26"), ("monthly", "2024-06")])
def test_a_date_selects_its_period_in_the_gregorian_calendar_too(mode: str, key: str) -> None:
    for text in ("2024-06-24", "۲۰۲۴-۰۶-۲۴", key):
        period = period_in("from", {"from": text}, GregorianCalendar(), Mode(mode), Findings())
        assert period is not None
        assert period.key == key


def test_too_many_or_repeated_merchants_are_refused(api: Api) -> None:
    many = "&".join(f"merchant_id=m{number}" for number in range(101))
    assert wrong(api.ask(SUMMARY, f"mode=daily&type=amount&{many}")) == {"merchant_id": "is given more than 100 times"}
    twice = api.ask(SUMMARY, "mode=daily&type=amount&merchant_id=a&merchant_id=b&merchant_id=a")
    assert wrong(twice) == {"merchant_id": "'a' is given more than once"}
    assert wrong(api.ask(SUMMARY, "mode=daily&type=amount&merchant_id=a&merchant_id=")) == {"merchant_id": "is empty"}


def test_the_allowed_values_of_a_parameter_are_reported(api: Api) -> None:
    errors = wrong(api.series(group="mode", include="all", complete="no", values="number"))
    assert errors == {
        "group": "'mode' is not one of 'merchant'",
        "include": "'all' is not one of 'period'",
        "complete": "'no' is not one of 'only'",
        "values": "'number' is not one of 'string'",
    }


def test_from_after_to_is_refused(api: Api) -> None:
    assert wrong(api.series(first="1403/04/05", last="1403/04/04")) == {
        "to": "1403/04/04 is before 1403/04/05, which is from"
    }
    assert list(wrong(api.ask(MERCHANTS, {"from": "1403/05", "to": "1403/04"}))) == ["to"]


def test_the_merchants_resource_reports_every_wrong_parameter_at_once(api: Api) -> None:
    errors = wrong(api.ask(MERCHANTS, "limit=1001&sort=size&from=1403/04/04&to=x&search=a&search=b&cursor=?&page=2"))
    assert set(errors) == {"limit", "sort", "from", "to", "search", "page"}


def test_a_very_long_value_is_refused_and_quoted_in_part(api: Api) -> None:
    answer = api.series(merchant_id="x" * 2049)
    assert "2048" in wrong(answer)["merchant_id"]
    assert len(answer.content) < 1000
    assert problem(api.series(merchant_id="x" * 2048)) == (404, "unknown-merchant")


@pytest.mark.parametrize("query", ["mode=%FF", "%80", "a=1&" * 151])
def test_a_malformed_query_string_is_a_bad_request(api: Api, query: str) -> None:
    assert problem(api.ask(SUMMARY, query)) == (400, "bad-request")
    assert problem(api.ask(MERCHANTS, query)) == (400, "bad-request")


@pytest.mark.parametrize("merchant", ["\x00", "\x00shop-1", "' OR 1=1 --", "$ne", "{}", "\ud7ff", "\U0010ffff"])
def test_unusual_merchant_ids_give_not_found(api: Api, merchant: str) -> None:
    assert problem(api.series(merchant_id=merchant)) == (404, "unknown-merchant")


NAMES = [
    "mode",
    "type",
    "merchant_id",
    "from",
    "to",
    "fill",
    "limit",
    "cursor",
    "locale",
    "format",
    "bom",
    "search",
    "sort",
    "group",
    "include",
    "complete",
    "values",
]
CHOICES = (
    *("daily", "weekly", "monthly", "amount", "count", "zero", "fa", "csv", "1403/01/01", "1403/W01", "1"),
    *("merchant", "period", "only", "string", "shop-1", "2024-03-20"),
)
VALUES = st.one_of(
    st.sampled_from(CHOICES),
    st.text(max_size=12),
    st.integers().map(str),
)


@given(
    path=st.sampled_from([SUMMARY, MERCHANTS]),
    fields=st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), VALUES), max_size=8),
    junk=st.binary(max_size=6),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_causes_a_server_error(api: Api, path: str, fields: list[tuple[str, str]], junk: bytes) -> None:
    query = "&".join(
        f"{quote(name, errors='replace')}={quote(value, errors='replace')}" for name, value in fields
    ) + junk.decode("ascii", "ignore").replace("\r", "").replace("\n", "")
    answer = api.ask(path, query)
    assert answer.status_code in (200, 400, 404, 409)
    if answer.status_code != 200:
        document(answer)
