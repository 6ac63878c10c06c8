"""Publications and their layers: one that amends the previous publication stores only the replaced periods.

Newest first: a summary is visible unless a newer layer has replaced its period. The oldest layer has all periods, so a
whole publication is one layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pymongo import DESCENDING
from pymongo.database import Database

from core.calendar.periods import Mode
from core.stores.mongo.database import Document
from core.stores.records import Record
from core.stores.summaries import Bound, KeyRange

PUBLICATIONS: Final = "summary_publications"
MOST_RANGES: Final = 300
"""Limit of ranges of a layer, beyond which a layer of everything is written: queries exclude ranges of newer layers."""

_EVERY_SUMMARY: Final[Document] = {"mode": {"$gte": ""}}
"""All summaries, as a query that an index answers without reading them."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a publication.

    :param rows: its number of summaries, including replaced ones.
    :param ranges: its periods, ascending and disjoint; None for all.
    """

    collection: str
    rows: int
    ranges: tuple[KeyRange, ...] | None = None


@dataclass(frozen=True, slots=True)
class LayerQuery:
    """A query for visible summaries of one layer.

    :param wanted: the query for its summaries.
    :param hidden: the periods that newer layers have replaced.
    """

    collection: str
    wanted: Document
    hidden: tuple[KeyRange, ...]

    @property
    def query(self) -> Document:
        """The query for visible summaries."""
        return self.wanted | ({"$nor": [*map(_query, self.hidden)]} if self.hidden else {})


def layers_of(publication: Document) -> tuple[Layer, ...]:
    """The layers of a document of ``summary_publications``, newest first."""
    if "layers" not in publication:
        return (Layer(publication["collection"], int(publication["rows"])),)
    return tuple(
        Layer(layer["collection"], int(layer["rows"]), _ranges_from(layer["ranges"])) for layer in publication["layers"]
    )


def current_publication(db: Database[Document]) -> Document | None:
    """The document of the current publication, or None if nothing is published yet."""
    return db[PUBLICATIONS].find_one(sort=[("_id", DESCENDING)])


def newest_two(db: Database[Document]) -> list[Document]:
    """The documents of the current and the previous publication, if they exist."""
    return list(db[PUBLICATIONS].find().sort("_id", DESCENDING).limit(2))


def collections_of(newest: Iterable[Document]) -> set[str]:
    """The collections of the publications `newest`."""
    return {layer.collection for document in newest for layer in layers_of(document)}


def layers_to_record(layers: Sequence[Layer]) -> Record:
    """The `layers` in the form of the document of a publication."""
    if len(layers) == 1:
        return {"collection": layers[0].collection}
    return {
        "layers": [
            {
                "collection": layer.collection,
                "rows": layer.rows,
                "ranges": None
                if layer.ranges is None
                else [{"mode": mode.value, "first_key": first, "last_key": last} for mode, first, last in layer.ranges],
            }
            for layer in layers
        ]
    }


def layer_queries(layers: Iterable[Layer], hidden: Sequence[KeyRange] = ()) -> list[LayerQuery]:
    """Queries for all summaries of a publication, except those of `hidden`."""
    found: list[LayerQuery] = []
    for layer in layers:
        found.append(LayerQuery(layer.collection, {}, tuple(hidden)))
        hidden = (*hidden, *(layer.ranges or ()))
    return found


def layer_queries_of_mode(
    layers: Iterable[Layer], mode: Mode, first_key: Bound = None, last_key: Bound = None
) -> list[LayerQuery]:
    """Queries for the summaries of `mode` from `first_key` to `last_key` (inclusive, None for no bound)."""
    found: list[LayerQuery] = []
    hidden: list[KeyRange] = []
    bounds = {"$gte": first_key, "$lte": last_key}
    keys = {operator: key for operator, key in bounds.items() if key is not None}
    wanted: Document = {"mode": mode.value, **({"key": keys} if keys else {})}
    for layer in layers:
        concerned = [one for one in layer.ranges or () if one.mode == mode and _meets(one, first_key, last_key)]
        if layer.ranges is None or concerned:
            found.append(LayerQuery(layer.collection, wanted, tuple(hidden)))
        hidden += concerned
        if any(_spans(one, first_key, last_key) for one in concerned):
            break
    return found


def layer_queries_within(layers: Iterable[Layer], ranges: Iterable[KeyRange], overall: Mode) -> list[LayerQuery]:
    """One query for each layer: for the summaries of `ranges`, and all overall ones of the mode `overall`."""
    layers = tuple(layers)
    parts = [part for one in ranges for part in layer_queries_of_mode(layers, *one)]
    for part in layer_queries_of_mode(layers, overall):
        parts.append(replace(part, wanted={**part.wanted, "merchant_id": None}))
    queries = {
        layer.collection: [part.query for part in parts if part.collection == layer.collection] for layer in layers
    }
    return [LayerQuery(collection, {"$or": some}, ()) for collection, some in queries.items() if some]


def count_rows(db: Database[Document], layer: LayerQuery) -> int:
    """The exact number of visible summaries of a query of `layer_queries`: all minus those of hidden periods.

    The server's document count is not exact: it lags after an unclean shutdown, and always on some servers.
    """
    collection = db[layer.collection]
    stored = collection.count_documents(_EVERY_SUMMARY)
    return stored - (collection.count_documents({"$or": [*map(_query, layer.hidden)]}) if layer.hidden else 0)


def united(ranges: Iterable[KeyRange]) -> tuple[KeyRange, ...]:
    """The union of `ranges`, ascending and disjoint."""
    found: list[KeyRange] = []
    for one in sorted(ranges):
        if found and found[-1].mode == one.mode and one.first_key <= found[-1].last_key:
            found[-1] = found[-1]._replace(last_key=max(found[-1].last_key, one.last_key))
        else:
            found.append(one)
    return tuple(found)


def _ranges_from(ranges: Sequence[Document] | None) -> tuple[KeyRange, ...] | None:
    if ranges is None:
        return None
    return tuple(KeyRange(Mode(one["mode"]), one["first_key"], one["last_key"]) for one in ranges)


def _query(wanted: KeyRange) -> Document:
    return {"mode": wanted.mode.value, "key": {"$gte": wanted.first_key, "$lte": wanted.last_key}}


def _meets(one: KeyRange, first_key: Bound, last_key: Bound) -> bool:
    return (first_key is None or one.last_key >= first_key) and (last_key is None or one.first_key <= last_key)


def _spans(one: KeyRange, first_key: Bound, last_key: Bound) -> bool:
    return first_key is not None and last_key is not None and one.first_key <= first_key and last_key <= one.last_key
