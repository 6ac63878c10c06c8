"""Exact counts of summaries: each layer without the replaced rows.

The server's document count is not exact: it lags after an unclean shutdown, and always on some servers.
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
    """The visible part of a layer.

    :param collection: its collection.
    :param hidden: the replaced periods.
    """

    collection: str
    hidden: tuple[KeyRange, ...]


def counted_layers(layers: Iterable[Layer], hidden: Sequence[KeyRange] = ()) -> list[CountedLayer]:
    """The visible part of each of `layers`, newest first, if the periods `hidden` are replaced."""
    found: list[CountedLayer] = []
    for layer in layers:
        found.append(CountedLayer(layer.collection, tuple(hidden)))
        hidden = (*hidden, *(layer.ranges or ()))
    return found


def count_rows(db: Database[Document], shown: CountedLayer) -> int:
    """The number of visible summaries: all minus those of replaced periods."""
    collection = db[shown.collection]
    there = collection.count_documents(_EVERY_SUMMARY)
    return there - (collection.count_documents(inside(shown.hidden)) if shown.hidden else 0)
