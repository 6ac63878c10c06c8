"""Amendments on MongoDB: layers over the previous publication, and documents of earlier versions."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice, pairwise
from typing import Any

import polars as pl
import pytest
from effort import THOROUGH
from examples import publication, uniform
from mongo_proxy import MongoProxy
from polars.testing import assert_frame_equal
from pymongo import MongoClient
from pymongo.database import Database as PyMongoDatabase

from core.calendar.periods import Mode
from core.errors import PublicationLost
from core.stores import Stores, open_stores
from core.stores.frames import within
from core.stores.generations import generation_name
from core.stores.mongo import amending
from core.stores.mongo.database import Database
from core.stores.mongo.layers import Layer, LayerQuery, layer_queries_of_mode, layers_of, united
from core.stores.mongo.publishing import fill, insert_publication
from core.stores.mongo.summaries import MongoSummaryStore
from core.stores.summaries import KeyRange

Document = dict[str, Any]

BASE = uniform(0, merchants=3, days=60)
KEYS = BASE["key"].unique().sort().to_list()


@pytest.fixture
def stores(mongo_database_url: str) -> Iterator[Stores]:
    with open_stores(mongo_database_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def db(mongo_database_url: str) -> Iterator[PyMongoDatabase[Document]]:
    client: MongoClient[Document]
    with MongoClient(mongo_database_url) as client:
        yield client.get_default_database()


def daily(first_key: str, last_key: str) -> KeyRange:
    return KeyRange(Mode.DAILY, first_key, last_key)


def amend(stores: Stores, generation: int, before: pl.DataFrame, *ranges: KeyRange) -> pl.DataFrame:
    """Let all amounts of `ranges` become `generation`; what the store shall hold then."""
    rows = before.filter(within(ranges)).with_columns(pl.lit(generation, pl.Int64).alias("amount"))
    after = pl.concat([before.filter(~within(ranges)), rows])
    stores.summaries.amend(publication(generation, after), rows, ranges)
    return after


def layers(db: PyMongoDatabase[Document], generation: int) -> tuple[Layer, ...]:
    return layers_of(db["summary_publications"].find_one({"_id": generation}) or {})


def collections(db: PyMongoDatabase[Document]) -> set[str]:
    return {name for name in db.list_collection_names() if name.startswith("summary_transaction_")}


def test_an_amendment_stores_only_what_it_replaces(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    amend(stores, 2, BASE, daily(KEYS[57], KEYS[59]))
    new, base = layers(db, 2)
    assert base == Layer(generation_name(1, 1), BASE.height)
    assert new == Layer(generation_name(2, 2), 12, (daily(KEYS[57], KEYS[59]),))
    assert db[new.collection].count_documents({}) == 12


def test_repeated_amendments_of_the_same_days_stay_one_small_layer(
    stores: Stores, db: PyMongoDatabase[Document]
) -> None:
    held = BASE
    stores.summaries.publish(publication(1, held), held)
    for generation in range(2, 6):
        held = amend(stores, generation, held, daily(KEYS[50 + generation // 2], KEYS[52 + generation // 2]))
    (new, base) = layers(db, 5)
    assert new.ranges == (daily(KEYS[51], KEYS[54]),)
    assert (new.rows, base.rows) == (4 * 4, BASE.height)
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), held, check_row_order=False)


def test_many_amendments_give_few_layers(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    chance = random.Random(6)
    held = BASE
    stores.summaries.publish(publication(1, held), held)
    latest = 61 if THOROUGH else 9
    for generation in range(2, latest + 1):
        first = chance.randrange(60)
        last = min(59, first + chance.choice((0, 0, 0, 1, 2, 8)))
        held = amend(stores, generation, held, daily(KEYS[first], KEYS[last]))
        found = layers(db, generation)
        assert all(older.rows > 2 * newer.rows for newer, older in pairwise(found))
        assert len(found) <= 6  # each of at least four, and more than twice the next: 4, 9, 19, 39, 79, 159, 240
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), held, check_row_order=False)
    named = {layer.collection for generation in (latest - 1, latest) for layer in layers(db, generation)}
    assert collections(db) == named, "what no reader can need is dropped"


def test_a_publication_of_an_earlier_version_is_read_and_amended(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    written = db["summary_publications"].find_one({"_id": 1}) or {}
    assert written["collection"] == generation_name(1, 1), "what is published as a whole is written as ever"
    assert "layers" not in written
    held = amend(stores, 2, BASE, daily(KEYS[0], KEYS[1]))
    assert "collection" not in (db["summary_publications"].find_one({"_id": 2}) or {})
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), held, check_row_order=False)


def test_an_amendment_of_nearly_everything_gives_one_layer(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    held = amend(stores, 2, BASE, daily(KEYS[0], KEYS[2]))
    held = amend(stores, 3, held, daily(KEYS[10], KEYS[50]))
    assert layers(db, 3) == (Layer(generation_name(3, 3), BASE.height),)
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), held, check_row_order=False)


def test_a_layer_of_too_many_ranges_becomes_a_full_layer(
    stores: Stores, db: PyMongoDatabase[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amending, "MOST_RANGES", 5)
    stores.summaries.publish(publication(1, BASE), BASE)
    held = amend(stores, 2, BASE, *(daily(key, key) for key in KEYS[:10:2]))
    assert len(layers(db, 2)) == 2
    held = amend(stores, 3, held, *(daily(key, key) for key in KEYS[9:14:2]))
    assert layers(db, 3) == (Layer(generation_name(3, 3), BASE.height),)
    assert_frame_equal(stores.summaries.rows(Mode.DAILY), held, check_row_order=False)


def test_leftovers_of_crashed_amendments_are_cleared(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    for name in (generation_name(1, 8), generation_name(2, 7), generation_name(3, 9)):
        db[name].insert_one({"left": "behind"})
    held = amend(stores, 2, BASE, daily(KEYS[0], KEYS[1]))
    names = {generation_name(1, 1), generation_name(2, 2)}
    assert collections(db) == names | {generation_name(3, 9)}
    amend(stores, 3, held)
    assert collections(db) == names, "an amendment of nothing makes no collection"


def test_a_refused_amendment_leaves_nothing(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    name, rows = generation_name(2, 7), BASE.filter(within([daily(KEYS[0], KEYS[0])]))
    fill(db, name, [rows])
    amend(stores, 2, BASE, daily(KEYS[3], KEYS[4]))
    prepared = (Layer(name, rows.height, (daily(KEYS[0], KEYS[0]),)), *layers(db, 1))
    with pytest.raises(PublicationLost, match="run 7 prepared generation 2, but run 2 published it first"):
        insert_publication(db, publication(2, BASE, run_id=7), prepared, made=name)
    assert collections(db) == {generation_name(1, 1), generation_name(2, 2)}


def test_a_collection_with_other_rows_is_not_published(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    db[generation_name(2, 2)].insert_one({"mode": "daily"})
    with pytest.raises(PublicationLost, match="its collection has 5 other rows"):
        amend(stores, 2, BASE, daily(KEYS[0], KEYS[0]))
    assert stores.summaries.published() == publication(1, BASE)
    assert collections(db) == {generation_name(1, 1)}


def test_a_read_of_a_dropped_layer_is_retried(stores: Stores, mongo_database_url: str) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    held = amend(stores, 2, BASE, daily(KEYS[0], KEYS[2]))
    turns = iter([True, False])

    def read_while_others_publish(db: PyMongoDatabase[Document], part: LayerQuery) -> set[int]:
        if next(turns):
            amend(stores, 4, amend(stores, 3, held, daily(KEYS[0], KEYS[2])), daily(KEYS[0], KEYS[2]))
        return {document["amount"] for document in db[part.collection].find(part.query)}

    with closing(Database(mongo_database_url, timeout_s=10)) as database:
        reader = MongoSummaryStore(database)
        found = reader._read(
            lambda layers: layer_queries_of_mode(layers, Mode.DAILY, KEYS[0], KEYS[0]), read_while_others_publish
        )
    assert found == [{4}]


def test_frequent_amendments_do_not_starve_a_long_read(stores: Stores, mongo_database_url: str) -> None:
    """Two publications come while it reads the large layer, again and again: that layer stays."""
    stores.summaries.publish(publication(1, BASE), BASE)
    held = amend(stores, 2, BASE, daily(KEYS[0], KEYS[2]))
    generations = count(3)

    def read_while_others_publish(db: PyMongoDatabase[Document], part: LayerQuery) -> list[tuple[str, int]]:
        nonlocal held
        found = [(document["key"], document["amount"]) for document in db[part.collection].find(part.query)]
        if part.collection == generation_name(1, 1):
            for generation in islice(generations, 2):
                held = amend(stores, generation, held, daily(KEYS[0], KEYS[2]))
        return found

    with closing(Database(mongo_database_url, timeout_s=10)) as database:
        reader = MongoSummaryStore(database)
        newer, base = reader._read(
            lambda layers: layer_queries_of_mode(layers, Mode.DAILY, None, None), read_while_others_publish
        )
    assert {amount for _, amount in newer} == {4}, "the publication when it began again"
    assert sorted([key for key, _ in newer] + [key for key, _ in base]) == sorted(BASE["key"])


def test_estimated_counts_of_the_server_are_not_used(
    stores: Stores, db: PyMongoDatabase[Document], mongo_database_url: str
) -> None:
    stores.summaries.publish(publication(1, BASE), BASE)
    removed = (pl.col("key") == KEYS[5]) & pl.col("merchant_id").eq_missing("m0001")
    db[generation_name(1, 1)].delete_one({"mode": "daily", "key": KEYS[5], "merchant_id": "m0001"})
    with MongoProxy(mongo_database_url) as proxy:
        proxy.answer("count", {"n": BASE.height, "ok": 1.0})
        with open_stores(proxy.url, timeout_s=10) as stores_of_a_server_that_lags:
            assert stores_of_a_server_that_lags.summaries.count() == BASE.height - 1
            held = amend(stores_of_a_server_that_lags, 2, BASE.filter(~removed), daily(KEYS[0], KEYS[1]))
            assert stores_of_a_server_that_lags.summaries.count() == held.height == BASE.height - 1


def test_a_comparison_for_a_refresh_takes_one_query_per_layer(
    stores: Stores, db: PyMongoDatabase[Document], mongo_database_url: str
) -> None:
    """A server that scans a collection for each query would need a scan for each mode and range."""
    stores.summaries.publish(publication(1, BASE), BASE)
    held = amend(stores, 2, BASE, daily(KEYS[57], KEYS[59]))
    asked = [daily(KEYS[3], KEYS[4]), daily(KEYS[9], KEYS[9]), daily(KEYS[58], KEYS[58])]
    with MongoProxy(mongo_database_url) as proxy, open_stores(proxy.url, timeout_s=10) as reading:
        found = reading.summaries.rows_within(asked, Mode.DAILY)
        queried = [one["find"] for one in proxy.commands("find") if one["find"].startswith("summary_transaction")]
    assert queried == [layer.collection for layer in layers(db, 2)]
    assert_frame_equal(found, held.filter(within(asked) | pl.col("merchant_id").is_null()), check_row_order=False)


@pytest.mark.parametrize(
    ("first_key", "last_key", "expected"),
    [
        ("05", "06", ["new"]),
        ("05", "05", ["new"]),
        ("01", "02", ["old"]),
        ("01", "03", ["older", "old"]),
        ("05", "07", ["new", "older", "old"]),
        ("08", "09", ["new", "old"]),
        ("09", "09", ["old"]),
        (None, "04", ["older", "old"]),
        (None, None, ["new", "older", "old"]),
    ],
)
def test_only_layers_with_requested_periods_are_read(
    first_key: str | None, last_key: str | None, expected: list[str]
) -> None:
    asked = (
        Layer("new", 10, (daily("05", "06"), daily("08", "08"), KeyRange(Mode.MONTHLY, "00", "99"))),
        Layer("older", 30, (daily("03", "04"), daily("06", "06"))),
        Layer("old", 100),
    )
    assert [part.collection for part in layer_queries_of_mode(asked, Mode.DAILY, first_key, last_key)] == expected


def test_adjacent_ranges_are_merged() -> None:
    weeks = KeyRange(Mode.WEEKLY, "03", "05")
    assert united([daily("05", "07"), weeks, daily("01", "03"), daily("02", "05"), daily("09", "09")]) == (
        daily("01", "07"),
        daily("09", "09"),
        weeks,
    )


@pytest.mark.skipif("MONGO_URL" not in os.environ, reason="FerretDB has no views: set MONGO_URL to a MongoDB")
def test_other_programs_see_amendments_through_the_view(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    held = BASE
    stores.summaries.publish(publication(1, held), held)
    for generation, first, last in ((2, 0, 20), (3, 10, 12), (4, 58, 59), (5, 11, 11)):
        held = amend(stores, generation, held, daily(KEYS[first], KEYS[last]))
        shown = db["summary_transaction"].find({}, {"_id": False, "key": True, "merchant_id": True, "amount": True})
        found = {(one["key"], one["merchant_id"], one["amount"]) for one in shown}
        assert found == set(held.select("key", "merchant_id", "amount").rows())
        assert db["summary_transaction"].count_documents({}) == held.height
