"""The run ledger on MongoDB: the collection ``summary_runs``, whose ``_id`` is the run id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database as PyMongoDatabase

from core.errors import RunHeld
from core.instants import Clock
from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.mongo.idempotent_inserts import insert_once
from core.stores.mongo.publishing import uninterrupted
from core.stores.records import run_from_record, run_to_record
from core.stores.run_lock import require_free, stalled_future_run
from core.stores.runs import Run, RunLedger, RunStatus, taken_over
from core.stores.summaries import Publication

_HOLDER: Final = ("host", "process_id", "process_started", "process_identity")


class MongoRunLedger(RunLedger):
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, draft: Run) -> Run:
        stalled = stalled_future_run(self.recent, self._clock)
        before = next(iter(self.recent(1)), None)
        if before is not None:
            require_free(before, self._clock(), stalled)
            self._close_open()
        run = replace(draft, id=1 if before is None else before.id + 1)
        with self._database.answering() as db:
            if uninterrupted(lambda: insert_once(db["summary_runs"], _to_document(run))):
                return run
        winner = self.get(run.id)
        if winner is not None:
            require_free(winner, self._clock(), None)
        raise RunHeld(f"run {run.id} began at the same moment, and has ended since", "Run the same command again.")

    def update(self, run: Run) -> None:
        document = _to_document(run)
        expected = {name: document[name] for name in ("_id", *_HOLDER)} | {"ended_at": None}
        with self._database.answering() as db:
            runs, latest = db["summary_runs"], _successor(db, run.id) is None
            # Wait for the end: a write interrupted by a signal could arrive after the one that closes the row. If
            # updates are not atomic it may overwrite a row that another run has just closed: see `_settled`.
            if latest and uninterrupted(lambda: runs.replace_one(expected, document)).matched_count:
                return
            stored = runs.find_one({"_id": run.id})
        if stored is None:
            raise LookupError(f"the ledger has no run {run.id}")
        if latest and _from_document(stored) == _from_document(document):
            return  # a retry of the driver after a lost answer
        raise taken_over(run)

    def get(self, run_id: int) -> Run | None:
        with self._database.answering() as db:
            document = db["summary_runs"].find_one({"_id": run_id})
            return None if document is None else _settled(db, document)

    def recent(self, limit: int) -> list[Run]:
        if limit <= 0:  # 0 means no limit in MongoDB
            return []
        with self._database.answering() as db:
            documents = list(db["summary_runs"].find().sort("_id", DESCENDING).limit(limit))
            return [_settled(db, document) for document in documents]

    def found_unchanged(self, publication: Publication) -> Run | None:
        query = {
            "_id": {"$gt": publication.run_id},
            "status": RunStatus.UNCHANGED.value,
            "generation": publication.generation,
        }
        with self._database.answering() as db:
            found = db["summary_runs"].find_one(query, sort=[("_id", DESCENDING)])
            return None if found is None else _from_document(found)

    def ended_before(self, before_ms: int, *, below: int) -> list[int]:
        query = {"_id": {"$lt": below}, "ended_at": {"$lt": DatetimeMS(before_ms)}}
        with self._database.answering() as db:
            return [found["_id"] for found in db["summary_runs"].find(query, {"_id": True}).sort("_id", ASCENDING)]

    def remove(self, run_ids: Sequence[int]) -> int:
        latest = max((run.id for run in self.recent(1)), default=0)
        query = {"_id": {"$in": [run_id for run_id in run_ids if run_id < latest]}, "ended_at": {"$ne": None}}
        with self._database.answering() as db:
            return db["summary_runs"].delete_many(query).deleted_count

    def _close_open(self) -> None:
        """Close the runs whose process is gone; concurrent calls write the same."""
        with self._database.answering() as db:
            runs = db["summary_runs"]
            for document in list(runs.find({"ended_at": None})):
                run = _from_document(document)
                closed = run.taken_over(self._clock(), _generation_of(db, run.id))
                runs.replace_one({"_id": run.id, "ended_at": None}, _to_document(closed))


def _settled(db: PyMongoDatabase[Document], document: Document) -> Run:
    """The run of `document`. If a later run exists, it has ended, regardless of its document.

    The existence of the later run closes it. Without this, if conditional updates are not atomic (FerretDB), a
    paused process could reopen its own run.
    """
    run = _from_document(document)
    if run.status is not RunStatus.RUNNING or (successor := _successor(db, run.id)) is None:
        return run
    return run.taken_over(_from_document(successor).started_at_ms, _generation_of(db, run.id))


def _successor(db: PyMongoDatabase[Document], run_id: int) -> Document | None:
    return db["summary_runs"].find_one({"_id": {"$gt": run_id}}, sort=[("_id", ASCENDING)])


def _generation_of(db: PyMongoDatabase[Document], run_id: int) -> int | None:
    """The generation published by run `run_id`, or None."""
    found = db["summary_publications"].find({"run_id": run_id}, {"_id": True})
    return max((publication["_id"] for publication in found), default=None)


def _to_document(run: Run) -> Document:
    return to_document(run_to_record(run), "id")


def _from_document(document: Document) -> Run:
    return run_from_record(from_document(document, "id"))
