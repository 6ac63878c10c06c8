"""The store of API keys on MongoDB: the collection ``api_keys``, whose ``_id`` is the id of the key."""

from __future__ import annotations

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING

from core.stores.keys import ApiKey
from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.mongo.inserting import insert_once
from core.stores.records import key_from_record, key_to_record


class MongoApiKeyStore:
    """`core.stores.keys.ApiKeyStore` over `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Keep `key`; durable when it returns."""
        document = to_document(key_to_record(key), "id")
        with self._database.writing() as db:
            if not insert_once(db["api_keys"], document):
                raise ValueError(f"there is a key {key.id} already")

    def get(self, key_id: str) -> ApiKey | None:
        """The key of that id, also a revoked one, or None."""
        with self._database.answering() as db:
            document = db["api_keys"].find_one({"_id": key_id})
        return None if document is None else _from_document(document)

    def all(self) -> list[ApiKey]:
        """Every key, also the revoked ones, by the instant of creation, then by id."""
        with self._database.answering() as db:
            documents = list(db["api_keys"].find().sort([("created_at", ASCENDING), ("_id", ASCENDING)]))
        return [_from_document(document) for document in documents]

    def revoke(self, key_id: str, at_ms: int) -> ApiKey:
        """Make the key of no use from `at_ms` on; durable when it returns.

        Where updates are not atomic, of two that revoke it at the same moment either may set the instant: nothing ever
        takes a revocation back.
        """
        with self._database.writing() as db:
            db["api_keys"].update_one({"_id": key_id, "revoked_at": None}, {"$set": {"revoked_at": DatetimeMS(at_ms)}})
        key = self.get(key_id)
        if key is None:
            raise LookupError(f"there is no key {key_id}")
        return key


def _from_document(document: Document) -> ApiKey:
    return key_from_record(from_document(document, "id"))
