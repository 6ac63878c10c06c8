"""The store of sessions on MongoDB: the collection ``api_sessions``, whose ``_id`` is the id of the session."""

from __future__ import annotations

from bson.datetime_ms import DatetimeMS
from pymongo.errors import DuplicateKeyError

from core.stores.mongo.database import Database
from core.stores.mongo.documents import from_document, to_document
from core.stores.records import session_from_record, session_to_record
from core.stores.sessions import Session


class MongoSessionStore:
    """`core.stores.sessions.SessionStore` over `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> bool:
        """Keep `session`; whether there was none of that id."""
        with self._database.answering() as db:
            try:
                db["api_sessions"].insert_one(to_document(session_to_record(session), "id"))
            except DuplicateKeyError:
                return False
        return True

    def get(self, session_id: str) -> Session | None:
        """The session of that id, also one that is over, or None."""
        with self._database.answering() as db:
            document = db["api_sessions"].find_one({"_id": session_id})
        return None if document is None else session_from_record(from_document(document, "id"))

    def end(self, session_id: str, at_ms: int) -> None:
        """Make the session of no use from now on; nothing where there is none."""
        with self._database.answering() as db:
            db["api_sessions"].update_one(
                {"_id": session_id, "ended_at": None}, {"$set": {"ended_at": DatetimeMS(at_ms)}}
            )

    def prune(self, before_ms: int) -> None:
        """Remove what expired before `before_ms`."""
        with self._database.answering() as db:
            db["api_sessions"].delete_many({"expires_at": {"$lt": DatetimeMS(before_ms)}})
