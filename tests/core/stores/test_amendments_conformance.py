"""Conformance tests of summary stores: amendments (replacing some periods), on every backend."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count

import polars as pl
import pytest
from effort import THOROUGH
from examples import Row, Script, frame, publication, row, uniform
from polars.testing import assert_frame_equal
from prepared_store import open_prepared

from core.calendar.periods import Mode
from core.errors import ConservationBroken, PublicationLost
from core.stores import Stores, open_stores
from core.stores.frames import within
from core.stores.summaries import KeyRange, SummaryStore

STATES = 50 if THOROUGH else 6
"""Number of amendments that a concurrent reader must see."""

MERCHANTS = (None, "a", "b\x00", "\U0001f600")
DAYS = [f"1403/{month:02d}/{day:02d}" for month in (3, 4) for day in range(1, 13)]
KEYS = {
    Mode.DAILY: DAYS,
    Mode.WEEKLY: [f"1403/W{week:02d}" for week in range(11, 19)],
    Mode.MONTHLY: ["1403/03", "1403/04"],
}
PERIODS = [(mode, key) for mode, keys in KEYS.items() for key in keys]


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def of_periods(
    periods: Sequence[tuple[Mode, str]], amount: int, merchants: Sequence[str | None] = MERCHANTS
) -> list[Row]:
    """A summary of each period and merchant; the amounts, counted up from `amount`, are all different."""
    pairs = [(period, merchant) for period in periods for merchant in merchants]
    return [row(mode.value, key, merchant, amount + number) for number, ((mode, key), merchant) in enumerate(pairs)]


BASE = frame(of_periods(PERIODS, 1_000))


def amended(before: pl.DataFrame, rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> pl.DataFrame:
    """The expected rows after amending `before`."""
    return pl.concat([before.filter(~within(ranges)), rows])


def amend(
    store: SummaryStore, generation: int, before: pl.DataFrame, rows: pl.DataFrame, *ranges: KeyRange
) -> pl.DataFrame:
    """Amend the store; returns the expected rows."""
    after = amended(before, rows, ranges)
    store.amend(publication(generation, after), rows, ranges)
    return after


def require_rows(store: SummaryStore, expected: pl.DataFrame, generation: int) -> None:
    """Require that exactly `expected` is published."""
    assert store.published() == publication(generation, expected)
    for mode in KEYS:
        of_mode = expected.filter(pl.col("mode") == mode.value)
        assert_frame_equal(store.rows(mode), of_mode, check_row_order=False)


def require_holds(store: SummaryStore, expected: pl.DataFrame, generation: int) -> None:
    """Require that `expected` is published and that every read agrees with it."""
    require_rows(store, expected, generation)
    assert store.count() == expected.height
    for mode, keys in KEYS.items():
        of_mode = expected.filter(pl.col("mode") == mode.value)
        middle = keys[len(keys) // 2]
        for first, last in ((None, None), (middle, middle), (middle, None)):
            overall = of_mode.filter(pl.col("merchant_id").is_null(), pl.col("key") >= (first or ""))
            points = overall.filter(pl.col("key") <= (last or "9999")).select("key", "amount").sort("key").rows()
            assert [tuple(point) for point in store.series(mode, "amount", None, first, last)] == points
    merchants = expected.filter(pl.col("merchant_id").is_not_null())
    for merchant in ("a", "new"):
        assert store.has_merchant(merchant) == (merchant in merchants["merchant_id"])
    monthly = merchants.filter(pl.col("mode") == "monthly").group_by("merchant_id").agg(pl.col("amount", "count").sum())
    assert [tuple(one) for one in store.merchants()] == sorted(monthly.rows())


WEEK = (KeyRange(Mode.DAILY, "1403/03/10", "1403/04/02"), KeyRange(Mode.WEEKLY, "1403/W13", "1403/W13"))


def test_an_amendment_replaces_its_periods_and_leaves_the_others(stores: Stores) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    periods = [(mode, key) for mode, first, last in WEEK for key in KEYS[mode] if first <= key <= last]
    after = amend(stores.summaries, 2, BASE, frame(of_periods(periods, 5_000, ("a", None, "new"))), *WEEK)
    require_holds(stores.summaries, after, 2)


def test_a_replaced_period_without_rows_is_removed(stores: Stores) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    after = amend(stores.summaries, 2, BASE, frame([]), *WEEK)
    require_holds(stores.summaries, after, 2)
    assert "1403/04/01" not in dict(stores.summaries.series(Mode.DAILY, "amount", None))


def test_periods_can_be_added_before_between_and_after_existing_ones(stores: Stores) -> None:
    some = BASE.filter(pl.col("key").is_in(DAYS[5:9] + DAYS[12:15]))
    stores.summaries.publish(publication(1, some), some)
    added = [DAYS[0], DAYS[1], DAYS[10], DAYS[20]]
    rows = frame(of_periods([(Mode.DAILY, key) for key in added], 7_000))
    ranges = (KeyRange(Mode.DAILY, DAYS[0], DAYS[1]), *(KeyRange(Mode.DAILY, key, key) for key in added[2:]))
    require_holds(stores.summaries, amend(stores.summaries, 2, some, rows, *ranges), 2)


def test_all_periods_can_be_removed_and_added_again(stores: Stores) -> None:
    everything = [KeyRange(mode, keys[0], keys[-1]) for mode, keys in KEYS.items()]
    stores.summaries.publish(publication(1, BASE), BASE)
    nothing = amend(stores.summaries, 2, BASE, frame([]), *everything)
    require_rows(stores.summaries, nothing, 2)
    require_holds(stores.summaries, amend(stores.summaries, 3, nothing, BASE, *everything), 3)


def test_an_empty_amendment_publishes_the_same_rows(stores: Stores) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    amend(stores.summaries, 2, BASE, frame([]))
    require_holds(stores.summaries, amend(stores.summaries, 3, BASE, frame([])), 3)


def test_the_first_publication_may_be_an_amendment(stores: Stores) -> None:
    ranges = [KeyRange(mode, keys[0], keys[-1]) for mode, keys in KEYS.items()]
    require_holds(stores.summaries, amend(stores.summaries, 1, frame([]), BASE, *ranges), 1)


@pytest.mark.parametrize("seed", range(10 if THOROUGH else 1))
def test_amendments_and_publications_in_any_order_give_the_expected_rows(stores: Stores, seed: int) -> None:
    chance = random.Random(seed)
    held = BASE
    stores.summaries.publish(publication(1, held), held)
    last = 21 if THOROUGH else 11
    for generation in range(2, last + 1):
        if chance.random() < 0.1:
            held = frame(of_periods(chance.sample(PERIODS, 20), generation * 1_000))
            stores.summaries.publish(publication(generation, held), held)
            continue
        ranges = list(chain.from_iterable(some_ranges(chance, mode) for mode in chance.sample(list(Mode), 2)))
        periods = [(mode, key) for mode, first, last in ranges for key in KEYS[mode] if first <= key <= last]
        stored = [period for period in periods if chance.random() < 0.8]
        merchants = chance.sample([*MERCHANTS, "new"], 3)
        held = amend(
            stores.summaries, generation, held, frame(of_periods(stored, generation * 1_000, merchants)), *ranges
        )
        if generation % 6 == 0:
            require_rows(stores.summaries, held, generation)
    require_holds(stores.summaries, held, last)


def some_ranges(chance: random.Random, mode: Mode) -> list[KeyRange]:
    """One or two ranges of `mode` that do not overlap."""
    rows = sorted(chance.sample(range(len(KEYS[mode])), min(len(KEYS[mode]), chance.choice((2, 2, 4)))))
    return [
        KeyRange(mode, KEYS[mode][first], KEYS[mode][last]) for first, last in zip(rows[::2], rows[1::2], strict=True)
    ]


def test_rows_of_other_periods_are_refused(stores: Stores) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    rows = frame(of_periods([(Mode.DAILY, "1403/03/10"), (Mode.DAILY, "1403/04/03"), (Mode.MONTHLY, "1403/04")], 1))
    with pytest.raises(ConservationBroken, match="8 summaries belong to periods that must not be replaced"):
        stores.summaries.amend(publication(2, BASE), rows, WEEK)
    require_rows(stores.summaries, BASE, 1)


def test_a_duplicate_row_of_an_amended_period_is_refused(stores: Stores) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    rows = frame([row("weekly", "1403/W13", None, amount) for amount in (1, 2)])
    with pytest.raises(ConservationBroken, match="1 summaries are duplicates of a period and merchant"):
        stores.summaries.amend(publication(2, BASE), rows, WEEK)
    require_rows(stores.summaries, BASE, 1)


def test_ranges_that_overlap_are_refused(stores: Stores) -> None:
    ranges = (KeyRange(Mode.DAILY, "1403/04/01", "1403/04/03"), KeyRange(Mode.DAILY, "1403/04/03", "1403/04/05"))
    with pytest.raises(ValueError, match="overlap"):
        stores.summaries.amend(publication(1, frame([])), frame([]), ranges)


@pytest.mark.parametrize("difference", [-1, 1])
def test_an_amendment_with_an_unexpected_row_count_is_refused(stores: Stores, difference: int) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    rows = BASE.filter(within(WEEK))
    announced = replace(publication(2, BASE), rows=BASE.height + difference)
    with pytest.raises(ConservationBroken, match=f"{announced.rows} summaries, but would have {BASE.height}"):
        stores.summaries.amend(announced, rows, WEEK)
    require_rows(stores.summaries, BASE, 1)


@pytest.mark.parametrize("generation", [1, 3])
def test_an_amendment_that_is_not_the_next_generation_is_refused(stores: Stores, generation: int) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    with pytest.raises(PublicationLost, match="run 9 prepared generation"):
        stores.summaries.amend(publication(generation, BASE, run_id=9), BASE.filter(within(WEEK)), WEEK)
    require_rows(stores.summaries, BASE, 1)


def test_of_two_concurrent_amendments_one_is_published(stores: Stores, store_url: str) -> None:
    held = uniform(0)
    stores.summaries.publish(publication(1, held), held)
    everything = KeyRange(Mode.DAILY, "1403/01/01", "1403/12/30")
    for generation in range(2, 6 if THOROUGH else 4):
        barrier = threading.Barrier(2)
        lost: list[int] = []

        def publish(run_id: int) -> None:
            rows = uniform(run_id)
            with open_stores(store_url, timeout_s=10) as own:
                barrier.wait(timeout=60)  # noqa: B023 - the threads end with the turn
                try:
                    own.summaries.amend(publication(generation, rows, run_id), rows, [everything])  # noqa: B023
                except PublicationLost:
                    lost.append(run_id)  # noqa: B023

        run_ids = {2 * generation, 2 * generation + 1}
        threads = [threading.Thread(target=publish, args=(run_id,)) for run_id in run_ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        found = stores.summaries.published()
        assert found is not None
        assert {found.run_id, *lost} == run_ids
        assert set(stores.summaries.rows(Mode.DAILY)["amount"]) == {found.run_id}


def test_an_amendment_is_atomic_for_readers_in_other_processes(stores: Stores, store_url: str) -> None:
    """Two ranges of days are amended together, so a reader must always see both or neither."""
    held = uniform(0)
    days = [f"1403/01/{day:02d}" for day in (2, 3, 8, 9)]
    ranges = [KeyRange(Mode.DAILY, days[0], days[1]), KeyRange(Mode.DAILY, days[2], days[3])]
    stores.summaries.publish(publication(1, held), held)
    with Script("reader.py", store_url, str(STATES)) as reader:
        assert reader.stdout.readline() == "reading\n"
        generations = count(2)
        while not reader.has_ended:
            generation = next(generations)
            held = amend(
                stores.summaries, generation, held, uniform(generation).filter(pl.col("key").is_in(days)), *ranges
            )
        seen = [[int(word) for word in line.split()] for line in reader.stdout]
    assert {number for number, *_ in seen} == {10, 90}
    read = [set(amounts) - {0} for _, *amounts in seen]
    assert max(map(len, read)) == 1
    output = [max(amounts, default=0) for amounts in read]
    assert output == sorted(output)
    assert len(set(output)) >= STATES
