"""The MongoDB backend: generations, crashes, retries, migrations, and the view for other programs."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest
from bson import Int64
from examples import NOW_MS, publication, run, uniform
from mongo_proxy import MongoProxy
from pymongo import MongoClient
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import OperationFailure

from core.calendar.periods import Mode
from core.errors import PublicationLost, RunTakenOver, StoreBusy, StoreTooNew, StoreUnavailable, StoreUnwritable
from core.stores import Stores, open_stores
from core.stores.generations import generation_name
from core.stores.mongo import after_publishing
from core.stores.mongo.after_publishing import droppable
from core.stores.mongo.database import Database
from core.stores.mongo.layers import Layer, LayerQuery, layer_queries
from core.stores.mongo.publishing import fill, insert_publication
from core.stores.mongo.schema import SCHEMA_VERSION
from core.stores.mongo.summaries import MongoSummaryStore
from core.stores.runs import RunStatus

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


def test_a_row_reopened_by_a_paused_process_is_closed(mongo_database_url: str, db: PyMongoDatabase[Document]) -> None:
    """Where updates are not atomic its write may end after another run has closed the row; earlier versions did it."""
    later_ms = NOW_MS + 200_000
    with open_stores(mongo_database_url, timeout_s=10, clock=lambda: later_ms) as stores:
        paused = stores.runs.begin(run())
        open_row = db["summary_runs"].find_one({"_id": 1})
        assert open_row is not None
        publish(stores, 1)
        second = stores.runs.begin(replace(run(), started_at_ms=later_ms, heartbeat_at_ms=later_ms))
        db["summary_runs"].replace_one({"_id": 1}, open_row)
        closed = paused.taken_over(later_ms, generation=1)
        assert stores.runs.get(1) == closed
        assert stores.runs.recent(9) == [second, closed]
        with pytest.raises(RunTakenOver):
            stores.runs.update(paused)
        stores.runs.update(second.ended(RunStatus.FAILED, later_ms))
        stores.runs.begin(run())
        assert db["summary_runs"].count_documents({"ended_at": None}) == 1, "the next run has closed the row for good"
        assert stores.runs.get(1) == closed


def test_a_retried_end_of_a_run_is_no_takeover(stores: Stores) -> None:
    """The first answer was lost: by the second the row is closed, as this process has closed it."""
    ended = stores.runs.begin(run()).ended(RunStatus.FAILED, NOW_MS, "it failed")
    for _ in range(2):
        stores.runs.update(ended)
    with pytest.raises(RunTakenOver):
        stores.runs.update(replace(ended, error="it failed otherwise"))


def test_a_refused_write_does_not_make_the_store_unavailable(mongo_database_url: str) -> None:
    with closing(Database(mongo_database_url, timeout_s=10)) as database:

        def write_twice() -> None:
            with database.writing() as db:
                for _ in range(2):
                    db["written"].insert_one({"_id": 1})

        with pytest.raises(StoreUnwritable, match="refuses"):
            write_twice()


def test_a_publication_is_not_read_again_to_count_it(mongo_database_url: str, db: PyMongoDatabase[Document]) -> None:
    rows, name = uniform(1), generation_name(1, 1)
    with MongoProxy(mongo_database_url) as proxy, open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)
        commands = [one for command in ("count", "find", "aggregate") for one in proxy.commands(command)]
    assert [one["pipeline"] for one in commands if name in one.values()] == [[{"$collStats": {"count": {}}}]]
    assert db[name].count_documents({}) == rows.height


@pytest.mark.parametrize("statistics", [{"count": 7}, {"storageStats": {}}])
def test_a_server_with_other_metadata_counts_what_was_written(mongo_database_url: str, statistics: Document) -> None:
    rows = uniform(1)

    def tell(_: int) -> None:
        proxy.answer("aggregate", {"cursor": {"firstBatch": [statistics], "id": 0, "ns": "a.b"}, "ok": 1.0}, times=1)

    with MongoProxy(mongo_database_url) as proxy, open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows, tell)
        assert stores.summaries.published() == publication(1, rows)
        assert proxy.applied() == 1


def test_the_previous_generation_stays_until_the_next_publication(
    stores: Stores, db: PyMongoDatabase[Document]
) -> None:
    publish(stores, 1)
    assert generations(db) == {generation_name(1, 1)}
    publish(stores, 2)
    assert generations(db) == {generation_name(1, 1), generation_name(2, 2)}
    publish(stores, 3)
    assert generations(db) == {generation_name(2, 2), generation_name(3, 3)}


def test_leftovers_of_crashed_runs_are_cleared_unless_publishable(
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
    fill(db, name, [rows])
    publish(stores, 1)
    with pytest.raises(PublicationLost, match="run 7 prepared generation 1, but run 1 published it first"):
        insert_publication(db, late, (Layer(name, rows.height),), made=name)
    assert generations(db) == {generation_name(1, 1)}


def test_a_collection_that_lost_rows_is_not_published(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    rows = uniform(1)
    db[generation_name(1, 1)].insert_one({"mode": "daily"})
    with pytest.raises(PublicationLost, match="91 of its 90 rows"):
        stores.summaries.publish(publication(1, rows), rows)
    assert stores.summaries.published() is None


def test_a_driver_retry_recognises_its_own_publication(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    publish(stores, 1)
    rows = uniform(1, merchants=3)
    name = generation_name(1, 1)
    insert_publication(db, publication(1, rows), (Layer(name, rows.height),), made=name)
    assert generations(db) == {generation_name(1, 1)}


def test_a_read_of_a_dropped_generation_is_retried(stores: Stores, mongo_database_url: str) -> None:
    publish(stores, 1)
    reads: list[list[Document]] = []

    def read_while_others_publish(db: PyMongoDatabase[Document], part: LayerQuery) -> list[Document]:
        if not reads:
            publish(stores, 2)
            publish(stores, 3)
        reads.append(list(db[part.collection].find()))
        return reads[-1]

    with closing(Database(mongo_database_url, timeout_s=10)) as database:
        reader = MongoSummaryStore(database)
        (found,) = reader._read(layer_queries, read_while_others_publish)
    assert reads[0] == [], "a dropped collection looks empty"
    assert {document["amount"] for document in found} == {3}


def test_a_read_with_a_lost_cursor_is_retried(stores: Stores, mongo_database_url: str) -> None:
    publish(stores, 1)
    turns = iter([True, False])

    def read_while_others_publish(db: PyMongoDatabase[Document], part: LayerQuery) -> set[int]:
        with db[part.collection].find(batch_size=2) as cursor:
            seen = {next(cursor)["amount"]}
            if next(turns):
                publish(stores, 2)
                publish(stores, 3)
            return seen | {document["amount"] for document in cursor}

    with closing(Database(mongo_database_url, timeout_s=10)) as database:
        reader = MongoSummaryStore(database)
        assert reader._read(layer_queries, read_while_others_publish) == [{3}]


def test_a_read_overtaken_repeatedly_fails(stores: Stores, mongo_database_url: str) -> None:
    generations_to_come = count(2)
    publish(stores, 1)

    def read_while_others_publish(db: PyMongoDatabase[Document], part: LayerQuery) -> None:
        for generation in islice(generations_to_come, 2):
            publish(stores, generation)

    with (
        closing(Database(mongo_database_url, timeout_s=10)) as database,
        pytest.raises(StoreBusy, match="was published repeatedly while it was read"),
    ):
        MongoSummaryStore(database)._read(layer_queries, read_while_others_publish)


def test_a_refused_read_is_not_retried(stores: Stores, mongo_database_url: str) -> None:
    publish(stores, 1)
    tried: list[LayerQuery] = []

    def ask_nonsense(db: PyMongoDatabase[Document], part: LayerQuery) -> list[Document]:
        tried.append(part)
        return list(db[part.collection].find({"key": {"$nonsense": 1}}))

    with (
        closing(Database(mongo_database_url, timeout_s=10)) as database,
        pytest.raises(StoreUnavailable, match="refuses"),
    ):
        MongoSummaryStore(database)._read(layer_queries, ask_nonsense)
    assert len(tried) == 1


def test_collections_of_a_view_that_could_not_be_moved_are_kept() -> None:
    """Described as MongoDB 7 answers listCollections."""
    view = {
        "name": "summary_transaction",
        "type": "view",
        "options": {
            "viewOn": generation_name(1, 1),
            "pipeline": [
                {"$match": {"$nor": [{"mode": "daily", "key": {"$gte": "1403/01/01", "$lte": "1403/01/02"}}]}},
                {"$unionWith": {"coll": generation_name(2, 2), "pipeline": [{"$match": {}}]}},
            ],
        },
        "info": {"readOnly": True},
    }
    others = [{"name": generation_name(number, number), "type": "collection", "options": {}} for number in range(1, 7)]
    newest = [{"_id": number, "collection": generation_name(number, number), "rows": 1} for number in (5, 4)]
    assert droppable(newest, [view, *others]) == [generation_name(3, 3)]
    assert droppable(newest, others) == [generation_name(number, number) for number in (1, 2, 3)]


def test_summaries_of_some_periods_are_found_by_index(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    publish(stores, 1)
    indexes = [list(index["key"]) for index in db[generation_name(1, 1)].index_information().values()]
    assert [("mode", 1), ("key", 1)] in indexes
    assert [("mode", 1), ("merchant_id", 1), ("key", 1)] in indexes


def test_summaries_are_stored_as_int64_and_dates(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    publish(stores, 1)
    found = db[generation_name(1, 1)].find_one() or {}
    assert isinstance(found["amount"], Int64)
    assert isinstance(found["count"], Int64)
    assert found["period_start"].isoformat() == "2024-06-24T12:00:00"


def test_instants_of_a_run_are_stored_as_dates(stores: Stores, db: PyMongoDatabase[Document]) -> None:
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
        known = f"has schema version 99, but this program supports versions up to {SCHEMA_VERSION}"
        with pytest.raises(StoreTooNew, match=known):
            open_stores(mongo_database_url, timeout_s=10, create=create)
    assert db.list_collection_names() == ["summary_meta"]


@pytest.mark.parametrize("create", [True, False])
def test_a_store_of_the_first_schema_is_migrated_without_loss(
    mongo_database_url: str, db: PyMongoDatabase[Document], create: bool
) -> None:
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        publish(stores, 1)
    db["notifications"].drop()
    db["summary_meta"].update_one({"_id": "schema"}, {"$set": {"version": 1}})
    with open_stores(mongo_database_url, timeout_s=10, create=create) as stores:
        assert stores.summaries.published() == publication(1, uniform(1, merchants=3))
        assert stores.summaries.series(Mode.DAILY, "amount", "m0000")
        assert stores.keys.all() == []
    assert db["summary_meta"].find_one({"_id": "schema"}) == {"_id": "schema", "version": SCHEMA_VERSION}
    assert len(db["notifications"].index_information()) > 1


def test_the_migration_to_tenants_runs_once(
    mongo_database_url: str, db: PyMongoDatabase[Document], caplog: pytest.LogCaptureFixture
) -> None:
    open_stores(mongo_database_url, timeout_s=10).close()
    stored = {"_id": "tenants", "contacts": 1, "subscriptions": 2, "notifications": 3}
    db["summary_meta"].insert_one(stored)
    for version, reports in ((9, 0), (8, 1)):
        db["summary_meta"].update_one({"_id": "schema"}, {"$set": {"version": version}})
        open_stores(mongo_database_url, timeout_s=10).close()
        assert len(caplog.records) == reports


def test_a_reader_creates_nothing(mongo_database_url: str, db: PyMongoDatabase[Document]) -> None:
    with pytest.raises(StoreUnavailable, match="there is no store at mongodb://"):
        open_stores(mongo_database_url, timeout_s=10, create=False)
    assert db.list_collection_names() == []


def test_a_server_crash_is_reported(mortal_server: tuple[str, subprocess.Popen[bytes]]) -> None:
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
def test_other_programs_see_the_current_publication_as_a_view(stores: Stores, db: PyMongoDatabase[Document]) -> None:
    for generation in range(1, 4):
        publish(stores, generation)
        assert {document["amount"] for document in db["summary_transaction"].find()} == {generation}
        merchants = list(db["summary_by_merchant"].find())
        assert {document["amount"] for document in merchants} == {generation}
        assert len(merchants) == 30
        assert None not in {document["merchant_id"] for document in merchants}
    assert {point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)} == {3}


@pytest.mark.skipif("MONGO_URL" not in os.environ, reason="FerretDB has no views: set MONGO_URL to a MongoDB")
def test_a_view_that_cannot_be_moved_keeps_its_content(
    stores: Stores,
    db: PyMongoDatabase[Document],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OperationFailure("not authorized to change the view", code=13)

    publish(stores, 1)
    with monkeypatch.context() as refusing:
        refusing.setattr(after_publishing, "_show", refuse)
        for generation in range(2, 5):
            publish(stores, generation)
    shown = [document["amount"] for document in db["summary_transaction"].find()]
    assert shown == [1] * uniform(1, merchants=3).height
    assert generations(db) == {generation_name(number, number) for number in (1, 3, 4)}
    assert "the view summary_transaction still shows an earlier publication" in caplog.text
    publish(stores, 5)
    assert {document["amount"] for document in db["summary_transaction"].find()} == {5}
    assert generations(db) == {generation_name(number, number) for number in (4, 5)}
