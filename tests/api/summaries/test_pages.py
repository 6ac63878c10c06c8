"""Pagination: following Link gives every item once; a cursor is valid for one query and publication."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from api_client import MERCHANTS, SUMMARY, Api, problem, wrong
from examples import NOW_MS
from falcon.testing import Result
from sales import ODD_IDS, SALES, publish, published_in


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def next_address(answer: Result) -> tuple[str, str] | None:
    """Path and query of the page after `answer`."""
    link = answer.headers.get("link")
    if link is None:
        return None
    found = re.fullmatch(r'<([^<>"\s]+)>; rel="next"', link)
    assert found
    address = urlsplit(found[1])
    return address.path, address.query


def cursor_of(answer: Result) -> str:
    following = next_address(answer)
    assert following
    return dict(parse_qsl(following[1]))["cursor"]


def all_pages(api: Api, path: str, query: dict[str, str]) -> list[Result]:
    pages = [api.ask(path, query)]
    while following := next_address(pages[-1]):
        assert len(pages) < 1_000
        pages.append(api.ask(*following))
    assert all(page.status_code == 200 for page in pages)
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 10_000])
@pytest.mark.parametrize(
    "query",
    [
        {"mode": "daily", "type": "amount"},
        {"mode": "daily", "type": "count", "merchant_id": "shop-1", "locale": "fa"},
        {"mode": "weekly", "type": "amount", "merchant_id": ODD_IDS[1], "fill": "zero"},
        {"mode": "monthly", "type": "amount", "from": "۱۴۰۳/۰۱", "to": "1403/12", "fill": "zero"},
        {"mode": "daily", "type": "amount", "group": "merchant", "include": "period", "values": "string"},
        {
            "mode": "weekly",
            "type": "count",
            "group": "merchant",
            "fill": "zero",
            "from": "1403/W01",
            "to": "2024-04-05",
        },
        {"mode": "daily", "type": "count", "complete": "only", "to": "2024-06-24", "group": "merchant"},
    ],
    ids=lambda query: "-".join(query),
)
def test_pages_of_a_series_together_are_the_series(api: Api, query: dict[str, str], limit: int) -> None:
    whole = api.ask(SUMMARY, query).json
    pages = all_pages(api, SUMMARY, query | {"limit": str(limit)})
    assert [point for page in pages for point in page.json] == whole
    assert all(len(page.json) == limit for page in pages[:-1])
    assert 0 < len(pages[-1].json) <= limit


@pytest.mark.parametrize("bom", [{}, {"bom": "1"}])
def test_pages_of_a_csv_series_are_csv(api: Api, bom: dict[str, str]) -> None:
    pages = all_pages(api, SUMMARY, {"mode": "daily", "type": "amount", "format": "csv", "limit": "3"} | bom)
    lines = [line for page in pages for line in page.text.splitlines()[1:]]
    whole = api.series(format="csv", **bom).text.splitlines()
    assert lines == whole[1:]
    assert {page.text.splitlines()[0] for page in pages} == {whole[0]}


@pytest.mark.parametrize("limit", [1, 3, 10])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"sort": "count", "search": "s", "values": "string"},
        {"sort": "merchant_id", "from": "1403/02"},
        {"mode": "weekly", "from": "1403/W02"},
    ],
)
def test_pages_of_merchants_together_are_all_merchants(api: Api, query: dict[str, str], limit: int) -> None:
    whole = api.ask(MERCHANTS, query | {"limit": "1000"}).json
    pages = [page.json for page in all_pages(api, MERCHANTS, query | {"limit": str(limit)})]
    assert [merchant for page in pages for merchant in page["merchants"]] == whole["merchants"]
    assert {page["total"] for page in pages} == {whole["total"]} == {len(whole["merchants"])}


def test_the_cursor_of_the_next_page_of_merchants_is_in_the_body_too(api: Api) -> None:
    page = api.ask(MERCHANTS, {"limit": "3"})
    found, cursors = page.json["merchants"], [cursor_of(page)]
    assert page.json["next_cursor"] == cursors[0]
    while cursor := page.json["next_cursor"]:
        page = api.ask(MERCHANTS, {"limit": "3", "cursor": cursor})
        found += page.json["merchants"]
    assert found == api.ask(MERCHANTS).json["merchants"]
    assert "link" not in page.headers


def test_pages_of_merchants_as_csv_are_csv(api: Api) -> None:
    pages = all_pages(api, MERCHANTS, {"format": "csv", "limit": "3", "bom": "1"})
    lines = [line for page in pages for line in page.text.splitlines()[1:]]
    assert lines == api.ask(MERCHANTS, {"format": "csv"}).text.splitlines()[1:]


def test_without_a_limit_there_is_no_link(api: Api) -> None:
    assert "link" not in api.series().headers
    assert "link" not in api.series(limit=str(len(api.series().json))).headers


def test_the_link_names_the_cursor_only_once(api: Api) -> None:
    second = next_address(api.series(limit="1"))
    assert second
    third = next_address(api.ask(*second))
    assert third
    assert [name for name, _ in parse_qsl(third[1])].count("cursor") == 1


@pytest.mark.parametrize(
    "changed", [{"type": "count"}, {"merchant_id": "shop-1"}, {"limit": "2"}, {"locale": "en"}, {"mode": "weekly"}]
)
def test_a_cursor_of_another_query_is_refused(api: Api, changed: dict[str, str]) -> None:
    query = {"mode": "daily", "type": "amount", "limit": "1"}
    cursor = cursor_of(api.ask(SUMMARY, query))
    assert "another query" in wrong(api.ask(SUMMARY, query | changed | {"cursor": cursor}))["cursor"]


def test_a_cursor_of_the_other_resource_is_refused(api: Api) -> None:
    cursor = cursor_of(api.ask(MERCHANTS, {"limit": "1"}))
    assert "cursor" in wrong(api.series(limit="1", cursor=cursor))


@pytest.mark.parametrize(
    "cursor",
    ["x", "%%%", "W10", "é", "bnVsbA", "MQ", "eyJhIjoxfQ", "WzEsMiwzXQ", "W1tdLFtdLFtdXQ", "A" * 2000, "=", "ImFiYyI"],
)
@pytest.mark.parametrize("path", [SUMMARY, MERCHANTS])
def test_a_malformed_cursor_is_refused(api: Api, path: str, cursor: str) -> None:
    query = {"limit": "1", "cursor": cursor} | ({"mode": "daily", "type": "amount"} if path == SUMMARY else {})
    assert list(wrong(api.ask(path, query))) == ["cursor"]


def test_a_forged_cursor_position_is_refused(api: Api) -> None:
    cursor = cursor_of(api.ask(MERCHANTS, {"limit": "1"}))
    content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for position in (b'"-1"', b'"1.5"', '"۱"'.encode(), b"1", b"null"):
        forged = base64.urlsafe_b64encode(content.replace(b'"1"', position)).decode().rstrip("=")
        assert list(wrong(api.ask(MERCHANTS, {"limit": "1", "cursor": forged}))) == ["cursor"]
    far = base64.urlsafe_b64encode(content.replace(b'"1"', b'"' + b"9" * 1000 + b'"')).decode().rstrip("=")
    assert api.ask(MERCHANTS, {"limit": "1", "cursor": far}).json == {
        "merchants": [],
        "total": len(SALES),
        "next_cursor": None,
    }


def test_a_cursor_of_an_earlier_publication_is_stale(tmp_path: Path) -> None:
    url = published_in(tmp_path)
    api = Api(url)
    addresses = [next_address(api.series(limit="1")), next_address(api.ask(MERCHANTS, {"limit": "1"}))]
    publish(url, generation=2, at_ms=NOW_MS + 1)
    api.moment.advance()
    for address in addresses:
        assert address
        assert problem(api.ask(*address)) == (409, "stale-cursor")
