"""The layers of a publication: a publication that amends the one before stores only what it replaces.

Newest first: a summary counts unless a newer layer has replaced its period. The oldest layer has all periods, so what
was published as a whole is one layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from core.calendar.periods import Mode
from core.stores.mongo.database import Document
from core.stores.records import Record
from core.stores.summaries import KeyRange

MOST_RANGES: Final = 300
"""A layer that would have more is made one of everything instead: every query leaves out the ranges of newer layers."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Some summaries of a publication.

    :param collection: where they are.
    :param rows: how many these are, also those that newer layers have replaced.
    :param ranges: the periods that it has, ascending and not overlapping; None for all.
    """

    collection: str
    rows: int
    ranges: tuple[KeyRange, ...] | None = None


@dataclass(frozen=True, slots=True)
class LayerQuery:
    """What to look for in one collection: the summaries that `query` finds."""

    collection: str
    query: Document


def layers_of(publication: Document) -> tuple[Layer, ...]:
    """The layers of a document of ``summary_publications``, newest first."""
    if "layers" not in publication:
        return (Layer(publication["collection"], int(publication["rows"])),)
    return tuple(
        Layer(layer["collection"], int(layer["rows"]), _ranges_from(layer["ranges"])) for layer in publication["layers"]
    )


def layers_to_record(layers: Sequence[Layer]) -> Record:
    """What the document of a publication says of its `layers`."""
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


def layer_queries(layers: Iterable[Layer]) -> list[LayerQuery]:
    """Where all summaries of a publication are."""
    found: list[LayerQuery] = []
    hidden: list[KeyRange] = []
    for layer in layers:
        found.append(LayerQuery(layer.collection, outside(hidden)))
        hidden += layer.ranges or ()
    return found


def layer_queries_of_mode(
    layers: Iterable[Layer], mode: Mode, first_key: str | None = None, last_key: str | None = None
) -> list[LayerQuery]:
    """Where the summaries of `mode` from `first_key` to `last_key` (inclusive, None for no bound) are."""
    found: list[LayerQuery] = []
    hidden: list[KeyRange] = []
    bounds = {"$gte": first_key, "$lte": last_key}
    wanted = {operator: key for operator, key in bounds.items() if key is not None}
    query: Document = {"mode": mode.value, **({"key": wanted} if wanted else {})}
    for layer in layers:
        concerned = [one for one in layer.ranges or () if one.mode == mode and _meets(one, first_key, last_key)]
        if layer.ranges is None or concerned:
            found.append(LayerQuery(layer.collection, query | outside(hidden)))
        hidden += concerned
        if any(_spans(one, first_key, last_key) for one in concerned):
            break
    return found


def inside(ranges: Iterable[KeyRange]) -> Document:
    """A query for the summaries of `ranges`, which are not none."""
    return {"$or": [_query(one) for one in ranges]}


def outside(ranges: Iterable[KeyRange]) -> Document:
    """A query for the summaries of none of `ranges`."""
    found = [_query(one) for one in ranges]
    return {"$nor": found} if found else {}


def united(ranges: Iterable[KeyRange]) -> tuple[KeyRange, ...]:
    """The periods of `ranges`, ascending, as ranges that do not overlap."""
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


def _meets(one: KeyRange, first_key: str | None, last_key: str | None) -> bool:
    return (first_key is None or one.last_key >= first_key) and (last_key is None or one.first_key <= last_key)


def _spans(one: KeyRange, first_key: str | None, last_key: str | None) -> bool:
    return first_key is not None and last_key is not None and one.first_key <= first_key and last_key <= one.last_key
