"""The results of each named query, compared with results computed by hand.

1403/04/01 is a Friday, so weeks begin on 1403/04/02, 04/09, 04/16 …; 1403/03 has 31 days, 1402/12 has 29.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prepared_store import open_prepared
from published_sales import Sales, publish

from core.analysis import all_queries, run_query
from core.analysis.parameters import Value
from core.merchant_names import MerchantNames
from core.stores import Stores

LARGEST = 2**63 - 1
LARGE = LARGEST // 5  # five of it are a month's at most


class Shop:
    """A store, and named queries to it."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def sold(self, sales: Sales, calendar: str = "jalali") -> None:
        """Publish `sales`."""
        publish(self.stores, sales, calendar)

    def ask(self, name: str, *columns: str, **parameters: Value) -> list[tuple[Any, ...]]:
        """The rows of an answer, all columns unless some are named; ``from_`` means ``from``."""
        given = {name.rstrip("_"): value for name, value in parameters.items()}
        answer = run_query(self.stores.summaries, name, given)
        return answer.select(columns or answer.columns).rows()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_prepared(f"sqlite:///{tmp_path / 'shop.db'}", timeout_s=10) as stores:
        yield Shop(stores)


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.name)
def test_results_have_the_columns_that_the_header_declares(shop: Shop, query: Any) -> None:
    stated = {column.name: column.kind for column in query.columns}
    for sales in ({}, {"a": {"1403/04/01": 5, "1403/05/01": 7}}):
        shop.sold(sales)
        answer = run_query(shop.stores.summaries, query.name)
        assert {name: str(dtype) for name, dtype in answer.schema.items()} == stated


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.name)
def test_every_exact_sum_is_declared_as_an_amount(query: Any) -> None:
    """Tables show only the columns in major units whose header has the currency."""
    assert [column.name for column in query.columns if column.kind == "Int128" and not column.is_amount] == []


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.name)
def test_no_transactions_give_no_rows(shop: Shop, query: Any) -> None:
    shop.sold({})
    assert run_query(shop.stores.summaries, query.name).is_empty()


