"""Counting the summaries that there really are, at the cost of counting those that newer layers have replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pymongo.database import Database

from core.stores.mongo.database import Document
from core.stores.mongo.layers import Layer, inside
from core.stores.summaries import KeyRange


@dataclass(frozen=True, slots=True)
class Shown:
    """What counts of one layer.

    :param collection: where its summaries are.
    :param filled_with: how many these were when it was published.
    :param hidden: the periods that do not count.
    """

    collection: str
    filled_with: int
    hidden: tuple[KeyRange, ...]


def shown_of(layers: Iterable[Layer], hidden: Sequence[KeyRange] = ()) -> list[Shown]:
    """What counts of each of `layers`, newest first, when the periods `hidden` do not."""
    found: list[Shown] = []
    for layer in layers:
        found.append(Shown(layer.collection, layer.rows, tuple(hidden)))
        hidden = (*hidden, *(layer.ranges or ()))
    return found


def count_shown(db: Database[Document], shown: Shown) -> int:
    """How many summaries count; the others are counted by index, since the server would read all of these."""
    collection = db[shown.collection]
    # From the server's metadata, hence at once; but after a crash of the server these may be wrong.
    there = collection.estimated_document_count()
    if there != shown.filled_with:
        there = collection.count_documents({})
    return there - (collection.count_documents(inside(shown.hidden)) if shown.hidden else 0)
