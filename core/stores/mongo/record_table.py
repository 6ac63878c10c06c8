"""A table of records on MongoDB: a collection, whose ``_id`` is the id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING

from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.mongo.idempotent_inserts import insert_once
from core.stores.record_table import Condition, RecordTable
from core.stores.records import Record, plain

_COMPARISONS: Final = {"<": "$lt", ">": "$gt", "in": "$in"}
_ORDER: Final = [("created_at", ASCENDING), ("_id", ASCENDING)]


class MongoTable(RecordTable):
    """The collection `name` of `database`."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    def insert(self, record: Record) -> bool:
        with self._database.writing() as db:
            return insert_once(db[self._name], to_document(record, "id"))

    def get(self, record_id: str) -> Record | None:
        with self._database.answering() as db:
            document = db[self._name].find_one({"_id": record_id})
        return None if document is None else from_document(document, "id")

    def find(self, *where: Condition, after: tuple[int, str] | None = None, limit: int | None = None) -> list[Record]:
        page: list[Document] = []
        if after is not None:
            created_at = DatetimeMS(after[0])
            later = [{"created_at": {"$gt": created_at}}, {"_id": {"$gt": after[1]}}]
            page = [{"created_at": {"$gte": created_at}}, {"$or": later}]
        query = _query(where, page)
        with self._database.answering() as db:
            found = db[self._name].find(query).sort(_ORDER).limit(limit or 0)
            return [from_document(document, "id") for document in found]

    def ids(self, *where: Condition) -> frozenset[str]:
        with self._database.answering() as db:
            return frozenset(document["_id"] for document in db[self._name].find(_query(where), {"_id": True}))

    def update(self, changes: Record, *where: Condition) -> int:
        query, change = _query(where), {"$set": to_document(changes, "id")}
        with self._database.writing() as db:
            collection = db[self._name]
            # After a lost response the driver repeats only an update of one document.
            update = collection.update_one if isinstance(query.get("_id"), str) else collection.update_many
            return update(query, change).modified_count

    def delete(self, *where: Condition) -> int:
        with self._database.writing() as db:
            return db[self._name].delete_many(_query(where)).deleted_count


def _query(conditions: Iterable[Condition], more: Iterable[Document] = ()) -> Document:
    """The query for all of them. The first one of each field is at the top, where FerretDB finds ids fast."""
    query: Document = {}
    for condition in (*map(_converted, conditions), *more):
        if query.keys().isdisjoint(condition):
            query |= condition
        else:
            query.setdefault("$and", []).append(condition)
    return query


def _converted(condition: Condition) -> Document:
    name, comparison, value = condition
    ((field, converted),) = to_document({name: plain(value)}, "id").items()
    return {field: converted if comparison == "=" else {_COMPARISONS[comparison]: converted}}