class TestTopMerchants:
    """``top_merchants``."""

    def test_the_default_is_the_last_month_by_amount(self, shop: Shop) -> None:
        shop.sold(
            {
                "a": {"1403/03/31": 9_000, "1403/04/01": (600, 3)},
                "b": {"1403/04/01": 250, "1403/04/02": 50},
                "c": {"1403/04/30": 100},
            }
        )
        assert shop.ask("top_merchants") == [
            (1, "a", 600, 3, 200.0, 60.0, None),
            (2, "b", 300, 2, 150.0, 30.0, None),
            (3, "c", 100, 1, 100.0, 10.0, None),
        ]

    @pytest.mark.parametrize(("locale", "names"), [("fa", ["آ", "B", None]), ("en", ["A", "B", None])])
    def test_merchant_names_are_in_the_requested_language_or_the_other(
        self, shop: Shop, locale: str, names: list[str | None]
    ) -> None:
        shop.sold({name: {"1403/04/01": amount} for name, amount in {"a": 3, "b": 2, "c": 1}.items()})
        known = MerchantNames("1", {"a": {"fa": "آ", "en": "A"}, "b": {"en": "B"}, "other": {"fa": "x"}})
        answer = run_query(shop.stores.summaries, "top_merchants", {"locale": locale}, names=known)
        assert answer["merchant_name"].to_list() == names

    @pytest.mark.parametrize(
        ("period", "amounts"),
        [("1403/04/02", [("b", 50)]), ("1403/W14", [("a", 9_600), ("b", 250)]), ("۱۴۰۳/۰۳", [("a", 9_000)])],
    )
    def test_the_period_may_be_a_day_week_or_month(
        self, shop: Shop, period: str, amounts: list[tuple[str, int]]
    ) -> None:
        shop.sold({"a": {"1403/03/31": 9_000, "1403/04/01": 600}, "b": {"1403/04/01": 250, "1403/04/02": 50}})
        assert shop.ask("top_merchants", "merchant_id", "amount", period=period) == amounts

    def test_ties_share_a_rank_and_the_last_rank_is_complete(self, shop: Shop) -> None:
        shop.sold({name: {"1403/04/01": amount} for name, amount in {"d": 5, "a": 9, "c": 5, "b": 5, "e": 1}.items()})
        places = [(1, "a"), (2, "b"), (2, "c"), (2, "d")]
        assert shop.ask("top_merchants", "place", "merchant_id", limit=2) == places
        assert shop.ask("top_merchants", "place", "merchant_id", limit=5) == [*places, (5, "e")]

    def test_merchants_can_be_ranked_by_count(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/04/01": (1, 6)}, "b": {"1403/04/01": (900, 2)}})
        wanted = ("place", "merchant_id", "share_percent")
        assert shop.ask("top_merchants", *wanted, by="count") == [(1, "a", 75.0), (2, "b", 25.0)]

    def test_refunds_lower_the_rank_and_shares_need_a_positive_total(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/04/01": 100}, "b": {"1403/04/01": -300, "1403/04/02": 200}})
        assert shop.ask("top_merchants", "merchant_id", "amount", "share_percent") == [
            ("a", 100, None),
            ("b", -100, None),
        ]


class TestMonthlyGrowth:
    """``monthly_growth``."""

    def test_each_month_is_compared_with_the_previous_month(self, shop: Shop) -> None:
        shop.sold(
            {"a": {"1403/01/11": (200, 4)}, "b": {"1403/02/01": (100, 1), "1403/02/31": (200, 4), "1403/03/02": 75}}
        )
        assert shop.ask("monthly_growth") == [
            ("1403/01", 21, 31, 200, None, None, 4, None, None),
            ("1403/02", 31, 31, 300, 200, 50.0, 5, 4, 25.0),
            ("1403/03", 2, 31, 75, 300, -75.0, 1, 5, -80.0),
        ]

    def test_an_empty_month_is_zero_and_gives_no_growth_after_it(self, shop: Shop) -> None:
        shop.sold({"a": {"1402/12/29": 8, "1403/02/01": 9}})
        assert shop.ask("monthly_growth", "month", "amount", "amount_growth_percent", "count_growth_percent") == [
            ("1402/12", 8, None, None),
            ("1403/01", 0, -100.0, -100.0),
            ("1403/02", 9, None, None),
        ]

    def test_a_negative_month_gives_no_growth_after_it(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/01": -10, "1403/02/01": 10}})
        assert shop.ask("monthly_growth", "amount_before", "amount_growth_percent", "count_growth_percent")[1:] == [
            (-10, None, 0.0)
        ]

    def test_the_first_month_is_compared_with_the_month_before_the_range(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/01": 10, "1403/02/01": 20, "1403/03/01": 30}})
        rows = shop.ask("monthly_growth", "month", "amount_before", from_="1403/02", to="1403/02")
        assert rows == [("1403/02", 10)]

    def test_one_merchant(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/01": 10, "1403/02/01": 20}, "b": {"1403/02/01": 7}})
        assert shop.ask("monthly_growth", "month", "amount", merchant_id="b") == [("1403/01", 0), ("1403/02", 7)]

    def test_integers_are_exact_at_the_ends_of_64_bits(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/01": -LARGEST, "1403/02/01": LARGEST}})
        assert shop.ask("monthly_growth", "amount", "amount_before")[1:] == [(LARGEST, -LARGEST)]


class TestWeekdayProfile:
    """``weekday_profile``."""

    def test_averages_include_days_without_transactions(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/04/01": 100, "1403/04/02": (250, 3)}, "b": {"1403/04/09": (50, 1)}})
        assert shop.ask("weekday_profile") == [
            (1, "Saturday", 2, 300, 150.0, 75.0, 4, 2.0),
            *[
                (i, f"{d}day", 1, 0, 0.0, 0.0, 0, 0.0)
                for i, d in enumerate(("Sun", "Mon", "Tues", "Wednes", "Thurs"), 2)
            ],
            (7, "Friday", 2, 100, 50.0, 25.0, 1, 0.5),
        ]

    def test_only_the_requested_days_and_merchant_count(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/04/01": 100, "1403/04/02": 250, "1403/04/03": 9}, "b": {"1403/04/02": 7}})
        rows = shop.ask(
            "weekday_profile", "weekday_name", "days", "amount", from_="1403/04/01", to="1403/04/02", merchant_id="b"
        )
        assert rows == [("Saturday", 1, 7), ("Friday", 1, 0)]

    def test_a_total_of_zero_has_no_shares(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/04/01": 100, "1403/04/02": -100}})
        assert shop.ask("weekday_profile", "amount", "share_percent") == [(-100, None), (100, None)]

    def test_gregorian_weeks_begin_on_monday(self, shop: Shop) -> None:
        shop.sold({"a": {"2024-06-24": 1, "2024-06-30": 2}}, "gregorian")
        rows = shop.ask("weekday_profile", "weekday", "weekday_name", "amount")
        assert (rows[0], rows[-1]) == ((1, "Monday", 1), (7, "Sunday", 2))

    def test_sums_beyond_64_bits_are_exact(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/31": LARGEST, "1403/02/28": LARGEST}})
        assert shop.ask("weekday_profile", "amount")[-1] == (2 * LARGEST,)


class TestSilentMerchants:
    """``silent_merchants``."""

    SALES: ClassVar[Sales] = {
        "gone": {"1403/01/01": 10, "1403/01/03": (20, 2), "1403/01/11": -5},
        "once": {"1403/01/01": 1_000},
        "here": {"1403/01/01": 10, "1403/02/31": 10},
        "late": {"1403/01/20": 3, "1403/02/01": 3},
    }

    def test_merchants_that_became_inactive_are_listed(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        assert shop.ask("silent_merchants") == [
            ("gone", "1403/01/11", 51, 5.0, 3, 25, 4, None),
            ("late", "1403/02/01", 30, 12.0, 2, 6, 2, None),
        ]

    def test_inactivity_and_activity_thresholds_are_parameters(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        columns = ("merchant_id", "silent_days", "usual_gap")
        assert shop.ask("silent_merchants", *columns, silent_days=31, active_days=1) == [
            ("once", 61, None),
            ("gone", 51, 5.0),
        ]

    def test_an_earlier_until_day_ignores_later_days(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        rows = shop.ask("silent_merchants", "merchant_id", "silent_days", to="1403/01/15", silent_days=4, active_days=1)
        assert rows == [("once", 14), ("gone", 4), ("here", 14)]

    def test_an_unpublished_day_means_the_last_published_day(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        assert shop.ask("silent_merchants", to="1405/01/01") == shop.ask("silent_merchants")


class TestUnusualDays:
    """``unusual_days``."""

    FRIDAYS = ("1403/01/03", "1403/01/10", "1403/01/17", "1403/01/24", "1403/01/31")

    def test_a_day_that_deviates_from_its_weekday_average_is_an_outlier(self, shop: Shop) -> None:
        shop.sold({"a": dict(zip(self.FRIDAYS, (90, 100, 110, 130, 100), strict=True))})
        # 90, 100, 110: average 100, deviation 10. 100, 110, 130: 113.33 and 15.28, from which 100 is not far.
        assert shop.ask("unusual_days", weeks=3) == [("1403/01/24", "Friday", 130, 100.0, 10.0, 3.0, 30.0)]

    def test_the_deviation_threshold_is_a_parameter(self, shop: Shop) -> None:
        shop.sold({"a": dict(zip(self.FRIDAYS, (90, 100, 110, 130, 100), strict=True))})
        assert shop.ask("unusual_days", "day", weeks=3, deviations=3.01) == []
        days = shop.ask("unusual_days", "day", "deviations", weeks=3, deviations="0.8")
        assert [day for day, _ in days] == list(self.FRIDAYS[3:])
        assert days[1][1] == pytest.approx(-13.3333 / 15.2753, rel=1e-5)

    def test_after_constant_weeks_any_other_value_is_an_outlier(self, shop: Shop) -> None:
        shop.sold({"a": dict(zip(self.FRIDAYS, (LARGE, LARGE, LARGE, LARGE, LARGE - 1), strict=True))})
        [(day, amount, deviation, deviations)] = shop.ask(
            "unusual_days", "day", "amount", "deviation", "deviations", weeks=3
        )
        assert (day, amount, deviation, deviations) == ("1403/01/31", LARGE - 1, 0.0, None)

    def test_a_first_sale_after_empty_weeks_has_no_percentage(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/03": 0, "1403/01/24": -40}})
        assert shop.ask("unusual_days", weeks=3) == [("1403/01/24", "Friday", -40, 0.0, 0.0, None, None)]

    def test_a_chosen_range_still_uses_the_weeks_before_it(self, shop: Shop) -> None:
        shop.sold({"a": dict(zip(self.FRIDAYS, (1, 1, 5, 1, 9), strict=True))})
        assert shop.ask("unusual_days", "day", weeks=2, deviations=2, from_="1403/01/18") == [("1403/01/31",)]
        assert shop.ask("unusual_days", "day", weeks=2, deviations=2, to="1403/01/18") == [("1403/01/17",)]


class TestMonthToDate:
    """``month_to_date``."""

    SALES: ClassVar[Sales] = {
        "a": {"1403/06/30": 5, "1403/06/31": 7, "1403/07/01": (10, 2), "1403/07/03": -4, "1403/07/30": 100},
        "b": {"1403/07/01": 1, "1403/08/02": 6},
    }

    def test_running_totals_are_compared_with_the_previous_month(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        assert shop.ask("month_to_date") == [
            ("1403/08/01", 1, 0, 0, 11, 0, 0, 3),
            ("1403/08/02", 2, 6, 6, 11, 1, 1, 3),
        ]

    def test_a_partly_published_previous_month_has_only_its_published_days(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        rows = shop.ask("month_to_date", "day", "amount_to_date", "amount_before", "count_before", to="1403/07/30")
        assert len(rows) == 30
        assert rows[:3] == [
            ("1403/07/01", 11, None, None),
            ("1403/07/02", 11, None, None),
            ("1403/07/03", 7, None, None),
        ]
        assert rows[29] == ("1403/07/30", 107, 5, 1)

    def test_one_merchant(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        rows = shop.ask("month_to_date", "amount_to_date", "amount_before", merchant_id="b")
        assert rows == [(0, 1), (6, 1)]

    def test_an_unpublished_day_means_the_last_published_day(self, shop: Shop) -> None:
        shop.sold(self.SALES)
        assert shop.ask("month_to_date", to="1404/12/29") == shop.ask("month_to_date")

    def test_running_totals_beyond_64_bits_are_exact(self, shop: Shop) -> None:
        shop.sold({"a": {"1403/01/03": LARGEST, "1403/01/04": LARGEST, "1403/01/05": -LARGEST}})
        assert shop.ask("month_to_date", "amount_to_date") == [(LARGEST,), (2 * LARGEST,), (LARGEST,)]
