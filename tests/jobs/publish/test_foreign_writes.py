"""Changes by other programs are repaired where days are recomputed, and cause no failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl
import pytest
from foreign_writer import ForeignWriter
from replaced_days import ALWAYS, CALENDAR, NOWRUZ, publish, require_holds

from core.calendar.periods import Mode
from core.stores import Stores, open_stores
from core.stores.sqlite import amending

SUMS: Final = {
    (merchant, day): (1_000 + day, 3) for day in range(NOWRUZ - 9, NOWRUZ + 10, 2) for merchant in ("a", "b")
}
"""Every second day of two months."""

PERIODS: Final = [(mode, CALENDAR.period_of(mode, NOWRUZ - 3).key) for mode in Mode]
STRAYS: Final = [(Mode.DAILY, "1402/12/25"), (Mode.WEEKLY, "1402/W52-"), (Mode.MONTHLY, "1402/12/")]
"""Keys without transactions, between those that have some; two are no keys at all."""


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


def require_true_count(stores: Stores) -> None:
    """Require that the announced number of summaries is correct."""
    published = stores.summaries.published()
    assert published is not None
    there = pl.concat([stores.summaries.rows(mode) for mode in Mode]).height
    assert (published.rows, stores.summaries.count()) == (there, there)


@pytest.mark.parametrize(
    ("act", "periods", "merchant_id"),
    [
        ("remove", PERIODS, "b"),
        pytest.param("remove", PERIODS, None, marks=pytest.mark.thorough),
        pytest.param("alter", PERIODS, "b", marks=pytest.mark.thorough),
        ("alter", PERIODS, None),
        ("add", PERIODS, "new"),
        ("add", STRAYS, "b"),
        pytest.param("add", STRAYS, None, marks=pytest.mark.thorough),
    ],
)
def test_changes_by_other_programs_are_repaired(
    stores: Stores,
    store_url: str,
    act: str,
    periods: list[tuple[Mode, str]],
    merchant_id: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(stores, SUMS, ALWAYS)
    for period in periods:
        getattr(ForeignWriter(store_url), act)((*period, merchant_id))
    elsewhere = (NOWRUZ + 9, NOWRUZ + 9)
    publish(stores, {("a", NOWRUZ + 9): (1, 1)}, elsewhere)
    require_true_count(stores)
    # Everything is rewritten while the store differs from its announced state.
    monkeypatch.setattr(amending, "MOST_IN_PLACE", 0)
    publish(stores, {("b", NOWRUZ + 9): (1, 1)}, elsewhere)
    require_true_count(stores)

    changed = publish(stores, SUMS, ALWAYS)
    assert {(mode, key) for mode, keys in changed.periods.items() for key in keys} >= set(periods)
    require_holds(stores, SUMS)
    again = {which: (amount + 1, 1) for which, (amount, _) in SUMS.items()}
    publish(stores, again, ALWAYS)
    require_holds(stores, again)
