"""Frames of summaries before publishing: sorting and detection of duplicates."""

from __future__ import annotations

import polars as pl
import pytest
from examples import Row, frame, row
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.stores import frames
from core.stores.frames import are_distinct, to_tuples

summaries = st.lists(
    st.builds(
        row,
        st.sampled_from(["daily", "monthly", "weekly"]),
        st.sampled_from(["1403/01", "1403/02", "1403/W10", "۱"]),
        st.sampled_from([None, "", "a", "aa", "b", "\U0001f600", "\uffff"]),
        st.integers(0, 3),
    ),
    max_size=12,
)


def identity(one: Row) -> tuple[str, bool, str, str]:
    mode, key, merchant_id, *_ = one
    return mode, merchant_id is not None, merchant_id or "", key


@settings(max_examples=60)
@given(summaries, st.booleans())
@example([row("daily", "1403/01", "b", 1), row("daily", "1403/02", "a", 1)], False)
@example([row("monthly", "1403/01", "a", 1), row("daily", "1403/02", "b", 1)], False)
@example([row("daily", "1403/02", "a", 1), row("daily", "1403/01", "a", 1)], False)
def test_summaries_are_sorted_by_mode_merchant_and_key(rows: list[Row], sort: bool) -> None:
    given_rows = sorted(rows, key=identity) if sort else rows
    found = to_tuples(frame(given_rows))
    assert sorted(found, key=str) == sorted(rows, key=str)
    # Text is compared by code points, as by SQLite, and not by UTF-16 units.
    assert [identity(one) for one in found] == sorted(map(identity, rows))


@settings(max_examples=60)
@given(summaries, st.booleans())
def test_duplicates_are_found_in_any_order(rows: list[Row], sort: bool) -> None:
    given_rows = sorted(rows, key=identity) if sort else rows
    assert are_distinct(frame(given_rows)) == (len({identity(one) for one in rows}) == len(rows))


def test_duplicates_are_found_at_any_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_COMPARED_ROWS", 500)
    numbers = pl.select(pl.int_range(1_200).cast(pl.String).str.zfill(7))["literal"]
    rows = pl.DataFrame({"mode": "daily", "merchant_id": "a", "key": numbers}, schema_overrides={"mode": pl.String})
    assert are_distinct(rows)
    for first in (0, 498, 499, 500, 1_000, 1_198):
        repeated = pl.concat([rows[: first + 1], rows[first:]])
        assert not are_distinct(repeated)
