"""What is particular to the MongoDB backend: collections that come and go, and the view for outsiders."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bson import Int64
from examples import publication, run, uniform
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database as PyMongoDatabase

from core.calendar.periods import Mode
from core.errors import PublicationLost, StoreTooNew, StoreUnavailable
from core.stores import Stores, open_stores
from core.stores.generations import generation_name
from core.stores.mongo.database import Database
from core.stores.mongo.publishing import _announce, _fill
from core.stores.mongo.summaries import MongoSummaryStore

Document = dict[str, Any]


@pytest.fixture
def stores(mongo_database_url: str) -> Iterator[Stores]:
    with open_stores(mongo_database_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def db(mongo_database_url: str) -> Iterator[PyMongoDatabase[Document]]:
    client: MongoClient[Document]
    with MongoClient(mongo_database_url) as client:
        yield client.get_default_database()


def publish(stores: Stores, generation: int, run_id: int | None = None) -> None:
    rows = uniform(generation, merchants=3)
    stores.summaries.publish(publication(generation, rows, run_id), rows)


def generations(db: PyMongoDatabase[Document]) -> set[str]:
    return {name for name in db.list_collection_names() if name.startswith("summary_transaction_")}


def test_the_generation_before_stays_until_the_next_publication(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    publish(stores, 1)
    assert generations(db) == {generation_name(1, 1)}
    publish(stores, 2)
    assert generations(db) == {generation_name(1, 1), generation_name(2, 2)}
    publish(stores, 3)
    assert generations(db) == {generation_name(2, 2), generation_name(3, 3)}


def test_what_crashed_runs_left_is_cleared_but_what_may_be_published_stays(
    stores: Stores, db: PyMongoDatabase[Document]
) -> None:
    for name in (generation_name(1, 8), generation_name(2, 7), generation_name(3, 9)):
        db[name].insert_one({"left": "behind"})
    publish(stores, 1)
    publish(stores, 2)
    assert generations(db) == {generation_name(1, 1), generation_name(2, 2), generation_name(3, 9)}


def test_a_run_that_prepared_a_generation_already_published_leaves_nothing(
    stores: Stores, db: PyMongoDatabase[Document]
) -> None:
    rows = uniform(7)
    late, name = publication(1, rows, run_id=7), generation_name(1, 7)
    _fill(db, name, late, rows)
    publish(stores, 1)
    with pytest.raises(PublicationLost, match="run 7 prepared generation 1, but run 1 published it first"):
        _announce(db, name, late)
    assert generations(db) == {generation_name(1, 1)}


def test_a_collection_that_lost_rows_is_not_published(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    rows = uniform(1)
    db[generation_name(1, 1)].insert_one({"mode": "daily"})
    with pytest.raises(PublicationLost, match="211 of its 210 rows"):
        stores.summaries.publish(publication(1, rows), rows)
    assert stores.summaries.published() is None


def test_a_driver_that_asks_again_is_told_that_its_publication_is_there(
    stores: Stores, db: PyMongoDatabase[Document]
) -> None:
    publish(stores, 1)
    rows = uniform(1, merchants=3)
    _announce(db, generation_name(1, 1), publication(1, rows))
    assert generations(db) == {generation_name(1, 1)}


def test_a_reader_whose_generation_is_dropped_reads_again(stores: Stores, mongo_database_url: str) -> None:
    publish(stores, 1)
    reads: list[list[Document]] = []

    def read_while_others_publish(summaries: Collection[Document]) -> list[Document]:
        if not reads:
            publish(stores, 2)
            publish(stores, 3)
        reads.append(list(summaries.find()))
        return reads[-1]

    database = Database(mongo_database_url, timeout_s=10)
    reader = MongoSummaryStore(database)
    found = reader._read(read_while_others_publish)
    reader.close()
    assert reads[0] == [], "a dropped collection looks empty"
    assert found is not None
    assert {document["amount"] for document in found} == {3}


def test_a_reader_whose_cursor_breaks_reads_again(stores: Stores, mongo_database_url: str) -> None:
    publish(stores, 1)
    turns = iter([True, False])

    def read_while_others_publish(summaries: Collection[Document]) -> set[int]:
        with summaries.find(batch_size=2) as cursor:
            seen = {next(cursor)["amount"]}
            if next(turns):
                publish(stores, 2)
                publish(stores, 3)
            return seen | {document["amount"] for document in cursor}

    database = Database(mongo_database_url, timeout_s=10)
    reader = MongoSummaryStore(database)
    assert reader._read(read_while_others_publish) == {3}
    reader.close()


def test_summaries_are_int64_and_dates(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    publish(stores, 1)
    found = db[generation_name(1, 1)].find_one() or {}
    assert isinstance(found["amount"], Int64)
    assert isinstance(found["count"], Int64)
    assert found["period_start"].isoformat() == "2024-06-24T12:00:00"


def test_the_instants_of_a_run_are_dates(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    stores.runs.begin(run())
    found = db["summary_runs"].find_one({"_id": 1}) or {}
    assert found["started_at"].isoformat() == "2024-06-24T12:00:00"
    assert found["ended_at"] is None
    assert isinstance(found["read"], Int64)


def test_a_newer_schema_is_refused_and_nothing_is_changed(
    mongo_database_url: str, db: PyMongoDatabase[Document]
) -> None:
    db["summary_meta"].insert_one({"_id": "schema", "version": 99})
    for create in (True, False):
        with pytest.raises(StoreTooNew, match="has schema version 99, but this program knows versions up to 2"):
            open_stores(mongo_database_url, timeout_s=10, create=create)
    assert db.list_collection_names() == ["summary_meta"]


@pytest.mark.parametrize("create", [True, False])
def test_a_store_of_the_first_schema_keeps_its_data_and_gets_what_is_new(
    mongo_database_url: str, db: PyMongoDatabase[Document], create: bool
) -> None:
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        publish(stores, 1)
    db["notifications"].drop()
    db["summary_meta"].update_one({"_id": "schema"}, {"$set": {"version": 1}})
    with open_stores(mongo_database_url, timeout_s=10, create=create) as stores:
        assert stores.summaries.published() == publication(1, uniform(1, merchants=3))
        assert stores.summaries.series(Mode.DAILY, "amount", "m0000")
        assert not stores.keys.ever_made()
    assert db["summary_meta"].find_one({"_id": "schema"}) == {"_id": "schema", "version": 2}
    assert len(db["notifications"].index_information()) > 1


def test_a_reader_creates_nothing(mongo_database_url: str, db: PyMongoDatabase[Document]) -> None:
    with pytest.raises(StoreUnavailable, match="there is no store at mongodb://"):
        open_stores(mongo_database_url, timeout_s=10, create=False)
    assert db.list_collection_names() == []


def test_a_server_that_dies_is_named(mortal_server: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, process = mortal_server
    with open_stores(f"{url}shop", timeout_s=0.5) as stores:
        publish(stores, 1)
        killer = threading.Timer(0.3, process.kill)
        killer.start()
        rows = uniform(2, merchants=5_000)
        with pytest.raises(StoreUnavailable, match=f"the store at {url}shop does not answer"):
            stores.summaries.publish(publication(2, rows), rows)
        killer.join()
        with pytest.raises(StoreUnavailable):
            stores.summaries.published()
        with pytest.raises(StoreUnavailable):
            stores.runs.recent(1)


@pytest.mark.skipif("MONGO_URL" not in os.environ, reason="FerretDB has no views: set MONGO_URL to a MongoDB")
def test_outsiders_see_what_is_in_force_as_a_view(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    for generation in range(1, 4):
        publish(stores, generation)
        assert {document["amount"] for document in db["summary_transaction"].find()} == {generation}
    assert {point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)} == {3}
