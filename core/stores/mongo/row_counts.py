"""Exact counts of summaries: each layer without the rows that newer layers have replaced.

The server's own number of documents is no count: after an unclean stop, and always on some servers, it lags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo.database import Database

from core.stores.mongo.database import Document
from core.stores.mongo.layers import Layer, inside
from core.stores.summaries import KeyRange

_EVERY_SUMMARY: Final[Document] = {"mode": {"$gte": ""}}
"""All summaries, as a query that an index answers without reading them."""


@dataclass(frozen=True, slots=True)
class CountedLayer:
    """The part of a layer that counts.

    :param collection: where its summaries are.
    :param hidden: the periods that do not count.
    """

    collection: str
    hidden: tuple[KeyRange, ...]


def counted_layers(layers: Iterable[Layer], hidden: Sequence[KeyRange] = ()) -> list[CountedLayer]:
    """What counts of each of `layers`, newest first, when the periods `hidden` do not."""
    found: list[CountedLayer] = []
    for layer in layers:
        found.append(CountedLayer(layer.collection, tuple(hidden)))
        hidden = (*hidden, *(layer.ranges or ()))
    return found


def count_rows(db: Database[Document], shown: CountedLayer) -> int:
    """How many summaries count: all, less those of the periods that do not."""
    collection = db[shown.collection]
    there = collection.count_documents(_EVERY_SUMMARY)
    return there - (collection.count_documents(inside(shown.hidden)) if shown.hidden else 0)
