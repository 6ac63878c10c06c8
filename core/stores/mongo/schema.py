"""The schema version of a MongoDB store (a document of ``summary_meta``), and the indexes of collections."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import DuplicateKeyError

from core.notifications.model import NotificationStatus
from core.stores.mongo.after_publishing import show_by_merchant
from core.stores.mongo.database import Database, Document
from core.stores.mongo.merchant_names import NAMES
from core.stores.mongo.notification_documents import KEEP
from core.stores.mongo.notifications import NEWEST, sync_copies
from core.stores.mongo.tenants import assign_tenants
from core.stores.opening import no_store, too_new

SCHEMA_VERSION: Final = 14
"""Earlier programs would lose or misread what a version adds, so they refuse the store.

4: publications and runs have the rules of the time zone; 5: runs have the number of protected days; 6: logs may be
``retrying`` or ``printed``; 7: runs have the number of stored rejects; 8: runs have the identity of their process;
9: everything about notifications has a tenant; 10: the view of summaries by merchant; 11: publications and runs have
complete days; 12: keys may expire, and announcements have their figures; 13: publications and runs have currency, scale
and the formats of amounts and times; 14: names of merchants.
"""

_INDEXES: Final = (
    IndexModel([("queue_at", ASCENDING), ("_id", ASCENDING)]),
    IndexModel([("due_at", ASCENDING)]),
    IndexModel(NEWEST),
    IndexModel([("tenant", ASCENDING), *NEWEST]),
    IndexModel([("user_id", ASCENDING), ("tenant", ASCENDING), *NEWEST]),
    IndexModel([("status", ASCENDING), *NEWEST]),
    IndexModel([("tenant", ASCENDING), ("status", ASCENDING), *NEWEST]),
    IndexModel([("standing", ASCENDING)]),
)
"""Indexes of ``notifications``: for due ones, pages of lists, and counts."""

SUMMARY_INDEXES: Final = (
    IndexModel([("mode", ASCENDING), ("merchant_id", ASCENDING), ("key", ASCENDING)], unique=True),
    IndexModel([("mode", ASCENDING), ("key", ASCENDING)]),
)
"""Indexes of collections of summaries: for the periods of a merchant, and for all summaries of some periods."""


def prepare(database: Database, *, create: bool) -> None:
    """Migrate `database` to the newest schema.

    :param create: whether to create a missing store.
    :raises StoreTooNew: its schema is of a newer version of this program; nothing was changed.
    :raises StoreUnavailable: the server does not answer, or has no store and `create` is False.
    """
    with database.answering() as db:
        found = db["summary_meta"].find_one({"_id": "schema"})
        if found is None:
            if not create:
                raise no_store(database.place)
            _index(db)
            with suppress(DuplicateKeyError):  # created concurrently
                db["summary_meta"].insert_one({"_id": "schema", "version": SCHEMA_VERSION})
        elif found["version"] > SCHEMA_VERSION:
            raise too_new(database.place, found["version"], SCHEMA_VERSION)
        elif found["version"] < SCHEMA_VERSION:
            _index(db)
            _rename_failed_logs(db)
            if found["version"] < 9:  # the first with tenants
                assign_tenants(db).report(database.place)  # before the version: a kill repeats both
            show_by_merchant(db)
            db["summary_meta"].update_one(
                {"_id": "schema", "version": found["version"]}, {"$set": {"version": SCHEMA_VERSION}}
            )


def _index(db: PyMongoDatabase[Document]) -> None:
    for index in _INDEXES:  # one at a time, as FerretDB fails if several indexes of one call exist
        db["notifications"].create_indexes([index])
    for name in ("contacts", "subscriptions"):
        db[name].create_index([("user_id", ASCENDING)])
    db[NAMES].create_index([("merchant_id", ASCENDING)])


def _rename_failed_logs(db: PyMongoDatabase[Document]) -> None:
    """Since version 6 a log that will be retried has the status ``retrying``, also in the copies.

    The copies are rewritten from the events, one notification at a time, so it can be repeated after a kill.
    """
    open_ones = db["notifications"].find({"status": NotificationStatus.PENDING.value}, {"logs.status": True})
    for document in open_ones:
        if any(log["status"] == "failed" for log in document["logs"]):
            sync_copies(db, document["_id"], KEEP)
