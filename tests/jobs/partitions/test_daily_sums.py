"""Daily sums divided into ranges of merchants, and summaries computed range by range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import polars as pl
import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from core.calendar import JalaliCalendar
from core.calendar.days import LocalDays
from core.errors import ConservationBroken, TotalTooLarge
from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.aggregate.summaries import merge, require_conservation, summarise
from jobs.partitions import daily_sums
from jobs.partitions.daily_sums import LocalSums, SumsByRange, all_sums, borders, day_totals, in_order, ranges_of
from jobs.publish.derived import Derived

CALENDAR, TEHRAN = JalaliCalendar(), LocalDays("Asia/Tehran")
T = TypeVar("T")

sums = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "42", "فروشگاه", "a\0b", "z", "é", "aa"]), st.integers(19_990, 20_040)),
    st.tuples(st.integers(-(2**50), 2**50), st.integers(1, 9)),
    max_size=40,
)


def frame(rows: dict[tuple[str, int], tuple[int, int]]) -> pl.DataFrame:
    columns = [(merchant, day, amount, count) for (merchant, day), (amount, count) in rows.items()]
    return pl.DataFrame(columns, schema=PARTIAL_SCHEMA, orient="row")


def added(frames: list[pl.DataFrame], rows_of_a_range: int) -> LocalSums:
    """What `frames` add up to, where ranges are merged often, and divided when they have more than so many rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daily_sums, "PART_ROWS", rows_of_a_range)
        patch.setattr(daily_sums, "_FOLD_ROWS", 3)
        found = SumsByRange()
        for one in frames:
            found.add(one)
        return found.sums()


def derived(daily: LocalSums) -> Derived:
    return Derived.of(daily, day_totals(daily), CALENDAR, TEHRAN)


@tries(60, 10)
@given(st.lists(sums, max_size=8), st.integers(1, 30))
def test_ranges_hold_all_sums_sorted_with_each_merchant_in_one(
    parts: list[dict[tuple[str, int], tuple[int, int]]], size: int
) -> None:
    frames = [frame(rows) for rows in parts]
    found = added(frames, size)
    expected = in_order(merge([PARTIAL_SCHEMA.to_frame(), *frames]))
    assert all_sums(found).rows() == expected.rows()
    edges = [(part["merchant_id"][0], part["merchant_id"][-1]) for part in found.parts() if len(part)]
    assert all(last < first for (_, last), (first, _) in pairwise(edges))
    assert [part.rows() for part in found.parts()] == [part.rows() for part in found.parts()]


def test_a_large_range_is_split_but_never_within_a_merchant() -> None:
    many = frame({(f"m{number:03d}", day): (1, 1) for number in range(100) for day in range(20_000, 20_010)})
    halves = [many.filter(pl.col("day") % 2 == odd) for odd in (0, 1)]
    assert max(map(len, added([*halves, *halves], 100).parts())) < 500
    one = frame({("m", day): (1, 1) for day in range(20_000, 20_100)})
    assert [len(part) for part in added([one, one], 10).parts()] == [100]


@tries(60, 10)
@given(sums, st.integers(1, 20))
def test_summaries_by_range_equal_those_of_all_rows(rows: dict[tuple[str, int], tuple[int, int]], size: int) -> None:
    whole = frame(rows)
    found = derived(added([whole.slice(first, 9) for first in range(0, len(whole), 9)], size))
    expected = summarise(all_sums(LocalSums([whole])), CALENDAR, TEHRAN)
    assert_frame_equal(pl.concat([expected.clear(), *found.frames()]), expected)
    assert found.total_rows == len(expected)
    assert (found.total_amount, found.total_count) == require_conservation(expected, all_sums(LocalSums([whole])))
    keys = expected.filter(pl.col("mode") == "daily")["key"]
    assert (found.first_day_key, found.last_day_key) == (keys.min(), keys.max())


class Changing(LocalSums):
    """Sums that change from the second read on."""

    def __init__(self, first: pl.DataFrame, then: pl.DataFrame) -> None:
        super().__init__([first])
        self._then = then

    def parts(self) -> Iterator[pl.DataFrame]:
        yield from super().parts()
        self._frames = [self._then]
        self._ordered = 0

    def map(self, function: Callable[[pl.DataFrame], T]) -> list[T]:
        return [function(one) for one in self._frames]


def test_overall_summaries_that_do_not_match_are_detected() -> None:
    rows = {("a", 20_000): (5, 1), ("b", 20_001): (7, 1)}
    changing = Changing(frame(rows), frame(rows | {("b", 20_001): (8, 1)}))
    with pytest.raises(ConservationBroken, match=r"monthly summaries of 1403/07 of all merchants add up to 13 in 2"):
        list(derived(changing).frames())


def test_a_total_beyond_64_bits_is_refused_before_any_write() -> None:
    rows = {("a", 20_000): (2**62, 1), ("a", 20_001): (2**62, 1), ("b", 20_001): (-(2**62), 1)}
    with pytest.raises(TotalTooLarge, match="monthly total of merchant a in 1403/07 is 9223372036854775808"):
        derived(LocalSums([frame(rows)]))


def test_equally_spaced_sample_rows_give_the_range_boundaries() -> None:
    many = in_order(frame({(f"m{number:03d}", day): (1, 1) for number in range(100) for day in range(20_000, 20_010)}))
    found = ranges_of([merchant for part in (many[:500], many[500:]) for merchant in borders(part, 25)], 4)
    assert [first for first, _ in found] == [None, "m026", "m051", "m076"]
    assert [end for _, end in found] == ["m026", "m051", "m076", None]
    assert ranges_of([], 3) == ranges_of(["m"], 1) == [(None, None)]
