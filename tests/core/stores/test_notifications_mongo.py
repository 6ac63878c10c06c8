"""Notifications on MongoDB: stale copies, crashes of servers and processes, migrations."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest
from bson import DatetimeMS
from bson.codec_options import CodecOptions, DatetimeConversion
from examples import Script
from notification_examples import FAR_MS, LEASE_MS, NOW_MS, event, happen, notification
from pymongo import MongoClient
from pymongo.database import Database as PyMongoDatabase

from core.errors import StoreUnavailable
from core.notifications.events import EventKind
from core.notifications.model import Notification, NotificationStatus
from core.stores import Stores, open_stores
from core.stores.mongo.notification_documents import event_document
from core.stores.mongo.notifications import _insert, _update
from core.stores.mongo.schema import SCHEMA_VERSION
from core.stores.notifications import NotificationStore, StoredNotification

A, S, F, D, U, C, R = (
    EventKind.ATTEMPT,
    EventKind.SUCCESS,
    EventKind.FAILED,
    EventKind.DEAD,
    EventKind.UNKNOWN,
    EventKind.CANCEL,
    EventKind.RETRY,
)

Document = dict[str, Any]


@pytest.fixture
def store(mongo_database_url: str) -> Iterator[NotificationStore]:
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        yield stores.notifications


@pytest.fixture
def db(mongo_database_url: str) -> Iterator[PyMongoDatabase[Document]]:
    client: MongoClient[Document]
    with MongoClient(mongo_database_url) as client:
        yield client.get_default_database()


@pytest.fixture
def db_as_read(db: PyMongoDatabase[Document]) -> PyMongoDatabase[Document]:
    """The same, with instants as the store reads them."""
    return db.with_options(CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS))


def stored_in(store: NotificationStore, wanted: Notification) -> StoredNotification:
    found = store.get(wanted.id)
    assert found is not None
    return found


def test_a_stale_copy_keeps_its_due_time_and_is_repaired(
    store: NotificationStore, db: PyMongoDatabase[Document]
) -> None:
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, A)
    _insert(db, event_document(one, "sms", event(2, S)))
    stored = stored_in(store, one)
    assert stored.status is NotificationStatus.SENT
    assert store.listed(limit=1)[0].status is NotificationStatus.PENDING
    assert store.due(NOW_MS + LEASE_MS, 10) == [one.id]
    store.repair_copies(stored)
    assert store.listed(limit=1)[0].status is NotificationStatus.SENT
    assert store.due(FAR_MS, 10) == []
    assert store.get(one.id) == stored


def test_the_next_event_repairs_an_overwritten_copy(store: NotificationStore, db: PyMongoDatabase[Document]) -> None:
    one = store.add(notification(1, "sms", "email"), NOW_MS).notification
    before = db["notifications"].find_one() or {}
    happen(store, one, A, S)
    happen(store, one, A, channel="email")
    db["notifications"].replace_one({"_id": one.id}, before)
    happen(store, one, S, channel="email")
    assert store.listed(limit=1)[0].status is NotificationStatus.SENT
    assert store.due(FAR_MS, 10) == []


CRASHES: tuple[tuple[tuple[EventKind, ...], EventKind, int, int], ...] = (
    ((), A, 1, 1),
    ((A,), S, 1, 1),
    ((A, D), R, 1, 0),
    ((A, D), R, 2, 1),
    ((A, U), S, 1, 0),
    ((A, U), S, 2, 1),
)
"""The way to where a log stood, the event, the write after which the process died, how many events it made."""


def test_after_a_crash_at_any_write_the_delivery_is_found(
    store: NotificationStore, mongo_database_url: str, db: PyMongoDatabase[Document]
) -> None:
    ones = [store.add(notification(number), NOW_MS).notification for number in range(len(CRASHES))]
    with ExitStack() as stack:
        for one, (way, kind, writes, _) in zip(ones, CRASHES, strict=True):
            happen(store, one, *way)
            arguments = (mongo_database_url, one.id, kind.value, str(writes))
            stack.enter_context(Script("notification_crasher.py", *arguments))
    stored = [stored_in(store, one) for one in ones]
    copied = [(db["notifications"].find_one({"_id": one.id}) or {})["logs"][0]["number"] for one in ones]
    assert [len(found.logs[0].events) for found in stored] == [len(way) + made for way, _, _, made in CRASHES]
    assert copied == [len(way) for way, *_ in CRASHES]
    assert set(store.due(FAR_MS, 10)) == {one.id for one in ones}
    for found in stored:
        store.repair_copies(found)
    still_open = {found.notification.id for found in stored if found.status is NotificationStatus.PENDING}
    assert set(store.due(FAR_MS, 10)) == still_open
    assert {found.notification.id: found.status for found in store.listed(limit=10)} == {
        found.notification.id: found.status for found in stored
    }


def test_a_concurrently_changed_copy_is_not_overwritten(
    store: NotificationStore, db: PyMongoDatabase[Document]
) -> None:
    one = store.add(notification(), NOW_MS).notification
    read = db["notifications"].find_one() or {}
    happen(store, one, A)
    db["notifications"].bulk_write([_update(read, {"queue_at": None})])
    assert store.due(NOW_MS + LEASE_MS, 10) == [one.id]
    db["notifications"].bulk_write([_update(db["notifications"].find_one() or {}, {"queue_at": None})])
    assert store.due(FAR_MS, 10) == []


def test_a_driver_retry_recognises_its_own_event(db_as_read: PyMongoDatabase[Document]) -> None:
    claim = event_document(notification(), "sms", event(1, A))
    assert _insert(db_as_read, claim)
    assert _insert(db_as_read, claim)
    assert not _insert(db_as_read, event_document(notification(), "sms", event(1, A)))


def test_after_a_server_crash_a_read_shows_whether_an_event_was_stored(
    mortal_server: tuple[str, subprocess.Popen[bytes]],
) -> None:
    url, process = mortal_server
    one = notification()
    with open_stores(f"{url}shop", timeout_s=1) as stores:
        stores.notifications.add(one, NOW_MS)
        killer = threading.Timer(0.3, process.kill)
        killer.start()
        acknowledged = attempt_until_it_fails(stores, one)
        killer.join()
        with pytest.raises(StoreUnavailable):
            stores.notifications.get(one.id)
        with pytest.raises(StoreUnavailable):
            stores.notifications.add(one, NOW_MS)
    process.wait(timeout=60)
    with subprocess.Popen(process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as again:
        try:
            with open_stores(f"{url}shop", timeout_s=30) as stores:
                events = stored_in(stores.notifications, one).log("sms").events
                assert len(events) in (acknowledged, acknowledged + 1)
                happen(stores.notifications, one, F if len(events) % 2 else A)
                assert stored_in(stores.notifications, one).log("sms").state.number == len(events) + 1
        finally:
            again.kill()


def attempt_until_it_fails(stores: Stores, one: Notification) -> int:
    """How many events were acknowledged until the store became unavailable."""
    state = stored_in(stores.notifications, one).log("sms").state
    for number in count(1):
        try:
            then = stores.notifications.append(one, "sms", state, event(number, A if number % 2 else F))
        except StoreUnavailable:
            return number - 1
        assert then is not None
        state = then
    raise AssertionError


def test_a_store_from_before_notifications_gets_them_with_indexes(
    mongo_database_url: str, db: PyMongoDatabase[Document]
) -> None:
    db["summary_meta"].insert_one({"_id": "schema", "version": 1})
    for _ in range(2):
        with open_stores(mongo_database_url, timeout_s=10, create=False) as stores:
            stores.notifications.add(notification(), NOW_MS)
    assert db["summary_meta"].find_one() == {"_id": "schema", "version": SCHEMA_VERSION}
    indexed = [index["key"] for index in db["notifications"].index_information().values()]
    assert [("queue_at", 1), ("_id", 1)] in indexed
    assert len(indexed) == 9


@pytest.mark.parametrize("migrated", [0, 1, 3])
def test_the_migration_of_the_failed_status_resumes_after_a_kill(
    mongo_database_url: str, db: PyMongoDatabase[Document], migrated: int
) -> None:
    ones = [notification(number, "sms", "email") for number in range(3)]
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        for one in ones:
            stores.notifications.add(one, NOW_MS)
            happen(stores.notifications, one, A, F)
            happen(stores.notifications, one, A, S, channel="email")
        stores.notifications.postpone([ones[2].id], FAR_MS, FAR_MS)
    for found in list(db["notifications"].find().sort("_id"))[migrated:]:
        for log in found["logs"]:
            log["status"] = log["status"].replace("retrying", "failed")
            for happened in log["events"]:
                del happened["sender"]
        found["standing"] = found["standing"].replace("retrying", "failed")
        db["notifications"].replace_one({"_id": found["_id"]}, found)
    db["notification_events"].update_many({}, {"$unset": {"sender": ""}})
    db["summary_meta"].update_one({"_id": "schema"}, {"$set": {"version": 3}})
    with open_stores(mongo_database_url, timeout_s=10, create=False) as stores:
        statuses = [log["status"] for found in db["notifications"].find() for log in found["logs"]]
        assert sorted(statuses) == ["retrying"] * 3 + ["success"] * 3
        assert db["notifications"].count_documents({"standing": "email:success,sms:retrying"}) == 3
        assert [(found.status.value, found.count) for found in stores.notifications.counts()] == [
            ("success", 3),
            ("retrying", 3),
        ]
        assert set(stores.notifications.due(NOW_MS + LEASE_MS, 9)) == {ones[0].id, ones[1].id}
        happen(stores.notifications, ones[0], A, S)
        assert stored_in(stores.notifications, ones[0]).status is NotificationStatus.SENT
    assert (db["summary_meta"].find_one() or {})["version"] == SCHEMA_VERSION


def test_instants_are_bson_dates_and_copies_show_the_status(
    store: NotificationStore, db: PyMongoDatabase[Document]
) -> None:
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, A, F)
    found = db["notifications"].find_one() or {}
    assert found["created_at"].isoformat() == "2024-06-24T12:00:00"
    assert found["queue_at"] == found["due_at"] == found["logs"][0]["due_at"]
    assert found["due_at"].isoformat() == "2024-06-24T12:01:00"
    assert (found["logs"][0]["status"], found["logs"][0]["attempts"]) == ("retrying", 1)
    assert (db["notification_events"].find_one({"_id": f"{one.id}:sms:2"}) or {})["kind"] == "failed"


def test_a_retry_missing_in_the_copies_prevents_pruning(
    store: NotificationStore, db: PyMongoDatabase[Document]
) -> None:
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, A, D)
    _insert(db, event_document(one, "sms", event(3, R)))
    assert [found.id for found in store.finished(NOW_MS + 1, unknown=False, limit=1)] == [one.id]
    assert store.remove([one.id], NOW_MS + 1, unknown=False) == 0
    assert stored_in(store, one).status is NotificationStatus.PENDING


def test_an_interrupted_removal_is_completed_by_the_next(
    store: NotificationStore, db: PyMongoDatabase[Document]
) -> None:
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, A, S)
    stored = stored_in(store, one)
    db["notification_events"].delete_many({})
    assert stored_in(store, one) == stored
    assert store.remove([one.id], NOW_MS + 1, unknown=False) == 1
    assert db["notifications"].count_documents({}) == 0


def test_no_event_of_a_removed_notification_is_left(store: NotificationStore, db: PyMongoDatabase[Document]) -> None:
    one = store.add(notification(1, "sms", "email"), NOW_MS).notification
    for channel in one.channels:
        happen(store, one, A, F, A, S, channel=channel)
    assert store.remove([one.id], NOW_MS + 1, unknown=False) == 1
    assert db["notification_events"].count_documents({}) == 0


@pytest.fixture
def removed_within_a_retry(
    store: NotificationStore, mongo_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Notification]:
    """A dead one, which another process removes just before the next event is inserted."""
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, A, D)
    with open_stores(mongo_database_url, timeout_s=10) as others:

        def remove_and_insert(db: PyMongoDatabase[Document], event: Document) -> bool:
            monkeypatch.undo()
            assert others.notifications.remove([one.id], NOW_MS + 1, unknown=False) == 1
            return _insert(db, event)

        monkeypatch.setattr("core.stores.mongo.notifications._insert", remove_and_insert)
        yield one


def test_a_retry_of_a_concurrently_removed_notification_fails_and_leaves_nothing(
    store: NotificationStore, db: PyMongoDatabase[Document], removed_within_a_retry: Notification
) -> None:
    one = removed_within_a_retry
    assert store.append(one, "sms", stored_in(store, one).log("sms").state, event(3, R)) is None
    assert store.get(one.id) is None
    assert db["notification_events"].count_documents({}) == 0


def test_orphaned_events_are_ignored_when_an_id_is_reused(
    store: NotificationStore, db: PyMongoDatabase[Document]
) -> None:
    _insert(db, event_document(notification(), "sms", event(3, R)))
    added_again = store.add(notification(created_at_ms=NOW_MS + 1), NOW_MS + 1).notification
    state = happen(store, added_again, A, S)
    assert stored_in(store, added_again).log("sms").state == state
    db["notifications"].delete_many({})
    db["notification_events"].delete_many({"_id": {"$ne": f"{added_again.id}:sms:3"}})

    again = store.add(notification(created_at_ms=NOW_MS + 2), NOW_MS + 2).notification
    happen(store, again, A, F, A, S)
    assert stored_in(store, again).status is NotificationStatus.SENT


def test_an_orphaned_event_does_not_block_events_of_a_reused_id(
    db_as_read: PyMongoDatabase[Document],
) -> None:
    assert _insert(db_as_read, event_document(notification(created_at_ms=NOW_MS + 1), "sms", event(1, A)))
    assert not _insert(db_as_read, event_document(notification(), "sms", event(1, A)))
    assert (db_as_read["notification_events"].find_one() or {})["of_at"] == DatetimeMS(NOW_MS + 1)


def test_events_of_earlier_versions_without_an_owner_are_read(
    store: NotificationStore, db_as_read: PyMongoDatabase[Document]
) -> None:
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, A)
    document = event_document(one, "sms", event(2, S))
    del document["of_at"]
    db_as_read["notification_events"].insert_one(document)
    assert stored_in(store, one).status is NotificationStatus.SENT
    assert not _insert(db_as_read, event_document(one, "sms", event(2, F)))
