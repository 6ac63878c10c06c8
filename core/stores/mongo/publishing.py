"""Publishing on MongoDB: fill a new collection, then publish it by inserting one document.

The publication with the highest ``_id`` is current; the unique ``_id`` is also the fence against concurrent runs. The
collections of the previous publication remain until the next one, so that readers can finish. No transaction or atomic
update is needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from bson import Int64
from bson.datetime_ms import DatetimeMS
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from core.errors import StoreUnavailable
from core.mongo_connection import count_in_metadata, reason_of
from core.stores.generations import (
    TAKEN_OVER,
    generation_name,
    publication_lost,
    publishable,
    require_next,
)
from core.stores.mongo.after_publishing import clear, move_view, show_by_merchant
from core.stores.mongo.database import Document
from core.stores.mongo.documents import to_document
from core.stores.mongo.idempotent_inserts import insert_batch
from core.stores.mongo.layers import PUBLICATIONS, Layer, current_publication, layers_to_record
from core.stores.mongo.schema import SUMMARY_INDEXES
from core.stores.records import publication_to_record
from core.stores.summaries import Publication, no_progress

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import Frames

T = TypeVar("T")

_BATCH_ROWS: Final = 10_000


def publish(
    db: Database[Document],
    publication: Publication,
    rows: pl.DataFrame | Frames,
    progress: Callable[[int], None] = no_progress,
) -> None:
    """Publish `rows` instead of all current summaries, atomically.

    :raises PublicationLost: another run published that generation first.
    :raises ConservationBroken: see `core.stores.summaries.SummaryStore.publish`.
    :raises StoreUnavailable: the connection broke at the moment of publishing, so the result is unknown.
    :raises PyMongoError: the server does not answer or refuses; the previous publication is current.
    """
    before = current_publication(db)
    require_next(publication, before["_id"] if before else 0)
    name = generation_name(publication.generation, publication.run_id)
    try:
        fill(db, name, publishable(publication, rows), progress)
        stored = count_in_metadata(db[name])
        if stored != publication.rows:  # perhaps only the metadata
            stored = db[name].count_documents({})
        if stored != publication.rows:
            raise publication_lost(publication, f"only {stored} of its {publication.rows} rows exist")
    except BaseException:
        drop(db, name)
        raise
    insert_publication(db, publication, (Layer(name, stored),), made=name)


def fill(db: Database[Document], name: str, frames: Frames, progress: Callable[[int], None] = no_progress) -> None:
    """Create the collection `name`, and fill it with `frames`."""
    from core.stores.frames import to_columns

    # Before the rows, as indexing all of them in one call could exceed the time-out.
    for index in SUMMARY_INDEXES:
        db[name].create_indexes([index])
    written = 0
    for columns in to_columns(frames, _BATCH_ROWS):
        insert_batch(db[name], _documents(*columns))
        written += len(columns[0])
        progress(written)


def insert_publication(
    db: Database[Document], publication: Publication, layers: Sequence[Layer], made: str | None = None
) -> None:
    """Publish: insert the document with the `layers`, unless its generation exists.

    :param made: the new collection.
    """
    if _is_closed(db, publication.run_id):
        drop(db, made)
        raise publication_lost(publication, TAKEN_OVER)
    document = to_document({**publication_to_record(publication), **layers_to_record(layers)}, "generation")
    try:
        uninterrupted(lambda: db[PUBLICATIONS].insert_one(document))
    except DuplicateKeyError:
        winner = db[PUBLICATIONS].find_one({"_id": publication.generation}) or {}
        # A retry of the driver after a lost answer finds its own document.
        if winner.get("run_id") != publication.run_id:
            drop(db, made)
            raise publication_lost(publication, f"run {winner.get('run_id')} published it first") from None
    except PyMongoError as error:
        # Do not drop the collection: the document may have arrived, and then it is published.
        raise StoreUnavailable(
            f"the connection broke while run {publication.run_id} published generation {publication.generation}, so "
            f"it is unknown whether it is published: {reason_of(error)}",
            "Check with: python -m jobs status. If the generation is not published, run the same command again.",
        ) from None
    # It is published: the next publication makes up for failures from here on.
    with suppress(PyMongoError):
        move_view(db)
        show_by_merchant(db)
        clear(db)


def _is_closed(db: Database[Document], run_id: int) -> bool:
    """Whether another run has taken over run `run_id`, even without publishing."""
    closed = {"$or": [{"_id": {"$gt": run_id}}, {"_id": run_id, "ended_at": {"$ne": None}}]}
    return db["summary_runs"].find_one(closed, {"_id": True}) is not None


def uninterrupted(call: Callable[[], T]) -> T:
    """Run `call` on another thread and wait for its result, despite exceptions raised here meanwhile.

    Otherwise a signal's exception would break the connection and leave the result on the server unknown.
    """
    outcome: Future[T] = Future()
    wanted = threading.Event()  # an exception before it is set prevents the call

    def work() -> None:
        wanted.wait()
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, name="announcing", daemon=True).start()
    raised: BaseException | None = None
    while True:
        try:  # around every call of this loop, as a signal's exception may be raised after any of them
            wanted.set()
            wait([outcome])
            break
        except BaseException as error:
            raised = error
    if raised is not None:
        raise raised
    return outcome.result()


def drop(db: Database[Document], name: str | None) -> None:
    """Drop the collection `name`, if there is one and the server answers."""
    with suppress(PyMongoError):
        if name is not None:
            db.drop_collection(name)


def _documents(
    modes: list[str],
    keys: list[str],
    merchant_ids: list[str | None],
    amounts: list[int],
    counts: list[int],
    starts_ms: list[int],
    ends_ms: list[int],
) -> list[Document]:
    """The documents of some summaries, whose columns are in the order of `SUMMARY_COLUMNS`."""
    instants = {ms: DatetimeMS(ms) for ms in {*starts_ms, *ends_ms}}  # far fewer periods than summaries
    return [
        {
            "mode": mode,
            "key": key,
            "merchant_id": merchant_id,
            "amount": amount,
            "count": count,
            "period_start": instants[start_ms],
            "period_end": instants[end_ms],
        }
        for mode, key, merchant_id, amount, count, start_ms, end_ms in zip(
            modes, keys, merchant_ids, map(Int64, amounts), map(Int64, counts), starts_ms, ends_ms, strict=True
        )
    ]
