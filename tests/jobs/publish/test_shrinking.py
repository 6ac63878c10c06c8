"""Shrink protection of days: losses that are prevented, that stop a run, and that are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from replaced_days import ALWAYS, CALENDAR, NOWRUZ, TEHRAN, Sums, day, frame, publish, require_holds

from core.calendar import Mode
from core.errors import WouldShrink, exit_code_of
from core.stores import Stores, open_stores
from core.stores.summaries import KeyRange
from jobs.publish.replacing import replace_days
from jobs.publish.shrinking import DayCounts, DayLoss, LossLimits, Retention, as_one_day, losses, require_half

OLDEST = day("1403/01/10")


def retention(oldest_day: int | None = OLDEST, **limits: float | bool) -> Retention:
    return Retention(CALENDAR, lambda: oldest_day, LossLimits(**limits))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("published", "counted", "exceeded"),
    [
        (100, 79, True),
        (100, 80, False),  # 20 are not more than 20
        (210, 189, False),  # 21 are not more than a tenth of 210
        (209, 188, True),
        (1000, 901, False),
        (1000, 900, False),
        (1000, 899, True),
        (20, 0, False),
        (21, 0, True),
    ],
)
def test_a_day_loses_too_many_when_both_limits_are_exceeded(published: int, counted: int, exceeded: bool) -> None:
    lost = published - counted
    assert LossLimits().are_exceeded_by(lost, published) is exceeded
    assert not LossLimits(allow_shrink=True).are_exceeded_by(lost, published)


def test_the_limits_can_be_changed() -> None:
    assert LossLimits(ratio=0, count=0).are_exceeded_by(1, 100)
    assert not LossLimits(ratio=1, count=0).are_exceeded_by(100, 100)
    assert LossLimits(ratio=0.5, count=5).are_exceeded_by(7, 12)
    assert not LossLimits(ratio=0.5, count=6).are_exceeded_by(6, 12)


def test_a_day_shrinks_only_if_fewer_transactions_are_counted() -> None:
    published = {5: 3, 1: 1, 2: 4, 3: 4}
    assert losses(published, {2: 4, 3: 3, 4: 9, 5: 4}) == [DayLoss(1, 1, 0), DayLoss(3, 4, 3)]


def test_days_up_to_the_oldest_document_are_kept() -> None:
    published = dict.fromkeys(range(OLDEST - 2, OLDEST + 3), 20)
    protected = retention()(published, {OLDEST: 1, OLDEST + 2: 20})
    assert protected == [DayLoss(OLDEST - 2, 20, 0), DayLoss(OLDEST - 1, 20, 0), DayLoss(OLDEST, 20, 1)]


def test_allow_shrink_does_not_remove_kept_days() -> None:
    published = {OLDEST: 500, OLDEST + 1: 500}
    assert retention(allow_shrink=True)(published, {}) == [DayLoss(OLDEST, 500, 0)]


def test_one_later_day_that_shrinks_too_much_stops_the_run() -> None:
    published = {OLDEST - 1: 500, OLDEST + 1: 500, OLDEST + 2: 500, OLDEST + 3: 500}
    with pytest.raises(WouldShrink) as refusal:
        retention()(published, {OLDEST + 1: 500, OLDEST + 2: 77, OLDEST + 3: 499})
    assert exit_code_of(refusal.value) == 5
    assert refusal.value.sentence == (
        "1 day(s) would lose more than 0.1 of their published transactions and more than 20: "
        "1403/01/12 (500 published, 77 counted)"
    )
    assert "The oldest valid document is of 1403/01/10" in refusal.value.hint
    assert "--allow-shrink" in refusal.value.hint


def test_of_many_shrinking_days_a_few_are_named() -> None:
    published = dict.fromkeys(range(OLDEST + 1, OLDEST + 13), 500)
    with pytest.raises(WouldShrink, match=r"1403/01/20 \(500 published, 0 counted\) and 2 more$") as refusal:
        retention()(published, {})
    assert refusal.value.sentence.startswith("12 day(s) would lose")
    with pytest.raises(WouldShrink, match=r"1403/01/20 \(500 published, 0 counted\)$"):
        retention()(dict.fromkeys(range(OLDEST + 1, OLDEST + 11), 500), {})


@pytest.mark.parametrize(
    ("published", "counted", "refused"),
    [
        # of each day a few, of all together too many
        ([100] * 4, [90, 90, 90, 88], "4 day(s) together would lose 42, more than 0.1 of"),
        ([100] * 4, [90, 90, 90, 90], None),  # not more than a tenth
        ([10] * 10, [8] * 10, None),  # not more than 20
        ([10] * 11, [8] * 11, "11 day(s) together would lose 22, more than 0.1 of"),
        ([9, 9, 9, 200], [10, 9, 0, 190], None),
        # whole days, of which the share is small
        ([7, 7, 7, 5000], [0, 0, 0, 5000], "3 day(s) together would lose all their 21 transactions: 1403/01/11 (7 "),
        ([7, 7, 6, 5000], [0, 0, 0, 5000], None),
        ([7, 7, 7, 5000], [0, 0, 1, 5000], None),
        ([7, 7, 7, 7, 5000], [0, 0, 1, 0, 5000], "3 day(s) together would lose all their 21 transactions: 1403/01/11 "),
    ],
)
def test_the_limits_apply_to_all_later_days_together(
    published: list[int], counted: list[int], refused: str | None
) -> None:
    before = {OLDEST - 1: 10**6, OLDEST: 10**6} | {OLDEST + 1 + i: count for i, count in enumerate(published)}
    now = {OLDEST + 1 + i: count for i, count in enumerate(counted)}
    protected = [DayLoss(OLDEST - 1, 10**6, 0), DayLoss(OLDEST, 10**6, 0)]
    assert retention(allow_shrink=True)(before, now) == protected
    if refused is None:
        assert retention()(before, now) == protected
        return
    with pytest.raises(WouldShrink) as refusal:
        retention()(before, now)
    assert refusal.value.sentence.startswith(refused)


def test_if_nothing_counts_any_more_every_day_is_kept() -> None:
    assert retention(None)({OLDEST: 500}, {}) == [DayLoss(OLDEST, 500, 0)]


def test_without_shrinking_the_oldest_document_is_not_queried() -> None:
    def fail() -> int | None:
        raise AssertionError("it costs a query")

    assert Retention(CALENDAR, fail, LossLimits())({OLDEST: 5}, {OLDEST: 5, OLDEST + 1: 1}) == []


def test_the_warning_names_kept_days_and_their_counts() -> None:
    assert retention().warnings([]) == ()
    (warning,) = retention().warnings([DayLoss(OLDEST - 1, 30, 0), DayLoss(OLDEST, 10, 4)])
    assert warning == (
        "2 day(s) from 1403/01/09 to 1403/01/10 keep their 40 published transactions, although the source has 4 of "
        "them now: no valid document is older than these days, so their documents may have been deleted on purpose"
    )


def test_lost_transactions_have_their_own_warning() -> None:
    lost = [DayLoss(OLDEST + 1, 5, 0), DayLoss(OLDEST + 3, 10, 4)]
    warning = "2 day(s) lost 11 published transactions: 1403/01/11 (5 published, 0 counted), "
    assert retention().warnings([], lost) == (f"{warning}1403/01/13 (10 published, 4 counted)",)
    both = retention().warnings([DayLoss(OLDEST, 5, 0)], lost)
    assert [one.split(" ", 2)[2].split()[0] for one in both] == ["from", "lost"]


@pytest.mark.parametrize(
    ("counted", "removed"),
    [({1: 5, 2: 5}, None), ({1: 9, 2: 0, 3: 100}, 11), ({1: 10, 2: 0}, None), ({3: 20}, 20), ({}, 20)],
)
def test_at_most_half_of_the_replaced_transactions_may_be_removed(
    counted: Mapping[int, int], removed: int | None
) -> None:
    published = {1: 10, 2: 10}
    if removed is None:
        assert require_half(published, counted) == ()
        return
    with pytest.raises(WouldShrink, match=f"^{removed} of the 20 published transactions") as refusal:
        require_half(published, counted)
    assert exit_code_of(refusal.value) == 5


def test_the_total_counts_when_transactions_move_to_other_days() -> None:
    published = as_one_day({1: 10, 2: 10})
    assert require_half(published, as_one_day({3: 4, 4: 6})) == ()
    with pytest.raises(WouldShrink, match=r"^11 of the 20 published transactions"):
        require_half(published, as_one_day({3: 9}))


def test_without_a_publication_nothing_can_shrink() -> None:
    assert require_half({}, {}) == ()


# What is kept, in a store.


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


def replace_but(stores: Stores, sums: Sums, protected: set[int], *days: tuple[int, int]) -> tuple[KeyRange, ...]:
    """Replace `days` by `sums`, those of `protected` excepted."""
    before = stores.summaries.published()
    assert before is not None
    change = replace_days(
        stores.summaries, before, CALENDAR, TEHRAN, frame(sums), days,
        lambda published, counted: [
            DayLoss(day, published.get(day, 0), counted.get(day, 0)) for day in sorted(protected)
        ],
    )  # fmt: skip
    stores.summaries.amend(change.publication(before, 2, before.fingerprint, 0), change.rows, change.ranges)
    return change.ranges


def test_weeks_and_months_include_the_stored_totals_of_kept_days(stores: Stores) -> None:
    held = {(merchant, NOWRUZ + i): (100 + i, 2) for i in range(-9, 9) for merchant in "ab"}
    publish(stores, held, ALWAYS)
    new = {("a", NOWRUZ + i): (i, 1) for i in range(-2, 6)}
    ranges = replace_but(stores, new, {NOWRUZ - 2, NOWRUZ - 1, NOWRUZ, NOWRUZ + 4}, (NOWRUZ - 2, NOWRUZ + 5))
    protected = {key: sums for key, sums in held.items() if key[1] < NOWRUZ + 1 or key[1] in (NOWRUZ + 4,)}
    later = {key: sums for key, sums in held.items() if key[1] > NOWRUZ + 5}
    counted = {("a", NOWRUZ + i): (i, 1) for i in (1, 2, 3, 5)}
    require_holds(stores, protected | later | counted)
    assert [one for one in ranges if one.mode is Mode.DAILY] == [
        KeyRange(Mode.DAILY, "1402/12/28", "1403/01/01"),
        KeyRange(Mode.DAILY, "1403/01/03", "1403/01/03"),
    ]


def test_if_all_days_are_kept_nothing_changes(stores: Stores) -> None:
    held = {("a", NOWRUZ + i): (100 + i, 2) for i in range(5)}
    publish(stores, held, ALWAYS)
    assert replace_but(stores, {}, set(range(NOWRUZ, NOWRUZ + 5)), ALWAYS) == ()
    require_holds(stores, held)


def test_compared_counts_and_kept_and_lost_days_are_reported(stores: Stores) -> None:
    held = {(merchant, NOWRUZ + i): (100 + i, 2) for i in range(4) for merchant in "ab"}
    publish(stores, held, ALWAYS)
    counted = {("a", NOWRUZ): (1, 5), ("a", NOWRUZ + 1): (1, 1), ("a", NOWRUZ + 2): (1, 1), ("b", NOWRUZ + 2): (1, 2)}
    protected, compared = DayLoss(NOWRUZ + 1, 4, 1), []

    def protection(published: DayCounts, counted: DayCounts) -> list[DayLoss]:
        compared.append((published, counted))
        return [protected]

    before = stores.summaries.published()
    change = replace_days(stores.summaries, before, CALENDAR, TEHRAN, frame(counted), [ALWAYS], protection)
    published = dict.fromkeys(range(NOWRUZ, NOWRUZ + 4), 4)
    assert compared == [(published, {NOWRUZ: 5, NOWRUZ + 1: 1, NOWRUZ + 2: 3})]
    assert change.protected == (protected,)
    assert change.lost == (DayLoss(NOWRUZ + 2, 4, 3), DayLoss(NOWRUZ + 3, 4, 0))


sums_of_days = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(NOWRUZ - 9, NOWRUZ + 9)),
    st.tuples(st.integers(-9, 9), st.integers(1, 9)),
    max_size=9,
)


def test_the_store_equals_a_rebuild_of_kept_and_counted_days(tmp_path: Path) -> None:
    """Each example replaces all that the one before left in the store."""

    @tries(40)
    @given(sums_of_days, sums_of_days, st.sets(st.integers(NOWRUZ - 9, NOWRUZ + 9)))
    def replace_and_compare(held: Sums, new: Sums, protected: set[int]) -> None:
        publish(opened, held, ALWAYS)
        replace_but(opened, new, protected, ALWAYS)
        after = {key: sums for key, sums in held.items() if key[1] in protected}
        require_holds(opened, after | {key: sums for key, sums in new.items() if key[1] not in protected})

    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as opened:
        replace_and_compare()
