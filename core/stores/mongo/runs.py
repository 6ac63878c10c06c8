"""The run ledger on MongoDB: the collection ``summary_runs``, whose ``_id`` is the number of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from core.errors import RunHeld
from core.stores.holders import Clock, require_free
from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.mongo.inserting import insert_once
from core.stores.records import run_from_record, run_to_record
from core.stores.runs import Run, RunStatus


class MongoRunLedger:
    """`core.stores.runs.RunLedger` over `database`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, draft: Run) -> Run:
        """Insert `draft` as the next run, when no other is under way."""
        before = next(iter(self.recent(1)), None)
        if before is not None:
            require_free(before, self._clock())
            if before.status is RunStatus.RUNNING:
                self._close(before)
        run = replace(draft, id=1 if before is None else before.id + 1)
        with self._database.answering() as db:
            if insert_once(db["summary_runs"], _to_document(run)):
                return run
        winner = self.get(run.id)
        if winner is not None:
            require_free(winner, self._clock())
        raise RunHeld(f"run {run.id} began at the same moment, and has ended since", "Run the same command again.")

    def update(self, run: Run) -> None:
        """Replace the document of ``run.id``; durable when it returns."""
        with self._database.answering() as db:
            _replace(db["summary_runs"], run)

    def get(self, run_id: int) -> Run | None:
        """The run of that number, or None."""
        with self._database.answering() as db:
            document = db["summary_runs"].find_one({"_id": run_id})
        return None if document is None else _from_document(document)

    def recent(self, limit: int) -> list[Run]:
        """At most `limit` runs, the latest first."""
        if limit <= 0:  # which MongoDB takes for no limit
            return []
        with self._database.answering() as db:
            documents = list(db["summary_runs"].find().sort("_id", DESCENDING).limit(limit))
        return [_from_document(document) for document in documents]

    def ended_before(self, before_ms: int, *, below: int) -> list[int]:
        """The numbers, ascending, of runs below number `below` that ended before `before_ms`."""
        query = {"_id": {"$lt": below}, "ended_at": {"$lt": DatetimeMS(before_ms)}}
        with self._database.answering() as db:
            return [found["_id"] for found in db["summary_runs"].find(query, {"_id": True}).sort("_id", ASCENDING)]

    def remove(self, run_ids: Sequence[int]) -> int:
        """Remove those of these runs that have ended, but never the latest."""
        latest = max((run.id for run in self.recent(1)), default=0)
        query = {"_id": {"$in": [run_id for run_id in run_ids if run_id < latest]}, "ended_at": {"$ne": None}}
        with self._database.answering() as db:
            return db["summary_runs"].delete_many(query).deleted_count

    def _close(self, run: Run) -> None:
        """Close `run`, whose process is gone. Others may do so too at this moment: they write the same."""
        with self._database.answering() as db:
            generations = [found["_id"] for found in db["summary_publications"].find({"run_id": run.id}, {"_id": True})]
            _replace(db["summary_runs"], run.taken_over(self._clock(), max(generations, default=None)))


def _replace(collection: Collection[Document], run: Run) -> None:
    if not collection.replace_one({"_id": run.id}, _to_document(run)).matched_count:
        raise LookupError(f"the ledger has no run {run.id}")


def _to_document(run: Run) -> Document:
    return to_document(run_to_record(run), "id")


def _from_document(document: Document) -> Run:
    return run_from_record(from_document(document, "id"))
