"""MongoDB errors: refused commands, lost responses, and retried writes."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from examples import NOW_MS, publication, run, uniform
from mongo_proxy import MongoProxy
from mongo_ways import with_option, with_user
from pymongo import MongoClient
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import BulkWriteError, OperationFailure

from bench.mongo_urls import database_of
from core.calendar.periods import Mode
from core.errors import PublicationLost, StoreUnavailable, StoreUnwritable
from core.stores import open_stores
from core.stores.api_keys import ApiKey, Scope
from core.stores.mongo.idempotent_inserts import insert_batch, insert_once
from core.stores.sessions import Session

Document = dict[str, Any]

ROWS = uniform(1, merchants=30, days=3)
ON_MONGODB = pytest.mark.skipif("MONGO_URL" not in os.environ, reason="FerretDB has no views or users: set MONGO_URL")
DUPLICATE = 'E11000 duplicate key error collection: shop.x index: y dup key: { merchant_id: "m0007", more: { a: 1 } }'


@pytest.fixture
def proxy(mongo_database_url: str) -> Iterator[MongoProxy]:
    with MongoProxy(mongo_database_url, as_mongos=True) as proxy:
        yield proxy


@pytest.fixture
def db(mongo_database_url: str) -> Iterator[PyMongoDatabase[Document]]:
    client: MongoClient[Document]
    with MongoClient(mongo_database_url) as client:
        yield client.get_default_database()


KEY = ApiKey("k1", "a till", bytes(32), frozenset({Scope.SUMMARIES}), frozenset(), NOW_MS)
SESSION = Session("s1", bytes(32), NOW_MS, NOW_MS + 1)


def write_errors(count: int, code: int, message: str) -> Document:
    details = {"failingDocumentId": "m0007", "details": "m0007" * 100}
    errors = [{"index": i, "code": code, "errmsg": message, "errInfo": details} for i in range(count)]
    return {"ok": 1.0, "n": 0, "writeErrors": errors}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (write_errors(90, 121, "Document failed validation"),
         "90 writes failed, the first with code 121: Document failed validation"),
        (write_errors(1, 11000, DUPLICATE),
         "1 write failed with code 11000: E11000 duplicate key error collection: shop.x index: y dup key: "
         "{ merchant_id: … }"),
        ({"ok": 1.0, "n": 9, "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out",
                                                   "errInfo": {"wtimeout": True, "writeConcern": {"w": "m0007"}}}},
         "1 write failed with code 64: waiting for replication timed out"),
        ({"ok": 0.0, "code": 13, "errmsg": 'not authorized on shop to execute command { insert: "x", documents: '
                                           '[ { merchant_id: "m0007" } ] }'},
         "not authorized on shop to execute command { insert: … }"),
        ({"ok": 0.0, "code": 8000, "errmsg": "é" * 5000}, "é" * 399 + "…"),
        ({"ok": 1.0, "n": 9, "writeConcernError": {"code": 64}}, "1 write failed with code 64: error 64"),
    ],
    ids=["validation", "duplicate", "write concern", "command", "long", "silent"],
)  # fmt: skip
def test_the_error_of_a_failed_batch_contains_no_data(proxy: MongoProxy, answer: Document, reason: str) -> None:
    with open_stores(proxy.url, timeout_s=10) as stores:
        proxy.answer("insert", answer)
        with pytest.raises(StoreUnavailable) as caught:
            stores.summaries.publish(publication(1, ROWS), ROWS)
    assert caught.value.sentence.endswith(f" refuses the request: {reason}")
    # What logs and the results of tasks keep of it.
    assert "m0007" not in "".join(traceback.format_exception(caught.value))


def test_a_write_that_is_refused_is_reported_without_its_content(proxy: MongoProxy) -> None:
    contacts = {"sms": "+989121234567"}
    message = f'not authorized to execute {{ update: "contacts", u: "{contacts["sms"]}" }}'
    refusal = {"ok": 0.0, "code": 13, "errmsg": message}
    with open_stores(proxy.url, timeout_s=10) as stores:
        for command in ("insert", "update", "findAndModify"):
            proxy.answer(command, refusal)
        with pytest.raises(StoreUnwritable) as caught:
            stores.contacts.replace("sara", contacts)
    assert contacts["sms"] not in "".join(traceback.format_exception(caught.value))


def test_a_write_retried_by_the_driver_is_no_duplicate(proxy: MongoProxy, db: PyMongoDatabase[Document]) -> None:
    with open_stores(proxy.url, timeout_s=10) as stores:
        calls: list[Callable[[], object]] = [
            lambda: stores.runs.begin(run()),
            lambda: stores.summaries.publish(publication(1, ROWS), ROWS),
            lambda: stores.keys.add(KEY),
            lambda: stores.sessions.add(SESSION),
        ]
        for attempt, call in enumerate(calls, start=1):
            inserts = len(proxy.commands("insert"))
            proxy.lose_answer("insert")
            assert call() is not False
            assert len(proxy.commands("insert")) > inserts + 1, "it was not repeated"
            assert proxy.applied() == attempt
        assert [one.id for one in stores.runs.recent(9)] == [1]
        assert stores.summaries.count() == ROWS.height
        assert stores.summaries.rows(Mode.DAILY).height == ROWS.height
        assert stores.keys.all() == [KEY]


def test_a_lost_response_at_publishing_loses_no_publication(proxy: MongoProxy) -> None:
    rows = uniform(1, merchants=2)
    with open_stores(proxy.url, timeout_s=10) as stores:
        proxy.lose_answer("insert", of="summary_transaction_")
        proxy.lose_answer("insert", of="summary_publications")
        stores.summaries.publish(publication(1, rows), rows)
        assert proxy.applied() == 2
        assert stores.summaries.published() == publication(1, rows)
        with pytest.raises(PublicationLost):
            stores.summaries.publish(publication(1, rows, run_id=2), rows)


def test_a_batch_that_times_out_is_retried_completely(proxy: MongoProxy) -> None:
    with open_stores(proxy.url, timeout_s=2) as stores:
        proxy.lose_answer("insert", of="summary_transaction_", breaks=False)
        stores.summaries.publish(publication(1, ROWS), ROWS)
        assert proxy.applied() == 1
        assert stores.summaries.count() == stores.summaries.rows(Mode.DAILY).height == ROWS.height


def test_a_duplicate_key_with_other_content_is_an_error(db: PyMongoDatabase[Document]) -> None:
    db["t"].create_index([("key", 1)], unique=True)
    insert_batch(db["t"], [{"_id": i, "key": i, "amount": 1} for i in range(5)])
    insert_batch(db["t"], [{"_id": i, "key": i, "amount": 1} for i in range(3, 8)])
    for other in ({"_id": 4, "key": 4, "amount": 2}, {"_id": "new", "key": 4, "amount": 1}):
        with pytest.raises(BulkWriteError):
            insert_batch(db["t"], [{"_id": 9, "key": 9, "amount": 1}, other])
    assert db["t"].count_documents({}) == 9
    assert insert_once(db["t"], {"_id": "run", "key": "run"})
    assert not insert_once(db["t"], {"_id": "run", "key": "run"}), "an equal one of another call"


def views(proxy: MongoProxy, name: str, view: str = "summary_transaction") -> list[Document]:
    return [command for command in proxy.commands(name) if "viewOn" in command and command[name] == view]


def test_without_the_collmod_privilege_a_missing_view_is_created(
    proxy: MongoProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.refuse("collMod", 13, "not authorized")
    proxy.answer("create", {"ok": 1.0})
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, ROWS), ROWS)
    assert len(views(proxy, "create")) == 1
    assert proxy.commands("collMod") == []
    assert caplog.text == ""


@pytest.mark.parametrize(("code", "warning"), [(None, ""), (48, ""), (115, ""), (13, "not authorized")])
def test_the_merchant_view_is_created_or_a_warning_is_logged(
    proxy: MongoProxy, caplog: pytest.LogCaptureFixture, code: int | None, warning: str
) -> None:
    answer = {"ok": 1.0} if code is None else {"ok": 0.0, "code": code, "errmsg": warning}
    proxy.answer("create", answer, of="summary_by_merchant")
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, ROWS), ROWS)
    (created,) = views(proxy, "create", "summary_by_merchant")
    assert created["viewOn"] == "summary_transaction"
    assert created["pipeline"] == [{"$match": {"merchant_id": {"$ne": None}}}]
    assert caplog.text.rstrip().endswith(warning)
    assert bool(caplog.text) == bool(warning)


@pytest.mark.parametrize(
    ("code", "creates", "warning"),
    [
        (None, 0, ""),
        (26, 1, ""),
        (13, 0, "not authorized on shop to execute command { collMod: … }"),
        (166, 0, "not authorized on shop to execute command { collMod: … }"),
        (115, 0, ""),
    ],
)
def test_an_existing_view_is_changed_or_a_warning_is_logged(
    proxy: MongoProxy,
    db: PyMongoDatabase[Document],
    caplog: pytest.LogCaptureFixture,
    code: int | None,
    creates: int,
    warning: str,
) -> None:
    caplog.set_level(logging.WARNING)
    db.create_collection("summary_transaction")
    proxy.answer("create", {"ok": 1.0})
    if code is None:
        proxy.answer("collMod", {"ok": 1.0})
    else:
        proxy.refuse("collMod", code, 'not authorized on shop to execute command { collMod: "x", viewOn: "y" }.')
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, ROWS), ROWS)
        assert stores.summaries.count() == ROWS.height
    assert [one["collMod"] for one in views(proxy, "collMod")] == ["summary_transaction"]
    assert len(views(proxy, "create")) == creates
    assert caplog.text.rstrip().endswith(warning)
    assert bool(caplog.text) == bool(warning)


def test_a_view_created_concurrently_is_changed(proxy: MongoProxy) -> None:
    proxy.refuse("create", 48)
    proxy.answer("collMod", {"ok": 1.0})
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, ROWS), ROWS)
    assert (len(views(proxy, "create")), len(views(proxy, "collMod"))) == (1, 1)


@ON_MONGODB
@pytest.mark.parametrize(("may_change", "shown"), [(True, 2), (False, 1)])
def test_the_documented_privileges_are_enough(mongo_database_url: str, may_change: bool, shown: int) -> None:
    """With the role of `docker/mongo-init.js` the view is created and moved; with ``readWrite`` it is created only."""
    name = database_of(mongo_database_url)
    client: MongoClient[Document]
    with MongoClient(mongo_database_url) as client:
        db: PyMongoDatabase[Document] = client[name]
        view = {"resource": {"db": name, "collection": "summary_transaction"}, "actions": ["collMod"]}
        try:
            db.command(
                "createRole",
                "transactionSummaries",
                privileges=[view] if may_change else [],
                roles=[{"role": "readWrite", "db": name}],
            )
            db.command("createUser", "summaries", pwd="s3cret", roles=["transactionSummaries"])
        except OperationFailure as error:
            pytest.skip(f"the user of MONGO_URL may create no others: {error.code}")
        try:
            url = with_user(mongo_database_url, "summaries:s3cret").partition("?")[0]
            with open_stores(with_option(url, f"authSource={name}"), timeout_s=10) as stores:
                for generation in (1, 2):
                    rows = uniform(generation, merchants=3)
                    stores.summaries.publish(publication(generation, rows), rows)
            assert {one["amount"] for one in db["summary_transaction"].find()} == {shown}
        finally:
            db.command("dropUser", "summaries")
            db.command("dropRole", "transactionSummaries")


def test_a_refused_move_does_not_make_the_store_unavailable(mongo_database_url: str, proxy: MongoProxy) -> None:
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.contacts.replace("u1", {"telegram": "42"})
        proxy.answer("insert", {"ok": 0.0, "code": 14031, "errmsg": "disk full"}, of="contacts")
        with pytest.raises(StoreUnwritable, match="disk full"):
            stores.contacts.move("u1", "telegram", "42", "-1001")
        assert stores.contacts.get("u1") == {"telegram": "42"}


def test_a_move_whose_response_is_lost_happens_once(proxy: MongoProxy) -> None:
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.contacts.replace("u1", {"telegram": "42"})
        proxy.lose_answer("insert", of="contacts")
        assert stores.contacts.move("u1", "telegram", "42", "-1001")
        assert stores.contacts.get("u1") == {"telegram": "-1001"}


def test_contacts_of_an_earlier_version_can_be_moved(mongo_database_url: str, db: PyMongoDatabase[Document]) -> None:
    def write(*addresses: tuple[str, str]) -> None:
        listed = [{"channel": channel, "address": address} for channel, address in addresses]
        db["contacts"].replace_one({"_id": "u1"}, {"addresses": listed}, upsert=True)

    with open_stores(mongo_database_url, timeout_s=10) as stores:
        write(("sms", "1"), ("telegram", "42"))
        assert stores.contacts.move("u1", "telegram", "42", "-1001")
        assert stores.contacts.get("u1") == {"sms": "1", "telegram": "-1001"}
        write(("sms", "2"), ("telegram", "42"))
        assert stores.contacts.get("u1") == {"sms": "2", "telegram": "42"}


def test_moves_overtaken_by_a_replacement_leave_nothing(mongo_database_url: str, db: PyMongoDatabase[Document]) -> None:
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        stores.contacts.replace("u1", {"telegram": "42"})
        for old, new in (("42", "43"), ("43", "44")):
            assert stores.contacts.move("u1", "telegram", old, new)
        stores.contacts.replace("u1", {"sms": "1"})
    assert [document["_id"] for document in db["contacts"].find()] == ["u1"]


@pytest.mark.parametrize("names", [None, [f"m{number:04}" for number in range(30)]])
def test_a_page_of_several_merchants_is_found_by_keyset_pagination(proxy: MongoProxy, names: list[str] | None) -> None:
    with open_stores(proxy.url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, ROWS), ROWS)
        every = stores.summaries.merchant_series(Mode.DAILY, "amount", names, limit=99)
        after = every[58][:2]
        found = stores.summaries.merchant_series(Mode.DAILY, "amount", names, after=after, limit=99)
    assert found == every[59:]
    (*_, whose) = [one["filter"]["merchant_id"] for one in proxy.commands("find") if "merchant_id" in one["filter"]]
    merchant_ids = list(dict.fromkeys(point.merchant_id for point in every))
    expected = {"$gte": after[0]} if names is None else {"$in": merchant_ids[merchant_ids.index(after[0]) :]}
    assert whose == expected
