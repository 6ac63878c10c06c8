"""Conformance tests of summary stores, on every backend."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import orjson
import polars as pl
import pytest
from effort import THOROUGH
from examples import DAY_MS, Script, frame, publication, row, uniform
from polars.testing import assert_frame_equal
from prepared_store import open_prepared
from pymongo import MongoClient

from bench.mongo_urls import with_database
from core.calendar.periods import Mode
from core.errors import ConservationBroken, PublicationLost, StoreBusy, StoreUnavailable
from core.stores import Stores, open_stores
from core.stores.frames import from_batches, ordered, within
from core.stores.summaries import (
    KeyRange,
    Measure,
    MerchantPoint,
    MerchantTotals,
    Publication,
    SeriesPoint,
    SeriesRange,
    SummaryStore,
    read_current,
)

STATES = 50 if THOROUGH else 6
"""How many publications a reader must see while others are made."""

PERSIAN = "فروشگاه\u200cهای تهران"
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
EXTREMES = frame(
    [
        row("daily", "1403/04/03", PERSIAN, LARGEST, 2**62, start_ms=-99_999 * DAY_MS),
        row("daily", "1403/04/04", PERSIAN, SMALLEST, start_ms=99_999 * DAY_MS),
        row("daily", "1403/04/05", PERSIAN, 0),
        row("daily", "1403/04/04", "a\x00b", -7),
        row("daily", "1403/04/04", None, LARGEST),
        row("weekly", "1403/W15", PERSIAN, 15),
        row("monthly", "1403/04", PERSIAN, 4, 2),
        row("monthly", "1403/04", None, 44, 3),
    ]
)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


Published = Callable[[pl.DataFrame], SummaryStore]


@contextmanager
def own_database(server_url: str) -> Iterator[str]:
    """The URL of a database that is dropped at the end."""
    url = with_database(server_url, f"test_{uuid.uuid4().hex}")
    yield url
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database(client.get_default_database())


@pytest.fixture(scope="module", params=["sqlite", "mongo"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """Gives a store in which these rows are published, and which no test changes."""
    opened: dict[int, SummaryStore] = {}
    with ExitStack() as stack:

        def store_of(rows: pl.DataFrame) -> SummaryStore:
            if id(rows) not in opened:
                if request.param == "sqlite":
                    url = f"sqlite:///{tmp_path_factory.mktemp('published') / 'summaries.db'}"
                else:
                    url = stack.enter_context(own_database(request.getfixturevalue("mongo_url")))
                opened[id(rows)] = stack.enter_context(open_stores(url, timeout_s=10)).summaries
                opened[id(rows)].publish(publication(1, rows), rows)
            return opened[id(rows)]

        yield store_of


def test_a_new_store_has_no_publication(stores: Stores) -> None:
    store = stores.summaries
    assert store.published() is None
    assert store.series(Mode.DAILY, "amount", None) == []
    assert not store.has_merchant("m0001")
    assert store.merchants() == []
    assert_frame_equal(store.rows(Mode.DAILY), frame([]))


def test_a_publication_is_read_back_exactly(stores: Stores) -> None:
    stores.summaries.publish(publication(1, EXTREMES), EXTREMES)
    assert stores.summaries.published() == publication(1, EXTREMES)


def test_only_the_current_publication_is_recognised_as_current(stores: Stores) -> None:
    first, second = publication(1, EXTREMES), publication(2, EXTREMES)
    assert not stores.summaries.is_current(first)
    stores.summaries.publish(first, EXTREMES)
    assert stores.summaries.is_current(first)
    assert not stores.summaries.is_current(replace(first, published_at_ms=first.published_at_ms + 1))
    assert not stores.summaries.is_current(replace(first, run_id=first.run_id + 1))
    stores.summaries.publish(second, EXTREMES)
    assert [stores.summaries.is_current(one) for one in (first, second)] == [False, True]


def test_a_total_beyond_64_bits_is_read_back_exactly(stores: Stores) -> None:
    rows = frame([row("daily", f"1403/04/{day:02d}", None, LARGEST) for day in range(1, 31)])
    stores.summaries.publish(publication(1, rows), rows)
    found = stores.summaries.published()
    assert found is not None
    assert found.total_amount == 30 * LARGEST


def test_an_empty_publication_is_a_publication(stores: Stores) -> None:
    stores.summaries.publish(publication(1, EXTREMES), EXTREMES)
    nothing = frame([])
    stores.summaries.publish(publication(2, nothing), nothing)
    assert stores.summaries.published() == publication(2, nothing)
    assert stores.summaries.series(Mode.DAILY, "amount", PERSIAN) == []


@pytest.mark.parametrize(
    ("mode", "first_key", "last_key", "expected"),
    [
        (Mode.DAILY, None, None, {0, 1, 2, 3, 4}),
        (Mode.DAILY, "1403/04/04", None, {1, 2, 3, 4}),
        (Mode.DAILY, None, "1403/04/04", {0, 1, 3, 4}),
        (Mode.DAILY, "1403/04/04", "1403/04/04", {1, 3, 4}),
        (Mode.DAILY, "1403/05", None, set()),
        (Mode.WEEKLY, None, None, {5}),
        (Mode.MONTHLY, "1403/04", "1403/04", {6, 7}),
    ],
)
def test_rows_are_all_summaries_of_a_mode_between_two_keys(
    published: Published, mode: Mode, first_key: str | None, last_key: str | None, expected: set[int]
) -> None:
    found = published(EXTREMES).rows(mode, first_key, last_key)
    assert_frame_equal(found, EXTREMES[sorted(expected)], check_row_order=False)


def test_rows_of_ranges_are_read_with_overall_rows_over_all_layers(stores: Stores) -> None:
    before = uniform(1, merchants=5, days=12)
    keys = before["key"].unique().sort().to_list()
    stores.summaries.publish(publication(1, before), before)
    replaced = KeyRange(Mode.DAILY, keys[4], keys[5])
    rows = uniform(2, merchants=5, days=12).filter(within([replaced]))
    after = pl.concat([before.filter(~within([replaced])), rows])
    stores.summaries.amend(publication(2, after), rows, [replaced])
    asked = [KeyRange(Mode.DAILY, keys[3], keys[4]), KeyRange(Mode.DAILY, keys[9], keys[9])]
    assert_frame_equal(
        stores.summaries.rows_within(asked, Mode.DAILY),
        after.filter(within(asked) | pl.col("merchant_id").is_null()),
        check_row_order=False,
    )
    assert stores.summaries.rows_within(asked, Mode.WEEKLY).height == 3 * 6
    assert stores.summaries.rows_within([], Mode.WEEKLY).is_empty()


@pytest.mark.parametrize("overall", [True, False])
def test_a_scan_has_the_rows_of_a_mode_by_merchant_and_key_over_all_layers(
    overall: bool, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in ("sqlite", "mongo"):
        monkeypatch.setattr(f"core.stores.{backend}.summaries.SCAN_ROWS", 4)
    stores.summaries.publish(publication(1, EXTREMES), EXTREMES)
    amended = frame([row("daily", "1403/04/04", name, 5) for name in (None, PERSIAN, "m")])
    rows = frame([one for one in EXTREMES.rows() if one[:2] != ("daily", "1403/04/04")]).vstack(amended)
    stores.summaries.amend(publication(2, rows), amended, [KeyRange(Mode.DAILY, "1403/04/04", "1403/04/04")])
    for first, last in ((None, None), ("1403/04/04", None), (None, "1403/04/03")):
        with stores.summaries.scan(Mode.DAILY, first, last, overall=overall) as scan:
            assert scan is not None
            assert scan.publication == stores.summaries.published()
            batches = list(scan.batches)
        assert [len(batch) for batch in batches[:-1]] == [4] * (len(batches) - 1)
        wanted = stores.summaries.rows(Mode.DAILY, first, last).sort("merchant_id", "key", nulls_last=False)
        wanted = wanted if overall else wanted.filter(wanted["merchant_id"].is_not_null())
        assert_frame_equal(from_batches(batches), wanted)


def test_a_scan_without_a_publication_gives_none(stores: Stores) -> None:
    with stores.summaries.scan(Mode.DAILY, overall=True) as scan:
        assert scan is None


@pytest.mark.parametrize("meanwhile", [1, 2])
def test_a_scan_never_mixes_publications(meanwhile: int, stores: Stores, store_url: str) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    is_dropped = meanwhile > 1 and store_url.startswith("mongodb")
    with (
        pytest.raises(StoreBusy) if is_dropped else nullcontext(),
        stores.summaries.scan(Mode.DAILY, overall=True) as scan,
    ):
        assert scan is not None
        for generation in range(2, 2 + meanwhile):
            following = uniform(generation)
            stores.summaries.publish(publication(generation, following), following)
        found = [row for batch in scan.batches for row in batch]
        assert is_dropped or [row[3] for row in found] == [1] * rows.height


@pytest.mark.parametrize(
    ("mode", "measure", "merchant_id", "expected"),
    [
        (Mode.DAILY, "amount", PERSIAN, [("1403/04/03", LARGEST), ("1403/04/04", SMALLEST), ("1403/04/05", 0)]),
        (Mode.DAILY, "count", PERSIAN, [("1403/04/03", 2**62), ("1403/04/04", 1), ("1403/04/05", 1)]),
        (Mode.DAILY, "amount", "a\x00b", [("1403/04/04", -7)]),
        (Mode.DAILY, "amount", None, [("1403/04/04", LARGEST)]),
        (Mode.WEEKLY, "amount", PERSIAN, [("1403/W15", 15)]),
        (Mode.WEEKLY, "amount", None, []),
        (Mode.MONTHLY, "count", None, [("1403/04", 3)]),
        (Mode.DAILY, "amount", "nobody", []),
    ],
)
def test_a_series_is_one_merchant_by_key(
    published: Published, mode: Mode, measure: Measure, merchant_id: str | None, expected: list[tuple[str, int]]
) -> None:
    series = published(EXTREMES).series(mode, measure, merchant_id)
    assert series == [SeriesPoint(*point) for point in expected]
    assert all(type(point.value) is int for point in series)
    as_json = published(EXTREMES).series_json(publication(1, EXTREMES), [SeriesRange(mode, measure, merchant_id)])
    assert as_json == [orjson.dumps([{"key": key, "value": value} for key, value in expected])]


FOUR_DAYS = frame([row("daily", f"1403/04/{day:02d}", "m", day) for day in (5, 3, 2, 4)])


@pytest.mark.parametrize(
    ("first_key", "last_key", "expected"),
    [
        (None, None, [2, 3, 4, 5]),
        ("1403/04/03", None, [3, 4, 5]),
        (None, "1403/04/04", [2, 3, 4]),
        ("1403/04/03", "1403/04/04", [3, 4]),
        ("1403/04/04", "1403/04/04", [4]),
        ("1403/04/05", "1403/04/02", []),
        ("1404/01/01", None, []),
    ],
)
def test_the_bounds_of_a_series_are_inclusive(
    published: Published, first_key: str | None, last_key: str | None, expected: list[int]
) -> None:
    series = published(FOUR_DAYS).series(Mode.DAILY, "amount", "m", first_key, last_key)
    assert [point.value for point in series] == expected
    wanted = SeriesRange(Mode.DAILY, "amount", "m", first_key, last_key)
    found = published(FOUR_DAYS).series_json(publication(1, FOUR_DAYS), [wanted]) or []
    assert [[point["value"] for point in orjson.loads(one)] for one in found] == [expected]


def test_several_series_are_read_together_each_with_its_own_bounds(published: Published) -> None:
    wanted = [
        SeriesRange(Mode.DAILY, "amount", "m", None, "1403/04/03"),
        SeriesRange(Mode.DAILY, "count", "m", "1403/04/04"),
        SeriesRange(Mode.WEEKLY, "amount", None),
        SeriesRange(Mode.DAILY, "amount", "m", "1403/04/05", "1403/04/05"),
    ]
    found = published(FOUR_DAYS).series_json(publication(1, FOUR_DAYS), wanted) or []
    expected = [[point._asdict() for point in published(FOUR_DAYS).series(*one)] for one in wanted]
    assert [orjson.loads(one) for one in found] == expected
    assert list(map(len, expected)) == [2, 2, 0, 1]


def test_series_of_an_outdated_publication_are_not_read(stores: Stores) -> None:
    first, second = publication(1, FOUR_DAYS), publication(2, FOUR_DAYS)
    wanted = [SeriesRange(Mode.DAILY, "amount", "m")]
    assert stores.summaries.series_json(first, wanted) is None
    stores.summaries.publish(first, FOUR_DAYS)
    assert stores.summaries.series_json(first, wanted)
    assert stores.summaries.series_json(replace(first, run_id=first.run_id + 1), wanted) is None
    stores.summaries.publish(second, FOUR_DAYS)
    assert stores.summaries.series_json(first, wanted) is None


def test_the_store_knows_which_merchants_have_summaries(published: Published) -> None:
    assert published(EXTREMES).has_merchant(PERSIAN)
    assert not published(EXTREMES).has_merchant(PERSIAN.replace("\u200c", " "))
    assert not published(EXTREMES).has_merchant("")


MONTHS = frame(
    [
        row("monthly", f"1403/{month:02d}", merchant_id, amount, count)
        for month, merchant_id, amount, count in (
            (1, "b", 10, 1),
            (2, "b", 20, 2),
            (3, "b", 40, 4),
            (2, "a", -5, 1),
            (3, "a", 5, 1),
            (3, PERSIAN, 2**33 + 7, 2**33 + 3),
            (1, "\U0001f600", -(2**33) - 7, 1),
            (1, None, 1000, 100),
            (3, None, 1000, 100),
        )
    ]
    + [row("daily", "1403/02/01", "b", 9000, 900), row("weekly", "1403/W06", "only weekly", 9000, 900)]
)


@pytest.mark.parametrize(
    ("first_key", "last_key", "expected"),
    [
        (
            None,
            None,
            [("a", 0, 2), ("b", 70, 7), (PERSIAN, 2**33 + 7, 2**33 + 3), ("\U0001f600", -(2**33) - 7, 1)],
        ),
        ("1403/02", None, [("a", 0, 2), ("b", 60, 6), (PERSIAN, 2**33 + 7, 2**33 + 3)]),
        (None, "1403/02", [("a", -5, 1), ("b", 30, 3), ("\U0001f600", -(2**33) - 7, 1)]),
        ("1403/02", "1403/02", [("a", -5, 1), ("b", 20, 2)]),
        ("1403/03", "1403/01", []),
        ("1404/01", None, []),
    ],
)
def test_merchants_are_listed_with_totals_of_the_requested_months(
    published: Published, first_key: str | None, last_key: str | None, expected: list[tuple[str, int, int]]
) -> None:
    found = published(MONTHS).merchants(first_key, last_key)
    assert found == [MerchantTotals(*totals) for totals in expected]
    assert all(type(totals.amount) is type(totals.count) is int for totals in found)


def test_totals_of_merchants_beyond_64_bits_are_exact(stores: Stores) -> None:
    months = [f"1403/{month:02d}" for month in range(1, 13)]
    rows = frame(
        [row("monthly", key, "gains", LARGEST, LARGEST) for key in months]
        + [row("monthly", key, "loses", SMALLEST) for key in months]
        + [row("monthly", key, "swings", (LARGEST, SMALLEST)[number % 2]) for number, key in enumerate(months)]
    )
    stores.summaries.publish(replace(publication(1, rows), total_count=0), rows)
    assert stores.summaries.merchants() == [
        MerchantTotals("gains", 12 * LARGEST, 12 * LARGEST),
        MerchantTotals("loses", 12 * SMALLEST, 12),
        MerchantTotals("swings", -6, 12),
    ]


SOLD = [
    (name, key, number, 10 * number)
    for number, (name, key) in enumerate(
        itertools.product(("a", "a\x00b", "b", PERSIAN, "\U0001f600"), ("1403/04/03", "1403/04/04", "1403/04/06"))
    )
    if number != 4
]
"""Merchant, key, count and amount, in the order of merchants and keys."""


def _publish_in_layers(stores: Stores) -> None:
    """Publish `SOLD`, whose middle day an amendment has replaced."""
    rows = frame(
        [row("daily", key, name, amount, count) for name, key, count, amount in SOLD]
        + [row("daily", key, None, 1) for key in ("1403/04/03", "1403/04/04", "1403/04/06")]
        + [row("monthly", "1403/04", "a", 99), row("weekly", "1403/W15", "a", 98)]
    )
    amended = rows.filter(rows["key"] == "1403/04/04")
    others = frame([row("daily", "1403/04/04", "gone", 5), *rows.filter(rows["key"] != "1403/04/04").rows()])
    stores.summaries.publish(publication(1, others), others)
    stores.summaries.amend(publication(2, rows), amended, [KeyRange(Mode.DAILY, "1403/04/04", "1403/04/04")])


def test_series_of_several_merchants_are_paginated_by_merchant_and_key(stores: Stores) -> None:
    _publish_in_layers(stores)
    ranges = [(None, None), ("1403/04/04", None), ("1403/04/04", "1403/04/05"), ("1403/05", None)]
    for merchants, keys, limit in itertools.product(
        (None, ["a", "b", "nobody", "\U0001f600"], []), ranges, (1, 4, 100) if THOROUGH else (4, 100)
    ):
        first, last = keys
        expected = [
            MerchantPoint(name, key, amount)
            for name, key, _, amount in SOLD
            if (merchants is None or name in merchants) and (first or "") <= key <= (last or "9")
        ]
        for begin in {0, limit, len(expected)}:
            after = expected[begin - 1][:2] if 0 < begin <= len(expected) else None
            found = stores.summaries.merchant_series(Mode.DAILY, "amount", merchants, *keys, after=after, limit=limit)
            assert found == expected[begin if after else 0 :][:limit]
            assert all(type(point.value) is int for point in found)


def test_series_of_several_merchants_are_of_one_mode_and_measure(stores: Stores) -> None:
    assert stores.summaries.merchant_series(Mode.DAILY, "count", None, limit=9) == []
    _publish_in_layers(stores)
    assert stores.summaries.merchant_series(Mode.MONTHLY, "amount", None, limit=9) == [("a", "1403/04", 99)]
    counts = [(name, key, count) for name, key, count, _ in SOLD]
    assert stores.summaries.merchant_series(Mode.DAILY, "count", None, limit=99) == counts


def test_totals_of_merchants_can_be_of_any_mode(stores: Stores) -> None:
    _publish_in_layers(stores)
    for first, last in ((None, None), ("1403/04/04", None), ("1403/04/04", "1403/04/04")):
        expected: dict[str, tuple[int, int]] = {}
        for name, key, count, amount in SOLD:
            if (first or "") <= key <= (last or "9"):
                amounts, counts = expected.get(name, (0, 0))
                expected[name] = amounts + amount, counts + count
        found = stores.summaries.merchants(first, last, Mode.DAILY)
        assert found == [MerchantTotals(name, *totals) for name, totals in sorted(expected.items())]
    assert stores.summaries.merchants(mode=Mode.WEEKLY) == [MerchantTotals("a", 98, 1)]


def test_merchants_are_those_of_the_current_publication(stores: Stores) -> None:
    stores.summaries.publish(publication(1, MONTHS), MONTHS)
    rows = frame([row("monthly", "1403/01", "c", 1)])
    stores.summaries.publish(publication(2, rows), rows)
    assert stores.summaries.merchants() == [MerchantTotals("c", 1, 1)]


def test_a_publication_replaces_everything(stores: Stores) -> None:
    stores.summaries.publish(publication(1, EXTREMES), EXTREMES)
    rows = uniform(2)
    stores.summaries.publish(publication(2, rows), rows)
    assert stores.summaries.published() == publication(2, rows)
    assert not stores.summaries.has_merchant(PERSIAN)
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), rows, check_row_order=False)


def test_many_publications_follow_one_another(stores: Stores, store_url: str) -> None:
    for generation in range(1, 6):
        rows = uniform(generation, merchants=3)
        stores.summaries.publish(publication(generation, rows), rows)
    with open_stores(store_url, timeout_s=10, create=False) as others:
        assert {point.value for point in others.summaries.series(Mode.DAILY, "amount", None)} == {5}


@pytest.mark.parametrize("generation", [1, 3])
def test_a_generation_that_is_not_the_next_is_refused(stores: Stores, generation: int) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    late = uniform(9)
    with pytest.raises(PublicationLost, match="run 9 prepared generation"):
        stores.summaries.publish(publication(generation, late, run_id=9), late)
    assert stores.summaries.published() == publication(1, rows)
    assert {point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)} == {1}


def test_of_two_concurrent_publications_one_succeeds(stores: Stores, store_url: str) -> None:
    for generation in range(1, 6 if THOROUGH else 3):
        barrier = threading.Barrier(2)
        lost: list[int] = []

        def publish(run_id: int) -> None:
            rows = uniform(run_id)
            with open_stores(store_url, timeout_s=10) as own:
                barrier.wait()  # noqa: B023 - the threads end with the turn
                try:
                    own.summaries.publish(publication(generation, rows, run_id), rows)  # noqa: B023
                except PublicationLost:
                    lost.append(run_id)  # noqa: B023

        run_ids = {2 * generation, 2 * generation + 1}
        threads = [threading.Thread(target=publish, args=(run_id,)) for run_id in run_ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = stores.summaries.published()
        assert found is not None
        assert found.generation == generation
        assert {found.run_id, *lost} == run_ids
        assert set(stores.summaries.rows(Mode.DAILY)["amount"]) == {found.run_id}
        assert stores.summaries.rows(Mode.DAILY).height == found.rows


def test_an_unexpected_row_count_is_refused(stores: Stores) -> None:
    with pytest.raises(ConservationBroken, match="the publication should have 8 summaries, but has 7"):
        stores.summaries.publish(publication(1, EXTREMES), EXTREMES.head(7))
    assert stores.summaries.published() is None


@pytest.mark.parametrize("merchant_id", ["m", None])
def test_a_duplicate_row_of_a_period_is_refused(stores: Stores, merchant_id: str | None) -> None:
    rows = frame([row("daily", "1403/04/04", merchant_id, amount) for amount in (1, 2)])
    with pytest.raises(ConservationBroken, match="1 summaries are duplicates of a period and merchant"):
        stores.summaries.publish(publication(1, rows), rows)
    assert stores.summaries.published() is None


def test_sorted_frames_are_published_as_one(stores: Stores) -> None:
    rows = ordered(EXTREMES)
    taken: list[int] = []

    def frames() -> Iterator[pl.DataFrame]:
        for first in range(0, rows.height, 3):
            taken.append(first)
            yield rows.slice(first, 3)
            yield rows.clear()

    stores.summaries.publish(publication(1, rows), frames())
    assert taken == [0, 3, 6]
    found = pl.concat([stores.summaries.rows(mode) for mode in Mode])
    assert_frame_equal(found, rows, check_row_order=False)


@pytest.mark.parametrize(("first", "then"), [(slice(4, 8), slice(0, 4)), (slice(0, 5), slice(4, 8))])
def test_unsorted_frames_are_refused(stores: Stores, first: slice, then: slice) -> None:
    rows = ordered(EXTREMES)
    with pytest.raises(ConservationBroken, match="not in the order of the store"):
        stores.summaries.publish(publication(1, rows), iter([rows[first], rows[then]]))
    assert stores.summaries.published() is None


def test_frames_with_an_unexpected_row_count_are_refused(stores: Stores) -> None:
    rows = ordered(EXTREMES)
    with pytest.raises(ConservationBroken, match="the publication should have 8 summaries, but has 7"):
        stores.summaries.publish(publication(1, rows), iter([rows[:4], rows[4:7]]))
    assert stores.summaries.published() is None


def test_a_failure_while_frames_are_made_keeps_the_publication(stores: Stores) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)

    def frames() -> Iterator[pl.DataFrame]:
        yield ordered(uniform(2)).head(50)
        raise ArithmeticError("the sums are gone")

    with pytest.raises(ArithmeticError, match="the sums are gone"):
        stores.summaries.publish(publication(2, rows), frames())
    assert stores.summaries.published() == publication(1, rows)
    assert set(stores.summaries.rows(Mode.DAILY)["amount"]) == {1}


def test_a_publication_is_atomic_for_readers_in_other_processes(stores: Stores, store_url: str) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)
    with Script("reader.py", store_url, str(STATES)) as reader:
        assert reader.stdout.readline() == "reading\n"
        generations = itertools.count(2)
        while not reader.has_ended:
            generation = next(generations)
            rows = uniform(generation)
            stores.summaries.publish(publication(generation, rows), rows)
        seen = [[int(word) for word in line.split()] for line in reader.stdout]
    assert all(number in (10, 90) for number, *_ in seen)
    assert all(len(amounts) == 1 for _, *amounts in seen)
    read = [amount for _, amount in seen]
    assert read == sorted(read)
    assert len(set(read)) >= STATES


def test_reading_without_a_store_raises_an_error(store_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="there is no store at") as caught:
        open_stores(store_url, timeout_s=10, create=False)
    assert "rebuild" in caught.value.hint


def test_a_store_is_stored(store_url: str) -> None:
    with open_stores(store_url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, EXTREMES), EXTREMES)
    for create in (True, False):
        with open_stores(store_url, timeout_s=10, create=create) as stores:
            assert stores.summaries.published() == publication(1, EXTREMES)


def test_what_is_read_together_is_of_one_publication(stores: Stores) -> None:
    stores.summaries.publish(publication(1, uniform(1)), uniform(1))

    def read(current: Publication) -> list[SeriesPoint]:
        if current.generation == 1:
            stores.summaries.publish(publication(2, uniform(2)), uniform(2))
        return stores.summaries.series(Mode.DAILY, "amount", None)

    current, found = read_current(stores.summaries, read)
    assert (current.generation, found) == (2, stores.summaries.series(Mode.DAILY, "amount", None))
