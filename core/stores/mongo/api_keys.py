"""The stores of API keys on MongoDB: the collections ``api_keys`` and ``api_key_uses``, by key id."""

from __future__ import annotations

from collections.abc import Mapping

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, UpdateOne

from core.stores.api_keys import ApiKey, ApiKeyStore, KeyUseStore
from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.mongo.idempotent_inserts import insert_once
from core.stores.records import key_from_record, key_to_record


class MongoApiKeyStore(ApiKeyStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        document = to_document(key_to_record(key), "id")
        with self._database.writing() as db:
            if not insert_once(db["api_keys"], document):
                raise ValueError(f"there is a key {key.id} already")

    def get(self, key_id: str) -> ApiKey | None:
        with self._database.answering() as db:
            document = db["api_keys"].find_one({"_id": key_id})
        return None if document is None else _from_document(document)

    def all(self) -> list[ApiKey]:
        with self._database.answering() as db:
            documents = list(db["api_keys"].find().sort([("created_at", ASCENDING), ("_id", ASCENDING)]))
        return [_from_document(document) for document in documents]

    def revoke(self, key_id: str, at_ms: int) -> ApiKey:
        # If updates are not atomic, either of two concurrent revocations may set the instant; none undoes the other.
        with self._database.writing() as db:
            db["api_keys"].update_one({"_id": key_id, "revoked_at": None}, {"$set": {"revoked_at": DatetimeMS(at_ms)}})
        key = self.get(key_id)
        if key is None:
            raise LookupError(f"there is no key {key_id}")
        return key


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


def _from_document(document: Document) -> ApiKey:
    return key_from_record(from_document(document, "id"))
