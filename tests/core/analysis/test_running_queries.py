"""Named queries: how they are found, parsed, parameterized and run on each store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prepared_store import open_prepared
from published_sales import publish

from core.analysis import all_queries, query_named, run_query
from core.analysis.parameters import Published, Value, bind
from core.analysis.queries import FOLDER, parse
from core.analysis.tables import days_table
from core.calendar import calendar_named
from core.errors import ServiceError, StoreBusy, UsageError
from core.stores import Stores
from core.stores.summaries import Publication, SeriesPoint

SHOP = "فروشگاه\u200cهای تهران' OR 1=1 --"
SALES = {SHOP: {"1403/03/31": 5, "1403/04/01": 2**62, "1403/04/02": 2**62 - 1}, "b": {"1403/04/02": -7}}
JALALI = Published(calendar_named("jalali"), "1403/03/30", "1403/04/02")


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def test_every_query_gives_the_same_result_on_every_store(stores: Stores) -> None:
    publish(stores, SALES)
    answers = {query.name: run_query(stores.summaries, query.name, {}).height for query in all_queries()}
    assert answers == {
        "month_to_date": 2,
        "monthly_growth": 2,
        "silent_merchants": 0,
        "top_merchants": 2,
        "unusual_days": 0,
        "weekday_profile": 3,
    }
    top = run_query(stores.summaries, "top-merchants", {"limit": "1"})
    assert top.select("merchant_id", "amount", "count").rows() == [(SHOP, 2**63 - 1, 2)]


def test_parameters_with_quotes_cause_no_sql_injection(stores: Stores) -> None:
    publish(stores, SALES)
    answer = run_query(stores.summaries, "month_to_date", {"merchant-id": SHOP})
    assert answer["amount_to_date"].to_list() == [2**62, 2**63 - 1]


def test_nothing_published_is_an_error(stores: Stores) -> None:
    with pytest.raises(ServiceError, match="nothing is published yet"):
        run_query(stores.summaries, "top_merchants")


def test_an_unknown_merchant_is_an_error(stores: Stores) -> None:
    publish(stores, SALES)
    with pytest.raises(ServiceError, match="there is no merchant nobody"):
        run_query(stores.summaries, "weekday_profile", {"merchant_id": "nobody"})


class Publishing:
    """A summary store in which something is published after each of the first `times` series that are read."""

    def __init__(self, stores: Stores, times: int) -> None:
        self._stores = stores
        self._left = times

    def published(self) -> Publication | None:
        """As the store."""
        return self._stores.summaries.published()

    def is_current(self, publication: Publication) -> bool:
        """As the store."""
        return self._stores.summaries.is_current(publication)

    def series(self, *arguments: Any) -> list[SeriesPoint]:
        """As the store, and then others publish something else."""
        found = self._stores.summaries.series(*arguments)
        if self._left:
            self._left -= 1
            publish(self._stores, {"a": {"1403/04/01": (2, 2) if self._left % 2 else (4, 4)}})
        return found


@pytest.mark.parametrize("times", [1, 3])
def test_a_query_is_retried_if_a_publication_overtakes_it(stores: Stores, times: int) -> None:
    publish(stores, {"a": {"1403/04/01": (1, 1)}})
    assert asked_while(Publishing(stores, times)).rows() == [(4, 4)]


def asked_while(publishing: Any) -> pl.DataFrame:
    """The result of a query during publications."""
    return run_query(publishing, "month_to_date").select("amount", "count")


def test_constant_publications_give_a_store_busy_error(stores: Stores) -> None:
    publish(stores, {"a": {"1403/04/01": (1, 1)}})
    with pytest.raises(StoreBusy, match="other runs published during each of the"):
        asked_while(Publishing(stores, 100))


def test_an_unknown_query_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="there is no query 'bottom'") as raised:
        query_named("bottom")
    assert "top_merchants" in raised.value.hint


def bound(query: str, given: dict[str, Value] | None = None) -> dict[str, Any]:
    """The values of a query's parameters."""
    return bind(query_named(query), given or {}, JALALI).row(0, named=True)


def test_parameter_defaults_follow_the_published_range() -> None:
    assert bound("weekday_profile") == {"from": "1403/03/30", "to": "1403/04/02", "merchant_id": None}
    assert bound("monthly_growth") == {"from": "1403/03", "to": "1403/04", "merchant_id": None}
    assert bound("top_merchants") == {"period": "1403/04", "by": "amount", "limit": 10, "locale": "fa"}


def test_period_keys_accept_persian_digits_and_are_positional() -> None:
    assert bound("weekday_profile", {"from": "first", "to": "۱۴۰۳/۰۴/۰۱"}) == {
        "from": "1403/03/30",
        "to": "1403/04/01",
        "merchant_id": None,
    }


@pytest.mark.parametrize(
    ("query", "name", "key"),
    [
        ("month_to_date", "to", "1403/04/04"),
        ("monthly_growth", "to", "1403/04"),
        ("top_merchants", "period", "1403/04/04"),
    ],
)
def test_a_gregorian_date_is_accepted_as_a_parameter(query: str, name: str, key: str) -> None:
    assert bound(query, {name: "2024-06-24"})[name] == key


def test_a_range_that_ends_before_it_begins_is_refused_and_not_empty() -> None:
    with pytest.raises(UsageError, match="from 2024-06-24 is after to 1403/04/03"):
        bound("weekday_profile", {"from": "2024-06-24", "to": "1403/04/03"})


