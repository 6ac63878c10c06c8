"""The store of the last uses of API keys on MongoDB: the collection ``api_key_uses``, by key id."""

from __future__ import annotations

from collections.abc import Mapping

from bson.datetime_ms import DatetimeMS
from pymongo import UpdateOne

from core.stores.api_keys import KeyUseStore
from core.stores.mongo.database import Database


class MongoKeyUseStore(KeyUseStore):
    """A separate collection: if updates are not atomic, an update of the key could undo its revocation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, last_used_ms: Mapping[str, int]) -> None:
        updates = [
            UpdateOne({"_id": key_id}, {"$max": {"last_used_at": DatetimeMS(at_ms)}}, upsert=True)
            for key_id, at_ms in last_used_ms.items()
        ]
        if updates:
            with self._database.writing() as db:
                db["api_key_uses"].bulk_write(updates, ordered=False)

    def all(self) -> dict[str, int]:
        with self._database.answering() as db:
            return {document["_id"]: int(document["last_used_at"]) for document in db["api_key_uses"].find()}
