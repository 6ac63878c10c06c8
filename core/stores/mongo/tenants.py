"""The migration to tenants: assigns a tenant to the records of earlier versions."""

from __future__ import annotations

from typing import Final

from bson import Int64
from pymongo.database import Database as PyMongoDatabase

from core.stores.api_keys import ApiKey, key_from_record
from core.stores.mongo.database import Document
from core.stores.mongo.documents import from_document
from core.stores.mongo.idempotent_inserts import insert_once
from core.stores.opening import Ownerless
from core.tenants import OPERATOR

_COUNTED: Final = "tenants"
_WITHOUT: Final[Document] = {"tenant": None}


def assign_tenants(db: PyMongoDatabase[Document]) -> Ownerless:
    """Assign each notification to the tenant of its API key, and everything else to the operator.

    Contacts do not change, as they have the form of the operator's users. Records without an owner are counted before
    any change, so that a migration that resumes after a kill reports all of them.
    """
    keys = [key_from_record(from_document(document, "id")) for document in db["api_keys"].find()]
    ownerless = _counted(db, keys)
    for key in keys:
        if key.tenant != OPERATOR:
            of_key = {"sender_key_id": key.id, **_WITHOUT}
            db["notifications"].update_many(of_key, {"$set": {"tenant": key.tenant}})
    for name in ("notifications", "subscriptions"):
        db[name].update_many(_WITHOUT, {"$set": {"tenant": OPERATOR}})
    return ownerless


def _counted(db: PyMongoDatabase[Document], keys: list[ApiKey]) -> Ownerless:
    if (found := db["summary_meta"].find_one({"_id": _COUNTED})) is None:
        of_nobody = {"sender_key_id": {"$nin": [key.id for key in keys]}, **_WITHOUT}
        found = {
            "_id": _COUNTED,
            "contacts": Int64(db["contacts"].count_documents({"_id": {"$type": "string"}, "addresses": {"$ne": []}})),
            "subscriptions": Int64(db["subscriptions"].count_documents(_WITHOUT)),
            "notifications": Int64(db["notifications"].count_documents(of_nobody)),
        }
        insert_once(db["summary_meta"], found)
    return Ownerless(int(found["contacts"]), int(found["subscriptions"]), int(found["notifications"]))
