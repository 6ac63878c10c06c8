"""Replacing days: the result equals a rebuild of everything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

import polars as pl
import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from replaced_days import ALWAYS, CALENDAR, NOWRUZ, TEHRAN, Sums, day, find, frame, publish, require_holds

from core.calendar.periods import Mode
from core.errors import PublicationLost, TotalTooLarge
from core.stores import Stores, open_stores
from core.stores.summaries import KeyRange, SummaryStore
from jobs.publish.replacing import days_of, replace_days


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


days = st.one_of(st.integers(NOWRUZ, NOWRUZ + 12), st.integers(NOWRUZ - 60, NOWRUZ + 60))
sums_of_days = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "فروشگاه"]), days),
    st.tuples(st.one_of(st.integers(-9, 9), st.integers(-(2**55), 2**55)), st.integers(1, 99)),
    max_size=12,
)
ranges = st.lists(
    st.tuples(days, st.integers(0, 40)).map(lambda one: (one[0], one[0] + one[1])), min_size=1, max_size=3
)


@tries(60)
@given(st.lists(st.tuples(sums_of_days, st.one_of(ranges, st.just([ALWAYS]))), min_size=1, max_size=5))
def test_repeated_replacements_equal_a_full_rebuild(
    steps: list[tuple[Sums, list[tuple[int, int]]]],
) -> None:
    held: dict[tuple[str, int], tuple[int, int]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_stores(f"sqlite:///{folder}/summaries.db", timeout_s=10) as stores,
    ):
        for sums, replaced in steps:

            def is_replaced(day: int, replaced: Sequence[tuple[int, int]] = replaced) -> bool:
                return any(first <= day <= last for first, last in replaced)

            new = {key: value for key, value in sums.items() if is_replaced(key[1])}
            held = {key: value for key, value in held.items() if not is_replaced(key[1])} | new
            publish(stores, new, *replaced)
            require_holds(stores, held)


THREE_MONTHS = {
    (merchant, day): (1_000 + day, 3) for day in range(NOWRUZ - 45, NOWRUZ + 46) for merchant in ("a", "b", "c")
}


def test_replaced_days_weeks_and_months_are_correct_on_every_backend(stores: Stores) -> None:
    publish(stores, THREE_MONTHS, ALWAYS)
    new = {("a", NOWRUZ): (5, 1), ("new", NOWRUZ + 1): (-7, 2), ("b", NOWRUZ + 40): (9, 1)}
    stored = pl.concat([stores.summaries.rows(mode) for mode in Mode])
    change = publish(stores, new, (NOWRUZ, NOWRUZ + 3), (NOWRUZ + 40, NOWRUZ + 40))
    assert change
    changed = [key for mode in Mode for key in change.periods[mode]]
    assert_frame_equal(change.replaced, stored.filter(pl.col("key").is_in(changed)), check_row_order=False)
    protected = {key: v for key, v in THREE_MONTHS.items() if key[1] not in (*range(NOWRUZ, NOWRUZ + 4), NOWRUZ + 40)}
    require_holds(stores, protected | new)
    assert change.days_changed == 5
    assert change.periods == {
        Mode.DAILY: ("1402/12/27", "1402/12/28", "1402/12/29", "1403/01/01", "1403/02/07"),
        Mode.WEEKLY: ("1403/W01", "1403/W06"),
        Mode.MONTHLY: ("1402/12", "1403/01", "1403/02"),
    }
    assert change.ranges == (
        KeyRange(Mode.DAILY, "1402/12/27", "1403/01/01"),
        KeyRange(Mode.DAILY, "1403/02/07", "1403/02/07"),
        KeyRange(Mode.WEEKLY, "1403/W01", "1403/W01"),
        KeyRange(Mode.WEEKLY, "1403/W06", "1403/W06"),
        KeyRange(Mode.MONTHLY, "1402/12", "1403/02"),
    )


def test_unchanged_sums_change_nothing(stores: Stores) -> None:
    publish(stores, THREE_MONTHS, ALWAYS)
    change = find(stores, THREE_MONTHS, ALWAYS)
    assert not change
    assert (change.ranges, change.rows.height, change.days_changed) == ((), 0, 0)
    publish(stores, THREE_MONTHS, ALWAYS)
    require_holds(stores, THREE_MONTHS)


def test_a_transaction_that_moves_within_a_month_does_not_change_the_month(stores: Stores) -> None:
    first = day("1403/02/03")
    held = {("a", first): (10, 1), ("a", first + 1): (20, 2), ("a", first + 9): (5, 1)}
    publish(stores, held, ALWAYS)
    moved = {("a", first): (20, 2), ("a", first + 1): (10, 1)}
    change = publish(stores, moved, (first, first + 1))
    assert {mode: len(keys) for mode, keys in change.periods.items()} == {
        Mode.DAILY: 2,
        Mode.WEEKLY: 0,
        Mode.MONTHLY: 0,
    }
    require_holds(stores, held | moved)


class Watched:
    """A store that notes which rows are read of it."""

    def __init__(self, store: SummaryStore) -> None:
        self.read: list[tuple[Mode, str, str]] = []
        self._store = store
        self.count, self.published = store.count, store.published

    def rows_within(self, ranges: Sequence[KeyRange], overall: Mode) -> pl.DataFrame:
        """See `SummaryStore.rows_within`."""
        self.read += ranges
        return self._store.rows_within(ranges, overall)


def test_only_the_weeks_and_months_of_the_days_are_read(stores: Stores) -> None:
    publish(stores, THREE_MONTHS, ALWAYS)
    watched = Watched(stores.summaries)
    replace_days(watched, stores.summaries.published(), CALENDAR, TEHRAN, frame({}), [(NOWRUZ + 30, NOWRUZ + 31)])  # type: ignore[arg-type]
    assert watched.read == [
        (Mode.DAILY, "1403/01/01", "1403/01/31"),
        (Mode.WEEKLY, "1403/W05", "1403/W05"),
        (Mode.MONTHLY, "1403/01", "1403/01"),
    ]


def test_of_keys_written_by_other_programs_only_days_count() -> None:
    keys = ["1403/01/01", "1403/1/2", "1403/13/01", "1403/01", "", "nonsense"]
    assert days_of(keys, CALENDAR) == {"1403/01/01": day("1403/01/01")}


def test_sums_outside_the_replaced_days_are_refused(stores: Stores) -> None:
    with pytest.raises(ValueError, match="days that are not replaced"):
        find(stores, {("a", NOWRUZ): (1, 1), ("a", NOWRUZ + 2): (1, 1)}, (NOWRUZ, NOWRUZ + 1))


def test_a_total_beyond_64_bits_names_merchant_and_period(stores: Stores) -> None:
    publish(stores, {("a", NOWRUZ): (2**62, 1)}, ALWAYS)
    with pytest.raises(TotalTooLarge, match=f"the weekly total of .* in 1403/W01 is {2**63}, which does not fit"):
        find(stores, {("a", NOWRUZ + 3): (2**62, 1)}, (NOWRUZ + 3, NOWRUZ + 3))


def test_a_partial_week_beyond_64_bits_is_harmless(stores: Stores) -> None:
    """1403/W01 is read for its days in the month that is derived, and not itself derived."""
    early, last, first = day("1402/12/05"), day("1402/12/28"), day("1403/01/01")
    held = {
        ("a", early): (-(2**62), 1),
        ("a", last): (2**62, 1),
        ("a", last + 1): (2**62, 1),
        ("a", first): (-(2**62), 1),
    }
    publish(stores, held, ALWAYS)
    publish(stores, {("a", early): (1 - 2**62, 1)}, (early, early))
    require_holds(stores, held | {("a", early): (1 - 2**62, 1)})


@pytest.mark.parametrize("question", ["rows_within", "count"])
def test_a_concurrent_publication_is_detected(stores: Stores, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(stores, THREE_MONTHS, ALWAYS)
    before, late = stores.summaries.published(), [{("a", NOWRUZ + 60): (1, 1)}]
    ask = getattr(stores.summaries, question)

    def publish_between(*arguments: object) -> object:
        answer = ask(*arguments)
        if late:
            publish(stores, late.pop(), (NOWRUZ + 60, NOWRUZ + 60))
        return answer

    monkeypatch.setattr(stores.summaries, question, publish_between)
    with pytest.raises(PublicationLost, match="another run published while this run searched for changes"):
        replace_days(stores.summaries, before, CALENDAR, TEHRAN, frame(THREE_MONTHS), [ALWAYS])
    assert not find(stores, THREE_MONTHS | {("a", NOWRUZ + 60): (1, 1)}, ALWAYS)
