"""Merchant names: in the requested language, searched, sorted, and updated soon after a change."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, MERCHANTS, Api, Query, add_key, wrong
from sales import publish

from core.calendar.periods import Locale
from core.stores import open_stores
from core.stores.api_keys import Scope

Names = Mapping[str, Mapping[Locale, str]]

SALES = {str(number): {"1403/04/04": (number * 100, number), "1403/04/05": (1, 1)} for number in range(1, 7)}
NAMES: Names = {
    "1": {"fa": "كافه‌هاي یاس ۲۴", "en": "Yas Cafés 24"},
    "2": {"fa": "پارس"},
    "3": {"en": "Ästhetik"},
    "4": {"fa": "آبی", "en": "Blue"},
    "5": {"fa": "=SUM(گل)"},
}
"""The merchant 6 has none."""


def write(store_url: str, names: Names) -> None:
    with open_stores(store_url, timeout_s=10) as stores:
        assert stores.merchant_names.replace(names, after=stores.merchant_names.version(), now_ms=5)


def named_in(folder: Path) -> str:
    """The URL of a store in `folder` with `SALES` and `NAMES`."""
    url = f"sqlite:///{folder / 'summaries.db'}"
    publish(url, SALES)
    write(url, NAMES)
    return url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(named_in(tmp_path_factory.mktemp("store")))


def names_in(api: Api, query: Query, key: str | None = None) -> dict[str, str | None]:
    """The merchants in their order, with their names."""
    answer = api.ask(MERCHANTS, query, key=key)
    assert answer.status_code == 200, answer.text
    return {one["merchant_id"]: one["name"] for one in answer.json["merchants"]}


def ids(api: Api, query: Query, key: str | None = None) -> list[str]:
    answer = api.ask(MERCHANTS, query, key=key)
    assert answer.status_code == 200, answer.text
    assert answer.json["total"] == len(answer.json["merchants"])
    return [one["merchant_id"] for one in answer.json["merchants"]]


def test_names_are_in_the_requested_language_or_the_other(shared: Api) -> None:
    names = {"sort": "merchant_id"}
    fa = {"1": "كافه‌هاي یاس ۲۴", "2": "پارس", "3": "Ästhetik", "4": "آبی", "5": "=SUM(گل)", "6": None}
    assert names_in(shared, {**names, "locale": "fa"}) == fa
    assert names_in(shared, {**names, "locale": "en"}) == {**fa, "1": "Yas Cafés 24", "4": "Blue"}
    assert "name" not in shared.ask(MERCHANTS, names).json["merchants"][0]


@pytest.mark.parametrize(
    ("locale", "expected"), [("fa", ["5", "4", "2", "1", "3", "6"]), ("en", ["5", "3", "4", "1", "2", "6"])]
)
def test_names_are_sorted_by_locale_with_unnamed_merchants_last(shared: Api, locale: str, expected: list[str]) -> None:
    assert ids(shared, {"sort": "name", "locale": locale}) == expected


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("کافه های", ["1"]),
        ("های‌یاس 24", ["1"]),
        ("كافه هاي ياس٢٤", ["1"]),
        ("YAS CAF", ["1"]),
        ("اب", ["4"]),
        ("ästh", ["3"]),
        ("6", ["6"]),
        ("۶", ["6"]),
        ("blue", ["4"]),
        ("\u200c", []),
        (" ", []),
        ("آبی\nblue", []),
    ],
)
def test_search_matches_part_of_a_name_in_normalized_form(shared: Api, search: str, found: list[str]) -> None:
    assert ids(shared, {"search": search, "locale": "en"}) == found


def test_only_the_requested_merchants_are_listed(shared: Api) -> None:
    assert ids(shared, "merchant_id=2&merchant_id=6&merchant_id=none&sort=merchant_id") == ["2", "6"]
    assert wrong(shared.ask(MERCHANTS, "merchant_id=2&merchant_id=2")) == {"merchant_id": "'2' is given more than once"}
    too_many = "&".join(f"merchant_id={number}" for number in range(101))
    assert wrong(shared.ask(MERCHANTS, too_many)) == {"merchant_id": "is given more than 100 times"}


def test_pages_keep_the_order_and_the_requested_merchants(shared: Api) -> None:
    query = "merchant_id=1&merchant_id=2&merchant_id=4&merchant_id=5&sort=name&locale=fa&limit=1&search=%D8%A7"
    found = []
    while query:
        answer = shared.ask(MERCHANTS, query)
        found += [one["merchant_id"] for one in answer.json["merchants"]]
        query = answer.headers.get("link", "").partition(">")[0].removeprefix(f"<{MERCHANTS}?")
    assert found == ["4", "2", "1"]


def test_csv_has_a_name_column_only_if_a_language_is_requested(shared: Api) -> None:
    plain, named = (
        list(csv.reader(io.StringIO(shared.ask(MERCHANTS, {"format": "csv", "sort": "merchant_id", **more}).text)))
        for more in ({}, {"locale": "fa"})
    )
    assert plain[0] == ["merchant_id", "amount", "count"]
    assert named[0] == [*plain[0], "name"]
    assert [row[:3] for row in named] == plain
    assert [row[3] for row in named[1:]] == ["كافه‌هاي یاس ۲۴", "پارس", "Ästhetik", "آبی", "'=SUM(گل)", ""]


def test_points_of_several_merchants_have_names_in_the_requested_language(shared: Api) -> None:
    query = "mode=monthly&type=count&merchant_id=2&merchant_id=4&merchant_id=6"
    assert {point.get("merchant_name", "none") for point in shared.ask(query=query).json} == {"none"}
    points = shared.ask(query=f"{query}&locale=en").json
    assert [(one["merchant_id"], one["merchant_name"]) for one in points] == [("2", "پارس"), ("4", "Blue"), ("6", None)]
    rows = shared.ask(query=f"{query}&merchant_id=5&locale=fa&format=csv").text.split("\r\n")
    assert rows[0] == "merchant_id,key,value,label,merchant_name"
    assert [row.rpartition(",")[2] for row in rows[1:5]] == ["پارس", "آبی", "'=SUM(گل)", ""]
    alone = shared.ask(query="mode=monthly&type=count&merchant_id=4&locale=fa").json
    assert set(alone[0]) == {"key", "value", "label"}


def test_a_key_cannot_read_or_search_names_of_other_merchants(tmp_path: Path) -> None:
    url = named_in(tmp_path)
    of_two, of_all = add_key(url, merchants=["2", "6"]), add_key(url, [Scope.SUMMARIES])
    api = Api(url)
    assert ids(api, {"search": "blue"}, key=of_all) == ["4"]
    assert ids(api, {"search": "blue"}, key=of_two) == []
    assert names_in(api, "merchant_id=4&merchant_id=2&locale=fa", key=of_two) == {"2": "پارس"}
    assert names_in(api, {"sort": "name", "locale": "fa"}, key=of_two) == {"2": "پارس", "6": None}


def test_every_process_returns_new_names_soon_after_a_change(store_url: str) -> None:
    publish(store_url, SALES)
    api = Api(store_url)
    query = {"search": "blue", "locale": "en"}
    assert ids(api, query) == []
    seen = [api.ask("/api/me").json["published"]["version"]]
    tags = [api.ask(MERCHANTS, query).headers["etag"]]
    changes: list[tuple[Names, dict[str, str]]] = [
        (NAMES, {"4": "Blue"}),
        ({"3": {"en": "Blue two"}}, {"3": "Blue two"}),
        ({}, {}),
    ]
    for names, found in changes:
        write(store_url, names)
        api.moment.advance(FRESHNESS_S)
        answer = api.ask(MERCHANTS, query, headers={"If-None-Match": tags[-1]})
        assert answer.status_code == 200
        assert {one["merchant_id"]: one["name"] for one in answer.json["merchants"]} == found
        assert api.ask(MERCHANTS, query, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        seen.append(api.ask("/api/me").json["published"]["version"])
        assert answer.headers["etag"].startswith(f'"{seen[-1]}-')
        tags.append(answer.headers["etag"])
    assert len(set(seen)) == len(set(tags)) == 4


def test_a_response_never_mixes_old_and_new_names(tmp_path: Path) -> None:
    """The cached state of the process has the old names, while the store already has the new ones."""
    url = named_in(tmp_path)
    api = Api(url)
    before = api.ask("/api/me").json["published"]["version"]
    write(url, {"4": {"en": "Green"}})
    answer = api.ask(MERCHANTS, {"merchant_id": "4", "locale": "en"})
    assert answer.json["merchants"][0]["name"] == "Green"
    assert not answer.headers["etag"].startswith(f'"{before}-')


def test_a_cursor_from_before_names_changed_is_refused(tmp_path: Path) -> None:
    url = named_in(tmp_path)
    api = Api(url)
    query = {"sort": "name", "limit": "2"}
    cursor = api.ask(MERCHANTS, query).json["next_cursor"]
    assert api.ask(MERCHANTS, {**query, "cursor": cursor}).status_code == 200
    write(url, {"6": {"fa": "آب"}})
    api.moment.advance(FRESHNESS_S)
    assert api.ask(MERCHANTS, {**query, "cursor": cursor}).status_code == 409
