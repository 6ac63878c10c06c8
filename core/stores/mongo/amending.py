"""Amending on MongoDB: the changed periods become a new layer over those of the previous publication.

A new layer absorbs the visible summaries of older layers up to twice its size. So each layer has more than twice the
summaries of the next newer one: there are few layers, and a summary is rarely copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from pymongo.database import Database

from core.stores.generations import generation_name, publication_lost, require_amended, require_next
from core.stores.mongo.database import Document
from core.stores.mongo.idempotent_inserts import insert_batch
from core.stores.mongo.layers import (
    MOST_RANGES,
    Layer,
    count_rows,
    current_publication,
    layer_queries,
    layers_of,
    united,
)
from core.stores.mongo.publishing import drop, fill, insert_publication, publish
from core.stores.summaries import KeyRange, Publication

if TYPE_CHECKING:
    import polars as pl

_BATCH_ROWS: Final = 10_000


def amend(db: Database[Document], publication: Publication, rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
    """Publish `rows` instead of the current summaries of `ranges`, atomically; other periods do not change.

    :raises PublicationLost: another run published that generation first.
    :raises ConservationBroken: the store would have another number of rows than ``publication.rows``.
    :raises StoreUnavailable: see `publish`.
    :raises PyMongoError: the server does not answer or refuses; the previous publication is current.
    """
    from core.stores.frames import ordered

    before = current_publication(db)
    require_next(publication, before["_id"] if before else 0)
    if before is None:
        require_amended(publication, rows.height)
        publish(db, publication, rows)
        return
    layers = layers_of(before)
    unchanged = sum(count_rows(db, layer) for layer in layer_queries(layers, ranges))
    require_amended(publication, unchanged + rows.height)
    if not ranges:
        insert_publication(db, publication, layers)
        return
    name = generation_name(publication.generation, publication.run_id)
    taken, left = _split(layers, rows.height, ranges)
    try:
        fill(db, name, [ordered(rows)])
        copied = sum(_copy(db, part.collection, part.query, name) for part in layer_queries(taken, ranges))
        stored = db[name].count_documents({})
        if stored != rows.height + copied or (not left and stored != publication.rows):
            raise publication_lost(publication, f"its collection has {stored} other rows than were written")
    except BaseException:
        drop(db, name)
        raise
    new = Layer(name, stored, _ranges(taken, ranges) if left else None)
    insert_publication(db, publication, (new, *left), made=name)


def _split(layers: Sequence[Layer], rows: int, ranges: Sequence[KeyRange]) -> tuple[Sequence[Layer], Sequence[Layer]]:
    """(The layers that a new one with `rows` rows absorbs, the remaining layers)."""
    taken = 0
    while taken < len(layers) and layers[taken].rows <= 2 * rows:
        rows += layers[taken].rows
        taken += 1
    if len(_ranges(layers[:taken], ranges)) > MOST_RANGES:
        taken = len(layers)
    return layers[:taken], layers[taken:]


def _ranges(taken: Sequence[Layer], ranges: Sequence[KeyRange]) -> tuple[KeyRange, ...]:
    return united([*ranges, *(one for layer in taken for one in layer.ranges or ())])


def _copy(db: Database[Document], source: str, query: Document, target: str) -> int:
    """Copy the summaries of `query`; returns their number."""
    copied = 0
    with db[source].find(query, {"_id": False}, batch_size=_BATCH_ROWS) as found:
        while batch := list(islice(found, _BATCH_ROWS)):
            insert_batch(db[target], batch)
            copied += len(batch)
    return copied
