"""The store of sessions on MongoDB: the collection ``api_sessions``, whose ``_id`` is the session id."""

from __future__ import annotations

from bson.datetime_ms import DatetimeMS

from core.stores.mongo.database import Database
from core.stores.mongo.documents import from_document, to_document
from core.stores.mongo.idempotent_inserts import insert_once
from core.stores.records import session_from_record, session_to_record
from core.stores.sessions import Session, SessionStore


class MongoSessionStore(SessionStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> bool:
        with self._database.writing() as db:
            return insert_once(db["api_sessions"], to_document(session_to_record(session), "id"))

    def get(self, session_id: str) -> Session | None:
        with self._database.answering() as db:
            document = db["api_sessions"].find_one({"_id": session_id})
        return None if document is None else session_from_record(from_document(document, "id"))

    def valid_ids(self, now_ms: int) -> frozenset[str]:
        with self._database.answering() as db:
            found = db["api_sessions"].find(
                {"ended_at": None, "expires_at": {"$gt": DatetimeMS(now_ms)}}, {"_id": True}
            )
            return frozenset(document["_id"] for document in found)

    def end(self, session_id: str, at_ms: int) -> None:
        with self._database.writing() as db:
            db["api_sessions"].update_one(
                {"_id": session_id, "ended_at": None}, {"$set": {"ended_at": DatetimeMS(at_ms)}}
            )

    def end_all(self, at_ms: int) -> int:
        with self._database.writing() as db:
            ended = db["api_sessions"].update_many({"ended_at": None}, {"$set": {"ended_at": DatetimeMS(at_ms)}})
        return ended.modified_count

    def prune(self, before_ms: int) -> None:
        with self._database.writing() as db:
            db["api_sessions"].delete_many({"expires_at": {"$lt": DatetimeMS(before_ms)}})
