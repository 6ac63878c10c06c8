"""The store of notifications on MongoDB: the collections ``notifications`` and ``notification_events``.

A notification is one document, so it is stored as a whole; the document also has the copies of the logs. An event is
one document with a unique id. The copies are written after the event, and then compared with the events until they
agree: so they become correct even where updates are not atomic and one overwrites another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Final

from bson import Int64
from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError

from core.notifications.events import Event, LogState, LogStatus, apply_event
from core.notifications.model import Notification, NotificationStatus, statuses_with
from core.stores.mongo.database import Database, Document
from core.stores.mongo.notification_documents import (
    KEEP,
    Queueing,
    copied,
    copied_event_ids,
    copied_events,
    copies,
    event_document,
    event_id,
    event_of,
    made_of,
    new_document,
    notification_of,
    with_queue,
)
from core.stores.notification_records import (
    event_from_record,
    event_to_record,
    notification_from_record,
    notification_to_record,
    state_count,
)
from core.stores.notifications import (
    ALL,
    ChannelCounts,
    Listed,
    LogFilter,
    NotificationFilter,
    NotificationStore,
    StateCount,
    StoredNotification,
    is_finished,
    new_notification,
    with_events,
)
from core.stores.records import storable

_NOTIFICATIONS: Final = "notifications"
_EVENTS: Final = "notification_events"
NEWEST: Final = [("created_at", DESCENDING), ("_id", DESCENDING)]
_ENDED: Final = [status.value for status in NotificationStatus if status is not NotificationStatus.PENDING]
_MOST_ROUNDS: Final = 100
"""Of writing copies that another writer overwrites: after that they stay old until they are repaired."""


class MongoNotificationStore(NotificationStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, notification: Notification, queue_at_ms: int) -> StoredNotification:
        stored = new_notification(notification_from_record(notification_to_record(notification)))
        while True:
            with self._database.writing() as db, suppress(DuplicateKeyError):
                db[_NOTIFICATIONS].insert_one(new_document(stored, queue_at_ms))
                return stored
            if found := self.get(notification.id):
                return found

    def get(self, notification_id: str) -> StoredNotification | None:
        with self._database.answering() as db:
            document = db[_NOTIFICATIONS].find_one({"_id": notification_id})
            return None if document is None else _stored(db, document)

    def append(self, notification: Notification, channel: str, state: LogState, event: Event) -> LogState | None:
        event = event_from_record(event_to_record(event))
        then = apply_event(state, event)
        with self._database.writing() as db:
            # First, because a log whose copy is not open is not found if this process dies after the event.
            if not state.is_open and not sync_copies(
                db, notification.id, {channel: Queueing(state.number, event.at_ms)}
            ):
                return None
            document = event_document(notification, channel, event)
            if not _insert(db, document):
                return None
            is_there = True
            with suppress(PyMongoError):  # the event is stored: an old copy is repaired when it is due
                is_there = sync_copies(db, notification.id, KEEP)
            if not is_there:
                # A finished log can be removed at any moment, as happened here: remove its new event as well.
                db[_EVENTS].delete_one({"_id": document["_id"], "claim": document["claim"]})
                return None
        return then

    def repair_copies(self, stored: StoredNotification, queue_at_ms: int | None = None) -> None:
        states = {log.channel: log.state for log in stored.logs}
        queueing = {
            channel: Queueing(state.number, queue_at_ms if state.is_open else None) for channel, state in states.items()
        }
        with self._database.writing() as db:
            sync_copies(db, stored.notification.id, queueing)

    def due(self, now_ms: int, limit: int) -> list[str]:
        if limit <= 0:  # MongoDB reads 0 as no limit
            return []
        query = {"queue_at": {"$lte": DatetimeMS(now_ms)}}
        order = [("queue_at", ASCENDING), ("_id", ASCENDING)]
        with self._database.answering() as db:
            return [found["_id"] for found in db[_NOTIFICATIONS].find(query, {"_id": True}).sort(order).limit(limit)]

    def postpone(self, notification_ids: Sequence[str], now_ms: int, until_ms: int) -> None:
        query = {"_id": {"$in": list(notification_ids)}, "queue_at": {"$lte": DatetimeMS(now_ms)}}
        with self._database.writing() as db:
            found = db[_NOTIFICATIONS].find(query, {"logs": True, "revision": True})
            postponed = [_update(document, _postponed(document["logs"], now_ms, until_ms)) for document in found]
            if postponed:
                db[_NOTIFICATIONS].bulk_write(postponed, ordered=False)

    def listed(
        self, wanted: NotificationFilter = ALL, *, after: tuple[int, str] | None = None, limit: int
    ) -> list[Listed]:
        if limit <= 0:
            return []
        query = _query(wanted)
        if after is not None:
            last = DatetimeMS(after[0])
            query.setdefault("created_at", {})["$lte"] = last
            query["$or"] = [{"created_at": {"$lt": last}}, {"_id": {"$lt": after[1]}}]
        with self._database.answering() as db:
            documents = list(db[_NOTIFICATIONS].find(query, {"logs": False}).sort(NEWEST).limit(limit))
        return [Listed(notification_of(document), NotificationStatus(document["status"])) for document in documents]

    def finished(
        self, before_ms: int, *, unknown: bool, after: tuple[int, str] | None = None, limit: int
    ) -> list[Notification]:
        # By the copies: an old one shows its log as open, or shows it as finished before a retry, which `remove` finds.
        query: Document = {"status": {"$in": _ENDED}, "created_at": {"$lt": DatetimeMS(before_ms)}}
        if after is not None:
            created_at = DatetimeMS(after[0])
            query["created_at"]["$gte"] = created_at
            query["$or"] = [{"created_at": {"$gt": created_at}}, {"_id": {"$gt": after[1]}}]
        found: list[Notification] = []
        order = [("created_at", ASCENDING), ("_id", ASCENDING)]
        with self._database.answering() as db, closing(db[_NOTIFICATIONS].find(query).sort(order)) as documents:
            while len(found) < limit and (document := next(documents, None)) is not None:
                if is_finished(copied(document), before_ms, unknown=unknown):
                    found.append(notification_of(document))
        return found

    def remove(self, notification_ids: Sequence[str], before_ms: int, *, unknown: bool) -> int:
        # The events are removed first: the copies have all of them, so a crash in between loses nothing.
        removed = 0
        with self._database.writing() as db:
            for notification_id in notification_ids:
                sync_copies(db, notification_id, KEEP)
                document = db[_NOTIFICATIONS].find_one({"_id": notification_id})
                if document is None or not is_finished(_stored(db, document), before_ms, unknown=unknown):
                    continue
                db[_EVENTS].delete_many({"_id": {"$in": copied_event_ids(document)}})
                unchanged = {"_id": notification_id, "revision": document["revision"]}
                removed += db[_NOTIFICATIONS].delete_one(unchanged).deleted_count
        return removed

    def counts(self) -> list[ChannelCounts]:
        counted: dict[tuple[str, LogStatus], int] = {}
        # The condition is true of all documents: with it the query reads nothing but the index.
        pipeline: list[Document] = [
            {"$match": {"standing": {"$gt": ""}}},
            {"$group": {"_id": "$standing", "count": {"$sum": 1}}},
        ]
        with self._database.answering() as db:
            for found in db[_NOTIFICATIONS].aggregate(pipeline):
                for channel, status in state_count(found["_id"], 0).logs:
                    counted[channel, status] = counted.get((channel, status), 0) + int(found["count"])
        return [ChannelCounts(channel, status, count) for (channel, status), count in sorted(counted.items())]

    def state_counts(self, wanted: NotificationFilter, *, limit: int) -> list[StateCount]:
        if limit <= 0:
            return []
        pipeline: list[Document] = [
            {"$match": _query(wanted)},
            {"$sort": dict(NEWEST)},
            {"$limit": limit},
            {"$group": {"_id": "$standing", "count": {"$sum": 1}}},
        ]
        with self._database.answering() as db:
            found = {document["_id"]: int(document["count"]) for document in db[_NOTIFICATIONS].aggregate(pipeline)}
        return [state_count(logs, count) for logs, count in sorted(found.items())]

    def due_count(self, now_ms: int) -> int:
        with self._database.answering() as db:
            return db[_NOTIFICATIONS].count_documents({"due_at": {"$lte": DatetimeMS(now_ms)}})

    def oldest_due_ms(self, now_ms: int) -> int | None:
        query = {"due_at": {"$lte": DatetimeMS(now_ms)}}
        with self._database.answering() as db:
            found = db[_NOTIFICATIONS].find_one(query, {"due_at": True}, sort=[("due_at", ASCENDING)])
        return None if found is None else int(found["due_at"])


def _query(wanted: NotificationFilter) -> Document:
    """The notifications that `wanted` selects."""
    query: Document = {}
    if wanted.tenant is not None:
        query["tenant"] = storable(wanted.tenant)
    if wanted.merchants is not None:
        readable = [storable(merchant_id) for merchant_id in wanted.merchants]
        query["$and"] = [{"$or": [{"announces": 0}, {"merchant_id": {"$in": readable}}]}]
    if wanted.user_id is not None:
        query["user_id"] = storable(wanted.user_id)
    if wanted.logs is not None:
        query["standing"] = {"$regex": _status_pattern(wanted.logs)}
        query["status"] = {"$in": sorted(statuses_with(wanted.logs.statuses))}
    if wanted.status is not None:
        query["status"] = wanted.status.value
    if wanted.from_ms is not None:
        query["created_at"] = {"$gte": DatetimeMS(wanted.from_ms)}
    if wanted.before_ms is not None:
        query.setdefault("created_at", {})["$lt"] = DatetimeMS(wanted.before_ms)
    return query


def _status_pattern(logs: LogFilter) -> str:
    """A pattern of ``standing`` with such a log: FerretDB matches no two fields of one element of a list."""
    channels = "|".join(map(re.escape, sorted(logs.channels))) or "[^:,]+"
    return f"(^|,)({channels}):({'|'.join(sorted(logs.statuses))})(,|$)"


def _stored(db: PyMongoDatabase[Document], document: Document) -> StoredNotification:
    """The notification of `document`, with the events in its copies and those that came after."""
    notification, by_channel = notification_of(document), copied_events(document)
    for channel, events in by_channel.items():
        log_id, at_ms = notification.log_id(channel), notification.created_at_ms
        while (found := db[_EVENTS].find_one({"_id": event_id(log_id, len(events) + 1)})) is not None:
            if made_of(found, at_ms) != at_ms:
                break
            events.append(event_of(found))
    return with_events(notification, by_channel)


def _insert(db: PyMongoDatabase[Document], event: Document) -> bool:
    """Insert `event`; whether it was the first with its id. An event left by a removed notification is replaced."""
    while True:
        try:
            db[_EVENTS].insert_one(event)
            return True
        except DuplicateKeyError:
            found = db[_EVENTS].find_one({"_id": event["_id"]})
        if found is None:
            continue
        if found["claim"] == event["claim"]:
            return True  # the driver lost the response, retried, and found its own event
        of_at_ms = made_of(event, 0)
        if made_of(found, of_at_ms) >= of_at_ms:
            return False
        db[_EVENTS].delete_one({"_id": found["_id"], "claim": found["claim"]})


def sync_copies(db: PyMongoDatabase[Document], notification_id: str, queueing: Mapping[str, Queueing]) -> bool:
    """Write the copies until they agree with the events, also if another process overwrites them.

    :returns: whether there is such a notification.
    """
    for _ in range(_MOST_ROUNDS):
        document = db[_NOTIFICATIONS].find_one({"_id": notification_id})
        if document is None:
            return False
        wanted = copies(_stored(db, document), document, queueing)
        if wanted == {name: document.get(name) for name in wanted}:
            return True
        db[_NOTIFICATIONS].bulk_write([_update(document, wanted)])
    return True


def _update(document: Document, wanted: Document) -> UpdateOne:
    """Set `wanted`, unless the document was written since `document` was read."""
    revision = document["revision"]
    return UpdateOne(
        {"_id": document["_id"], "revision": revision}, {"$set": {**wanted, "revision": Int64(revision + 1)}}
    )


def _postponed(logs: list[Document], now_ms: int, until_ms: int) -> Document:
    until = DatetimeMS(until_ms)
    return with_queue(
        [
            {**log, "queue_at": until} if log["queue_at"] is not None and int(log["queue_at"]) <= now_ms else log
            for log in logs
        ]
    )