def test_numeric_parameters_are_typed() -> None:
    frame = bind(query_named("unusual_days"), {"weeks": "3", "deviations": 2}, JALALI)
    assert [str(frame.schema[name]) for name in ("from", "weeks", "deviations")] == ["String", "Int64", "Float64"]


@pytest.mark.parametrize(
    ("query", "given", "hint"),
    [
        ("top_merchants", {"limit": 0}, "a whole number, 1 or more"),
        ("top_merchants", {"limit": "many"}, "a whole number, 1 or more"),
        ("top_merchants", {"limit": 2.5}, "a whole number, 1 or more"),
        ("top_merchants", {"limit": 2**31}, "a whole number, 1 or more"),
        ("top_merchants", {"by": "merchant"}, "one of amount, count"),
        ("top_merchants", {"period": "yesterday"}, "such as 1403/04/04 or 1403/W15 or 1403/04"),
        ("unusual_days", {"deviations": "nan"}, "a number, 0 or more"),
        ("unusual_days", {"deviations": "inf"}, "a number, 0 or more"),
        ("unusual_days", {"deviations": -1}, "a number, 0 or more"),
        ("unusual_days", {"weeks": 1}, "a whole number, 2 or more"),
        ("weekday_profile", {"from": "1403/04"}, "such as 1403/04/04"),
        ("monthly_growth", {"to": "2024-06"}, "a key of the jalali calendar, such as 1403/04, or a Gregorian date"),
    ],
)
def test_a_wrong_value_is_refused_with_the_allowed_ones(query: str, given: dict[str, Value], hint: str) -> None:
    with pytest.raises(UsageError, match="is not a value of") as raised:
        bound(query, given)
    assert hint in raised.value.hint


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="the query top_merchants has no parameter top") as raised:
        bound("top_merchants", {"top": 3})
    assert raised.value.hint == "Its parameters are: period, by, limit, locale."


def test_every_day_is_in_the_table_of_days_with_its_week_and_month() -> None:
    assert days_table(JALALI).rows() == [
        (19893, date(2024, 6, 19), "1403/03/30", "1403/W14", "1403/03", 0, 30, 31, 5, "Wednesday"),
        (19894, date(2024, 6, 20), "1403/03/31", "1403/W14", "1403/03", 0, 31, 31, 6, "Thursday"),
        (19895, date(2024, 6, 21), "1403/04/01", "1403/W14", "1403/04", 1, 1, 31, 7, "Friday"),
        (19896, date(2024, 6, 22), "1403/04/02", "1403/W15", "1403/04", 1, 2, 31, 1, "Saturday"),
    ]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sql")), ids=lambda path: path.stem)
def test_a_header_describes_purpose_parameters_and_columns(path: Any) -> None:
    query = parse(path.stem, path.read_text("utf-8"))
    assert query.purpose.endswith(".")
    assert query.reads
    assert all(parameter.default and parameter.about for parameter in query.parameters)
    assert all(column.about for column in query.columns)


HEADER = """/*
about: A.
parameters: []
reads:
- {table: daily}
columns:
- {name: day, kind: String, about: a day}
*/
"""


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (HEADER.replace("{table: daily}", "all"), r"reads\.0: .*Read"),
        (HEADER.replace("daily", "hourly"), "there is no table hourly; the tables are daily, "),
        (HEADER.replace("daily", "daily, last: to"), "daily is bounded by a name that is not a parameter"),
        (HEADER.replace("daily", "daily, until: to"), r"reads\.0\.until: Unexpected keyword argument"),
        (HEADER.replace(", about: a day", ""), r"columns\.0\.about: Field required"),
        (HEADER.replace("reads:\n- {table: daily}\n", ""), "reads: Field required"),
        (HEADER.replace("}", ""), "it is not YAML: "),
        ("/*\nwords\n*/\n", "about: Field required"),
        ("", r"it does not begin with a comment /\* … \*/"),
    ],
)
def test_an_invalid_header_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, reason: str) -> None:
    (tmp_path / "own.sql").write_text(wrong + "SELECT key AS day FROM daily", "utf-8")
    monkeypatch.setattr("core.analysis.queries.FOLDER", tmp_path)
    with pytest.raises(ServiceError, match=r"the header of sql/analysis/own.sql cannot be read: " + reason):
        query_named("own")


def test_without_a_merchant_parameter_a_query_covers_all_merchants(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stores, SALES)
    sql = HEADER.replace("daily", "monthly_series") + "SELECT key AS day, count FROM monthly_series ORDER BY day"
    (tmp_path / "own.sql").write_text(sql, "utf-8")
    monkeypatch.setattr("core.analysis.queries.FOLDER", tmp_path)
    assert run_query(stores.summaries, "own").rows() == [("1403/03", 1), ("1403/04", 3)]


def test_a_file_in_the_queries_folder_is_a_query(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stores, {"a": {"1403/04/01": 1}})
    (tmp_path / "own.sql").write_text(HEADER + "SELECT DISTINCT key AS day FROM daily", "utf-8")
    monkeypatch.setattr("core.analysis.queries.FOLDER", tmp_path)
    assert run_query(stores.summaries, "own").rows() == [("1403/04/01",)]
    (tmp_path / "own.sql").write_text(HEADER + "SELECT nothing FROM daily", "utf-8")
    with pytest.raises(ServiceError, match=r"the query own cannot be run: .*nothing"):
        run_query(stores.summaries, "own")
