"""The store of merchant names on MongoDB: the collections ``merchant_names`` and ``merchant_names_versions``.

All names are written as documents of a new edition. Then an insert of the next number into ``merchant_names_versions``
makes this edition current; of two concurrent replacements one fails. Finally the names of earlier editions are removed,
so that between replacements the collection has only the current names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bson import DatetimeMS, ObjectId
from pymongo import DESCENDING
from pymongo.database import Database as PyMongoDatabase

from core.calendar.periods import Locale
from core.errors import StoreBusy
from core.merchant_names import NO_NAMES, MerchantNames
from core.stores.merchant_names import MerchantNameStore, next_version, number_of
from core.stores.mongo.database import Database, Document
from core.stores.mongo.idempotent_inserts import insert_batch, insert_once
from core.stores.records import storable

NAMES: Final = "merchant_names"
_VERSIONS: Final = "merchant_names_versions"
_BATCH: Final = 10_000
_ATTEMPTS: Final = 10


class MongoMerchantNameStore(MerchantNameStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> str:
        with self._database.answering() as db:
            return _version_in(_newest(db))

    def read(self) -> MerchantNames:
        with self._database.answering() as db:
            for _ in range(_ATTEMPTS):
                newest = _newest(db)
                if newest is None:
                    return NO_NAMES
                by_merchant: dict[str, dict[Locale, str]] = {}
                for found in db[NAMES].find({"edition": newest["edition"]}):
                    by_merchant.setdefault(found["merchant_id"], {})[found["language"]] = found["name"]
                if sum(map(len, by_merchant.values())) == newest["names"]:  # else they are being removed: read again
                    return MerchantNames(_version_in(newest), by_merchant)
        raise StoreBusy("the names of merchants are replaced faster than they can be read", "Try again.")

    def replace(self, names: Mapping[str, Mapping[Locale, str]], *, after: str, now_ms: int) -> bool:
        version, edition = next_version(after, now_ms), ObjectId()
        number = number_of(version)
        documents = [
            {"edition": edition, "number": number, "merchant_id": storable(merchant_id), "language": one, "name": name}
            for merchant_id, texts in names.items()
            for one, name in texts.items()
        ]
        with self._database.writing() as db:
            if _version_in(_newest(db)) != after:
                return False
            for begin in range(0, len(documents), _BATCH):
                insert_batch(db[NAMES], documents[begin : begin + _BATCH])
            newest = {"_id": number, "version": version, "edition": edition, "names": len(documents)}
            if not insert_once(db[_VERSIONS], {**newest, "at": DatetimeMS(now_ms)}):
                db[NAMES].delete_many({"edition": edition})
                return False
            # Higher numbers are being written by another process.
            db[NAMES].delete_many({"number": {"$lte": number}, "edition": {"$ne": edition}})
            db[_VERSIONS].delete_many({"_id": {"$lt": number}})
        return True


def _newest(db: PyMongoDatabase[Document]) -> Document | None:
    return db[_VERSIONS].find_one(sort=[("_id", DESCENDING)])


def _version_in(newest: Document | None) -> str:
    return "" if newest is None else str(newest["version"])
