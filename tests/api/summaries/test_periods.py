"""Points with the bounds of their period and whether it is complete."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jdatetime
import pytest
from api_client import SUMMARY, Api
from examples import NOW_MS, run
from rebuilding import Workshop
from sales import publish
from transactions import spread, write_bson

from core.calendar import Mode
from core.stores import open_stores
from core.stores.runs import RunStatus
from core.stores.sqlite.summaries import SqliteSummaryStore
from core.stores.summaries import DayRange, MerchantPoint
from jobs.rebuild import RebuildRequest

COMPLETE = (DayRange("1402/12/01", "1403/01/31"), DayRange("1403/02/02", "1403/04/04"))
"""All but the first day of 1403/02, and what comes after 1403/04/04."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'summaries.db'}"
    publish(url, complete_days=COMPLETE)
    return Api(url)


def midnight(key: str) -> str:
    """When the day of `key` begins in Tehran, in UTC."""
    day = jdatetime.date(*map(int, key.split("/"))).togregorian()
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Tehran"))
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize(
    ("mode", "key", "first_day", "following_day", "complete"),
    [
        ("daily", "1403/04/04", "1403/04/04", "1403/04/05", True),
        ("daily", "1403/04/05", "1403/04/05", "1403/04/06", False),
        ("daily", "1401/01/01", "1401/01/01", "1401/01/02", False),
        ("daily", "1403/02/01", "1403/02/01", "1403/02/02", False),
        ("weekly", "1403/W01", "1402/12/26", "1403/01/04", True),
        ("weekly", "1403/W06", "1403/02/01", "1403/02/08", False),
        ("weekly", "1403/W15", "1403/04/02", "1403/04/09", False),
        ("monthly", "1402/12", "1402/12/01", "1403/01/01", True),
        ("monthly", "1403/02", "1403/02/01", "1403/03/01", False),
        ("monthly", "1403/03", "1403/03/01", "1403/04/01", True),
        ("monthly", "1403/04", "1403/04/01", "1403/05/01", False),
    ],
)
def test_a_point_has_its_period_bounds_and_completeness(
    api: Api, mode: str, key: str, first_day: str, following_day: str, complete: bool
) -> None:
    (point,) = api.series(mode, include="period", fill="zero", first=key, last=key).json
    assert list(point) == ["key", "value", "start", "end", "complete"]
    assert (point["start"], point["end"]) == (midnight(first_day), midnight(following_day))
    assert point["complete"] is complete


def test_a_period_starts_at_one_where_dst_skips_midnight(api: Api) -> None:
    (point,) = api.series(include="period", fill="zero", first="1401/01/02", last="1401/01/02").json
    assert (point["start"], point["end"]) == ("2022-03-21T20:30:00.000Z", "2022-03-22T19:30:00.000Z")


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("query", [{}, {"merchant_id": "shop-1"}, {"fill": "zero"}, {"group": "merchant"}])
def test_only_complete_returns_the_complete_periods(api: Api, mode: Mode, query: dict[str, str]) -> None:
    points = api.series(mode, include="period", **query).json
    assert {point["complete"] for point in points} == {True, False}
    assert api.series(mode, include="period", complete="only", **query).json == [
        point for point in points if point["complete"]
    ]
    bare = [{name: point[name] for name in point if name in ("merchant_id", "key", "value")} for point in points]
    assert api.series(mode, **query).json == bare
    assert api.series(mode, complete="only", **query).json == [
        point for point, reported in zip(bare, points, strict=True) if reported["complete"]
    ]


def test_pages_of_complete_periods_are_full(api: Api) -> None:
    whole = api.series(group="merchant", complete="only").json
    page = api.series(group="merchant", complete="only", limit=str(len(whole) - 1))
    assert page.json == whole[:-1]


HOLED = (DayRange("1403/01/01", "1403/01/02"), DayRange("1403/01/29", "1403/01/30"))
MONTH = {f"1403/01/{day:02}": (day, 1) for day in range(1, 31)}


@pytest.mark.parametrize("asked", [{"group": "merchant"}, {"group": "merchant", "limit": "3"}, {"merchant_id": "m2"}])
@pytest.mark.parametrize("fill", [{}, {"fill": "zero"}])
@pytest.mark.parametrize("bounds", [(None, None), ("1403/01/02", "1403/01/29")])
def test_complete_periods_around_a_gap_have_their_values(
    tmp_path: Path, asked: dict[str, str], fill: dict[str, str], bounds: tuple[str | None, str | None]
) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    publish(url, {"m1": MONTH, "m2": MONTH}, complete_days=HOLED)
    given = {"first": bounds[0], "last": bounds[1]}
    points = Api(url).series(complete="only", **asked, **fill, **{name: key for name, key in given.items() if key}).json
    days = [1, 2, 29, 30] if bounds[0] is None else [2, 29]
    expected = [(name, day) for name in ("m1", "m2") for day in days]
    if "merchant_id" in asked:
        expected = expected[len(days) :]
    found = [(point.get("merchant_id", "m2"), point["key"], point["value"]) for point in points]
    assert found == [(name, f"1403/01/{day:02}", day) for name, day in expected][: int(asked.get("limit", 9))]


