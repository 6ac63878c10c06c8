"""Publishing on MongoDB: fill a collection of one's own, then insert one document, which is the fence and the swap.

The publication with the highest ``_id`` is in force. The collection of the generation before it stays until the next
publication, so that whoever was reading it can finish. Nothing here needs a transaction or an atomic update.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bson import Int64
from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from core.errors import StoreUnavailable
from core.stores.generations import (
    SUMMARIES,
    generation_name,
    parse_generation_name,
    publication_lost,
    require_next,
)
from core.stores.mongo.database import Document, reason_of
from core.stores.mongo.documents import to_document
from core.stores.records import publication_to_record
from core.stores.summaries import Publication

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import SummaryTuple

_log = logging.getLogger(__name__)

_PUBLICATIONS: Final = "summary_publications"
_BATCH_ROWS: Final = 10_000
_NAMESPACE_NOT_FOUND: Final = 26
_NO_VIEWS: Final = (59, 115, 238)  # CommandNotFound, CommandNotSupported, NotImplemented


def in_force(db: Database[Document]) -> Document | None:
    """The document of the publication in force, or None when nothing was published yet."""
    return db[_PUBLICATIONS].find_one(sort=[("_id", DESCENDING)])


def publish(db: Database[Document], publication: Publication, rows: pl.DataFrame) -> None:
    """Replace everything that is published with `rows`, atomically.

    :raises PublicationLost: another run published that generation first.
    :raises StoreUnavailable: the connection broke at the moment of publishing, and what became of it is not known.
    :raises PyMongoError: the server does not answer or refuses; the state before is still published.
    """
    before = in_force(db)
    require_next(publication, before["_id"] if before else 0)
    name = generation_name(publication.generation, publication.run_id)
    try:
        _fill(db, name, publication, rows)
    except BaseException:
        _drop(db, name)
        raise
    _announce(db, name, publication)
    # It is published: what fails from here on is done by the next publication.
    with suppress(PyMongoError):
        _move_view(db)
        _clear(db)


def _fill(db: Database[Document], name: str, publication: Publication, rows: pl.DataFrame) -> None:
    from core.stores.frames import to_batches

    # Before the rows, so that no single call takes as long as indexing all of them would.
    db[name].create_index([("mode", ASCENDING), ("merchant_id", ASCENDING), ("key", ASCENDING)], unique=True)
    for batch in to_batches(rows, _BATCH_ROWS):
        db[name].insert_many([_summary_document(row) for row in batch], ordered=False)
    stored = db[name].count_documents({})
    if stored != publication.rows:
        raise publication_lost(publication, f"only {stored} of its {publication.rows} rows are there")


def _announce(db: Database[Document], name: str, publication: Publication) -> None:
    document = to_document({**publication_to_record(publication), "collection": name}, "generation")
    try:
        _to_its_end(lambda: db[_PUBLICATIONS].insert_one(document))
    except DuplicateKeyError:
        winner = db[_PUBLICATIONS].find_one({"_id": publication.generation}) or {}
        # A driver that lost the answer and asked again is told that its own document is there.
        if winner.get("run_id") != publication.run_id:
            _drop(db, name)
            raise publication_lost(publication, f"run {winner.get('run_id')} published it first") from None
    except PyMongoError as error:
        # The collection stays: the document may have arrived, and then it is in force.
        raise StoreUnavailable(
            f"the connection broke while run {publication.run_id} published generation {publication.generation}, and "
            f"whether it did is not known: {reason_of(error)}",
            "See with: python -m jobs status. If the generation is not in force, run the same command again.",
        ) from error


def _to_its_end(call: Callable[[], object]) -> None:
    """Make `call` on another thread and wait until it has ended, whatever is raised here meanwhile.

    A signal that is raised as an exception would else break the connection and leave open what the server does.
    """
    outcome: Future[None] = Future()
    wanted = threading.Event()  # what is raised before it is set leaves the call unmade

    def work() -> None:
        wanted.wait()
        try:
            call()
            outcome.set_result(None)
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, name="announcing", daemon=True).start()
    raised: BaseException | None = None
    while not outcome.done():
        try:
            wanted.set()
            wait([outcome])
        except BaseException as error:
            raised = error
    if raised is not None:
        raise raised
    outcome.result()


def _move_view(db: Database[Document]) -> None:
    """Let the view for outsiders show what is in force, where the server has views."""
    try:
        while (document := in_force(db)) is not None:
            _show(db, document["collection"])
            if in_force(db) == document:
                return
    except OperationFailure as error:
        if error.code not in _NO_VIEWS:
            _log.warning("the view %s was not moved: %s", SUMMARIES, error)


def _show(db: Database[Document], collection: str) -> None:
    try:
        db.command("collMod", SUMMARIES, viewOn=collection, pipeline=[])
    except OperationFailure as error:
        if error.code != _NAMESPACE_NOT_FOUND:
            raise
        db.command("create", SUMMARIES, viewOn=collection, pipeline=[])


def _clear(db: Database[Document]) -> None:
    """Drop the collections of generations up to the one in force, but for it and the one before.

    A collection of a later generation stays, whoever made it: its run may be about to publish it.
    """
    newest = list(db[_PUBLICATIONS].find().sort("_id", DESCENDING).limit(2))
    kept = {document["collection"] for document in newest}
    for name in db.list_collection_names():
        numbers = parse_generation_name(name)
        if numbers and numbers[0] <= newest[0]["_id"] and name not in kept:
            db.drop_collection(name)


def _drop(db: Database[Document], name: str) -> None:
    with suppress(PyMongoError):
        db.drop_collection(name)


def _summary_document(row: SummaryTuple) -> Document:
    mode, key, merchant_id, amount, count, period_start_ms, period_end_ms = row
    return {
        "mode": mode,
        "key": key,
        "merchant_id": merchant_id,
        "amount": Int64(amount),
        "count": Int64(count),
        "period_start": DatetimeMS(period_start_ms),
        "period_end": DatetimeMS(period_end_ms),
    }
