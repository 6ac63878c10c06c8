"""From transactions to summaries: sums that cannot wrap, periods, and the checks before publication."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from totals_by_hand import Row, daily_totals, jalali_totals

from core.calendar import JalaliCalendar
from core.calendar.days import LocalDays
from core.errors import ConservationBroken, TotalTooLarge
from core.stores.runs import Counts
from core.stores.summaries import SUMMARY_COLUMNS
from jobs.aggregate.partial import PARTIAL_SCHEMA, Partial
from jobs.aggregate.summaries import merge, mixed_type_merchants, require_conservation, summarise
from jobs.decode.batch import Batch, LeadingRejects
from jobs.decode.merchants import MerchantTable

TEHRAN = LocalDays("Asia/Tehran")
CALENDAR = JalaliCalendar()
MERGED_SCHEMA = pl.Schema({**PARTIAL_SCHEMA, "merchant_id": pl.String()})
DAY_MS = 86_400_000
AUTUMN_2022 = 1_663_700_000_000
"""Near the end of the last summer time in Tehran."""

instants = st.one_of(
    st.integers(AUTUMN_2022 - 3 * DAY_MS, AUTUMN_2022 + 3 * DAY_MS),
    st.integers(1_600_000_000_000, 1_720_000_000_000),
    st.integers(-4_000_000_000_000, 4_000_000_000_000),
)
amounts = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63), 0, 1, -1]), st.integers(-99, 99)
)
small_amounts = st.integers(-(2**50), 2**50)
merchants = st.sampled_from(["a", "b", "42", "فروشگاه", "a\0b"])


def partial_of(rows: list[Row], size: int = 1000) -> Partial:
    """`rows` added up, in batches of `size`."""
    texts = list(dict.fromkeys(merchant for merchant, _, _ in rows))
    table = FewMerchants(texts)
    partial = Partial(table, TEHRAN)
    for first in range(0, len(rows), size):
        some = rows[first : first + size]
        codes = np.array([texts.index(merchant) for merchant, _, _ in some], np.int32)
        amounts, instants = (np.array([row[column] for row in some], np.int64) for column in (1, 2))
        partial.add(Batch(codes, amounts, instants, Counts(), [], {}, LeadingRejects()))
    return partial


class FewMerchants(MerchantTable):
    """A table of merchants that are known beforehand."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def texts(self) -> list[str]:
        """All of them."""
        return self._texts


def daily(rows: list[tuple[str, int, int, int]]) -> pl.DataFrame:
    """A frame of (merchant, day, amount, count)."""
    return pl.DataFrame(rows, schema=MERGED_SCHEMA, orient="row")


def as_dict(frame: pl.DataFrame) -> dict[tuple[str, int], tuple[int, int]]:
    assert frame.schema == PARTIAL_SCHEMA
    assert not frame.select("merchant_id", "day").is_duplicated().any()
    return {(merchant, day): (amount, count) for merchant, day, amount, count in frame.iter_rows()}


@tries(60, 10)
@given(st.lists(st.tuples(merchants, amounts, instants), max_size=60), st.sampled_from([1, 7, 1000]))
def test_partial_sums_equal_those_of_unbounded_integers(rows: list[Row], size: int) -> None:
    assert as_dict(merge([partial_of(rows, size).frame()])) == daily_totals(rows)


@tries(40, 8)
@given(st.lists(st.lists(st.tuples(merchants, amounts, instants), max_size=20), min_size=1, max_size=4))
def test_partials_of_several_workers_add_up_in_any_order(parts: list[list[Row]]) -> None:
    frames = [partial_of(rows).frame() for rows in parts]
    expected = daily_totals([row for rows in parts for row in rows])
    assert as_dict(merge(frames)) == as_dict(merge(frames[::-1])) == expected


def test_a_partial_sum_may_exceed_64_bits_if_the_total_fits() -> None:
    rows = [("a", 2**63 - 1, 0)] * 3 + [("a", -(2**63), 0)] * 3
    frames = [partial_of(rows[:3]).frame(), partial_of(rows[3:]).frame()]
    assert frames[0]["amount"].to_list() == [3 * (2**63 - 1)]
    total = merge(frames)
    assert total["amount"].to_list() == [-3]
    assert summarise(total, CALENDAR, TEHRAN)["amount"].to_list() == [-3] * 6


def test_a_table_of_cells_grows_with_merchants_and_days() -> None:
    rows = [("ab"[i % 2], 1, i * DAY_MS) for i in range(20_000)]
    frame = partial_of(rows, 5000).frame()
    assert len(frame) == 20_000
    assert frame["count"].sum() == 20_000


def test_rows_beyond_the_table_capacity_are_spilled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.aggregate.partial.MAX_ROWS", 10)
    rows = [("ab"[i % 2], i, i) for i in range(64)]
    frame = partial_of(rows, 5).frame()
    assert len(frame) == 2 * 7  # two merchants, seven tables
    assert as_dict(merge([frame])) == daily_totals(rows)


def test_batches_in_any_time_order_are_added_to_the_right_days() -> None:
    rows = [("a", 1, instant) for instant in (0, 4 * 10**12, -4 * 10**12, 5, 10**12)]
    assert as_dict(merge([partial_of(rows, 1).frame()])) == daily_totals(rows)