def test_a_page_of_complete_periods_reads_only_the_rows_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    days = {key: values for key, values in MONTH.items() if key != "1403/01/01"}
    publish(
        url,
        {f"m{number}": days for number in range(40)},
        complete_days=(HOLED[0]._replace(last_key="1403/01/01"), HOLED[1]),
    )
    read: list[int] = []
    merchant_series = SqliteSummaryStore.merchant_series

    def counted(*arguments: Any, **named: Any) -> list[MerchantPoint]:
        found = merchant_series(*arguments, **named)
        read.append(len(found))
        return found

    monkeypatch.setattr(SqliteSummaryStore, "merchant_series", counted)
    (point,) = Api(url).series(group="merchant", complete="only", limit="1").json
    assert (point["merchant_id"], point["key"], point["value"]) == ("m0", "1403/01/29", 29)
    assert read == [0, 2]


def test_csv_has_the_same_columns(api: Api) -> None:
    answer = api.series(include="period", format="csv", locale="en")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    points = api.series(include="period", locale="en").json
    for point in points:
        point["complete"] = str(point["complete"]).lower()
    assert rows == [{name: str(value) for name, value in point.items()} for point in points]
    assert list(rows[0]) == ["key", "value", "label", "start", "end", "complete"]


def test_without_completeness_data_no_period_is_complete(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    publish(url)
    api = Api(url)
    assert {point["complete"] for point in api.series(include="period").json} == {False}
    for query in ({}, {"fill": "zero"}, {"group": "merchant"}, {"merchant_id": "shop-1"}):
        assert api.series(complete="only", **query).json == []
    assert api.series(complete="only", merchant_id="nobody").status_code == 404


def test_period_bounds_are_those_in_the_store(store_url: str, tmp_path: Path) -> None:
    """Bounds that the job published for a real day, week and month, on every backend."""
    source = write_bson(tmp_path / "shop.bson", spread(["a"], days=40, first=date(2024, 3, 1)))
    with open_stores(store_url, timeout_s=10) as stores:
        Workshop(stores, tmp_path).rebuild(RebuildRequest((source,), truncate=True))
        for mode in Mode:
            rows = stores.summaries.rows(mode).filter(merchant_id="a").sort("key")
            points = Api(store_url).series(mode, include="period", merchant_id="a").json
            kept = [(key, *map(_iso, bounds)) for key, *bounds in rows["key", "period_start", "period_end"].iter_rows()]
            assert [(point["key"], point["start"], point["end"]) for point in points] == kept
            assert [point["complete"] for point in points] == [False] + [True] * (len(points) - 2) + [False]


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_run_without_changes_completes_a_day(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    publish(url, complete_days=(DayRange("1200/01/01", "1403/04/03"),))
    api = Api(url)
    query = {"mode": "daily", "type": "amount", "from": "1403/04/04", "to": "1403/04/04"}
    bare, reported = api.ask(SUMMARY, query), api.ask(SUMMARY, query | {"include": "period"})
    assert reported.json[0]["complete"] is False

    with open_stores(url, timeout_s=10) as stores:
        for _ in range(2):  # of which the first has the number of the run that published
            begun = stores.runs.begin(run())
            days = (DayRange("1200/01/01", "1403/04/04"),)
            found = replace(begun, generation=1, complete_days=days).ended(RunStatus.UNCHANGED, NOW_MS + 1)
            stores.runs.update(found)
    api.moment.advance()

    later = api.ask(SUMMARY, query | {"include": "period"}, headers={"If-None-Match": reported.headers["etag"]})
    assert later.status_code == 200
    assert later.json[0]["complete"] is True
    assert api.ask(SUMMARY, query, headers={"If-None-Match": bare.headers["etag"]}).status_code == 304


def test_equal_requests_are_answered_from_the_cache(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    publish(url, complete_days=COMPLETE)
    api = Api(url)
    shapes: list[dict[str, str]] = [{}, {"include": "period"}, {"complete": "only"}, {"values": "string"}]
    shapes.append({"group": "merchant"})
    first = [api.series(**shape) for shape in shapes]
    for _ in range(2):
        assert [api.series(**shape).content for shape in shapes] == [answer.content for answer in first]
    assert len({answer.headers["etag"] for answer in first}) == len(shapes)
    assert [line["cache"] for line in api.log()] == ["miss"] * 5 + ["hit"] * 10
