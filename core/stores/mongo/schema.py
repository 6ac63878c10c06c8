"""The schema version of a MongoDB store, which is one document of ``summary_meta``, and the indexes of collections."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import DuplicateKeyError

from core.notifications.model import NotificationStatus
from core.stores.mongo.after_publishing import show_by_merchant
from core.stores.mongo.database import Database, Document
from core.stores.mongo.merchant_names import NAMES
from core.stores.mongo.notification_documents import KEEP
from core.stores.mongo.notifications import settle
from core.stores.mongo.tenants import assign_tenants
from core.stores.opening_errors import no_store, too_new

SCHEMA_VERSION: Final = 14
"""Since 4 publications and runs record the rules of the time zone, since 5 runs how many days they kept, since 6 logs
may be ``retrying`` or ``printed``, since 7 runs record how many rejects they kept, since 8 what tells their process
from every other, and since 9 all that is about notifications has a tenant: a program that knows an earlier version
would lose or misread these, or show them to others. Since 10 there is the view of the summaries by merchant. Since 11
publications and runs record which days are complete. Since 12 keys may expire and announcements keep their figures: an
earlier program would let expired keys in. Since 13 publications and runs record currency, scale and the forms of
amounts and times, which earlier programs would mix. Since 14 merchants have names."""

_TENANTS_SINCE: Final = 9
_NEWEST: Final = [("created_at", DESCENDING), ("_id", DESCENDING)]
_INDEXES: Final = (
    IndexModel([("queue_at", ASCENDING), ("_id", ASCENDING)]),
    IndexModel([("due_at", ASCENDING)]),
    IndexModel(_NEWEST),
    IndexModel([("tenant", ASCENDING), *_NEWEST]),
    IndexModel([("user_id", ASCENDING), ("tenant", ASCENDING), *_NEWEST]),
    IndexModel([("status", ASCENDING), *_NEWEST]),
    IndexModel([("tenant", ASCENDING), ("status", ASCENDING), *_NEWEST]),
    IndexModel([("standing", ASCENDING)]),
)
"""Of ``notifications``: what is due, the pages of lists, and the counts."""

SUMMARY_INDEXES: Final = (
    IndexModel([("mode", ASCENDING), ("merchant_id", ASCENDING), ("key", ASCENDING)], unique=True),
    IndexModel([("mode", ASCENDING), ("key", ASCENDING)]),
)
"""Of every collection of summaries: one merchant's periods, and all merchants' summaries of some periods."""


def prepare(database: Database, *, create: bool) -> None:
    """Bring `database` to the newest schema.

    :param create: whether to make one when there is none.
    :raises StoreTooNew: its schema is newer than this program; nothing was changed.
    :raises StoreUnavailable: the server does not answer, or holds no store and `create` is False.
    """
    with database.answering() as db:
        found = db["summary_meta"].find_one({"_id": "schema"})
        if found is None:
            if not create:
                raise no_store(database.place)
            _index(db)
            with suppress(DuplicateKeyError):  # another process made it meanwhile
                db["summary_meta"].insert_one({"_id": "schema", "version": SCHEMA_VERSION})
        elif found["version"] > SCHEMA_VERSION:
            raise too_new(database.place, found["version"], SCHEMA_VERSION)
        elif found["version"] < SCHEMA_VERSION:
            _index(db)
            _rename_failed_logs(db)
            if found["version"] < _TENANTS_SINCE:
                assign_tenants(db).report(database.place)  # before the version: a kill in between repeats both
            show_by_merchant(db)
            db["summary_meta"].update_one(
                {"_id": "schema", "version": found["version"]}, {"$set": {"version": SCHEMA_VERSION}}
            )


def _index(db: PyMongoDatabase[Document]) -> None:
    for index in _INDEXES:  # one at a time: FerretDB fails when several of a call are there already
        db["notifications"].create_indexes([index])
    for name in ("contacts", "subscriptions"):
        db[name].create_index([("user_id", ASCENDING)])
    db[NAMES].create_index([("merchant_id", ASCENDING)])


def _rename_failed_logs(db: PyMongoDatabase[Document]) -> None:
    """Since version 6 a log that will be tried again is ``retrying``, in the copies too.

    The copies are written again from the events, one notification at a time: what was killed midway is done again.
    """
    open_ones = db["notifications"].find({"status": NotificationStatus.PENDING.value}, {"logs.status": True})
    for document in open_ones:
        if any(log["status"] == "failed" for log in document["logs"]):
            settle(db, document["_id"], KEEP)