@tries(40, 8)
@given(st.lists(st.tuples(merchants, small_amounts, instants), min_size=1, max_size=40))
def test_jalali_summaries_equal_those_computed_by_hand(rows: list[Row]) -> None:
    base = merge([partial_of(rows).frame()])
    summaries = summarise(base, CALENDAR, TEHRAN)
    assert tuple(summaries.columns) == SUMMARY_COLUMNS
    found = {(mode, key, whose): (amount, count) for mode, key, whose, amount, count, _, _ in summaries.iter_rows()}
    assert len(found) == len(summaries)
    assert found == jalali_totals(rows)
    assert require_conservation(summaries, base) == (sum(amount for _, amount, _ in rows), len(rows))


@tries(20, 4)
@given(st.lists(st.tuples(merchants, small_amounts, instants), min_size=1, max_size=20))
def test_every_transaction_lies_within_the_bounds_of_its_periods(rows: list[Row]) -> None:
    summaries = summarise(merge([partial_of(rows).frame()]), CALENDAR, TEHRAN)
    overall = summaries.filter(pl.col("merchant_id").is_null())
    for _, _, instant in rows:
        within = overall.filter(
            (pl.col("period_start").dt.epoch("ms") <= instant) & (instant < pl.col("period_end").dt.epoch("ms"))
        )
        assert within["mode"].sort().to_list() == ["daily", "monthly", "weekly"]


def test_summaries_are_sorted_by_mode_merchant_and_key() -> None:
    rows = [("b", 1, 0), ("a", 1, 40 * DAY_MS), ("a", 1, 0)]
    summaries = summarise(merge([partial_of(rows).frame()]), CALENDAR, TEHRAN)
    order = [
        (mode, whose or "", key) for mode, key, whose in summaries.select("mode", "key", "merchant_id").iter_rows()
    ]
    assert order == sorted(order)


def test_no_transactions_give_no_summaries() -> None:
    base = merge([partial_of([]).frame()])
    summaries = summarise(base, CALENDAR, TEHRAN)
    assert len(summaries) == 0
    assert require_conservation(summaries, base) == (0, 0)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", 0, 2**63, 1)], "daily total of all merchants together in 1348/10/11 is 9223372036854775808"),
        ([("a", 0, 2**62, 1), ("a", 1, 2**62, 1)], "monthly total of all merchants together in 1348/10 is"),
        (
            [("a", 0, -(2**63) - 1, 1), ("b", 0, 1, 1)],
            "daily total of merchant a in 1348/10/11 is -9223372036854775809",
        ),
    ],
)
def test_a_total_beyond_64_bits_is_refused_with_merchant_and_period(
    rows: list[tuple[str, int, int, int]], words: str
) -> None:
    with pytest.raises(TotalTooLarge, match=words):
        summarise(daily(rows), CALENDAR, TEHRAN)


def test_the_largest_and_smallest_64_bit_totals_are_accepted() -> None:
    base = daily([("a", 0, 2**63 - 1, 1), ("b", 100, -(2**63), 1)])
    summaries = summarise(base, CALENDAR, TEHRAN)
    assert set(summaries["amount"]) == {2**63 - 1, -(2**63)}
    assert require_conservation(summaries, base) == (-1, 2)


BASE = daily([("a", 0, 5, 1), ("a", 1, 7, 2), ("b", 40, -3, 1)])
SUMMARIES = summarise(BASE, CALENDAR, TEHRAN)


@pytest.mark.parametrize("column", ["amount", "count"])
@pytest.mark.parametrize("row", range(len(SUMMARIES)))
def test_a_changed_summary_is_detected(row: int, column: str) -> None:
    values = SUMMARIES[column].to_list()
    values[row] += 1
    with pytest.raises(ConservationBroken, match="add up to"):
        require_conservation(SUMMARIES.with_columns(pl.Series(column, values)), BASE)


@pytest.mark.parametrize("row", range(len(SUMMARIES)))
def test_a_lost_or_duplicate_summary_is_detected(row: int) -> None:
    rest = pl.concat([SUMMARIES[:row], SUMMARIES[row + 1 :]])
    with pytest.raises(ConservationBroken):
        require_conservation(rest, BASE)
    with pytest.raises(ConservationBroken):
        require_conservation(pl.concat([SUMMARIES, SUMMARIES[row : row + 1]]), BASE)


def test_a_summary_of_an_unknown_merchant_is_detected() -> None:
    more = SUMMARIES[-1:].with_columns(pl.lit("stranger").alias("merchant_id"))
    with pytest.raises(ConservationBroken, match="stranger"):
        require_conservation(pl.concat([SUMMARIES, more]), BASE)
    with pytest.raises(ConservationBroken, match="merchant stranger add up to -3 in 1 transactions, but 0 in 0"):
        require_conservation(more, BASE[:0])


def test_a_wrong_overall_summary_is_reported_as_overall() -> None:
    with pytest.raises(ConservationBroken, match="daily summaries of all merchants together add up to 0 in 0"):
        require_conservation(SUMMARIES.filter(pl.col("merchant_id").is_not_null()), BASE)


def test_merchants_of_two_types_are_named_once() -> None:
    schema = {"merchant_id": pl.String, "kind": pl.UInt8}
    frames = [
        pl.DataFrame([("42", 2), ("a", 3)], schema, orient="row"),
        pl.DataFrame([("42", 3), ("a", 3)], schema, orient="row"),
    ]
    assert mixed_type_merchants(frames) == ["42"]
    assert mixed_type_merchants(frames[1:]) == []
