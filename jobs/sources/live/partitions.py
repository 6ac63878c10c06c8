"""Splits a collection into disjoint parts that cover all documents, for cursors that read in parallel.

MongoDB compares only values of the same *class* of BSON types: ``{_id: {$gt: 0}}`` does not match strings. So each
class of `_id` that occurs is split into ranges without gaps or outer bounds, so that a concurrent insert belongs to one
of them. A further part has all other types, whether they occur or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from bson import Binary, DatetimeMS, DBRef, Decimal128, ObjectId
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from jobs.sources.live.connecting import Document
from jobs.sources.live.id_order import TYPES_IN_ORDER, can_be_sent, is_nan
from jobs.sources.live.times import TimeRange

_SAMPLES_A_PART: Final = 50
_PARTS_A_CURSOR: Final = 4
"""More parts than cursors, so that no cursor reads alone at the end."""
_NOT_KNOWN: Final = frozenset({2, 40324, 238, 59})
"""BadValue, Unrecognized pipeline stage name, NotImplemented, CommandNotFound."""


class Order(StrEnum):
    """The sort order of a part, which determines how reading is resumed."""

    ID = "_id"
    TIME = "time"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a collection.

    :param id_condition: the query on ``_id``; empty: any.
    :param rest: the query on other fields.
    :param order: the sort order.
    :param names_all_types: whether the server knows every type alias, as MongoDB does; FerretDB does not.
    """

    order: Order
    id_condition: Document = field(default_factory=dict)
    rest: Document = field(default_factory=dict)
    names_all_types: bool = True


_SPLIT: Final = ("number", "string", "object", "binData", "objectId", "date")
_CLASSES: Final = {names[0]: names for names, _ in TYPES_IN_ORDER if names[0] in _SPLIT}
"""Classes of comparable types that are split, with their aliases for ``$type``."""
_OTHERS: Final = [name for names, _ in TYPES_IN_ORDER if names[0] not in _SPLIT for name in names]
"""All other types except arrays, which `_id` cannot be."""
_CLASS_OF: Final[dict[type, str]] = {
    bool: "",
    int: "number",
    float: "number",
    Decimal128: "number",
    str: "string",
    dict: "object",
    DBRef: "object",
    bytes: "binData",
    Binary: "binData",
    ObjectId: "objectId",
    DatetimeMS: "date",
    datetime: "date",
}


def _class_of(value: Any) -> str:
    """The class of `_CLASSES` that `value` belongs to, or an empty string."""
    return next((_CLASS_OF[kind] for kind in type(value).__mro__ if kind in _CLASS_OF), "")


def id_parts(collection: Collection[Document], cursors: int) -> list[Part]:
    """Split the whole collection into parts of similar size, enough for that many cursors.

    For one cursor it is one part, sorted by ``_id`` over all types.

    :raises PyMongoError: the server does not answer, or refuses.
    """
    knows_all_types = knows_every_type(collection)
    if cursors == 1:
        return [Part(Order.ID, names_all_types=knows_all_types)]
    classes = _classes_that_occur(collection)
    borders = _borders(collection, classes, cursors)
    found = []
    for name in classes:
        types = list(_CLASSES[name] if knows_all_types else _CLASSES[name][:1])
        found += [Part(Order.ID, condition) for condition in _ranges(types, borders[name])]
    if knows_all_types:
        # A list of all other types instead of a negation, which cannot use an index.
        others = [alias for name, aliases in _CLASSES.items() if name not in classes for alias in aliases]
        rest: Document = {"$type": [*others, *_OTHERS]}
    else:
        rest = {"$not": {"$type": [_CLASSES[name][0] for name in classes]}} if classes else {}
    return [*found, Part(Order.NONE, rest)]


def within_times(parts: Iterable[Part], time_field: str, ranges: list[TimeRange]) -> list[Part]:
    """Restrict `parts` to documents whose time is in one of `ranges`."""
    conditions = [{time_field: one.condition()} for one in ranges]
    return [replace(part, rest={"$or": conditions}) for part in parts] if conditions else []


def time_parts(time_field: str, ranges: Iterable[TimeRange]) -> list[Part]:
    """A part for each of `ranges`, sorted by time; for collections with an index on the field.

    A document whose time is changed meanwhile may be read twice or not at all.
    """
    return [Part(Order.TIME, rest={time_field: one.condition()}) for one in ranges]


def _ranges(types: list[str], borders: list[Any]) -> list[Document]:
    if not borders:
        return [{"$type": types}]
    # `not >=` instead of `<`, which would not match NaN.
    first = {"$type": types, "$not": {"$gte": borders[0]}}
    middle = [{"$gte": low, "$lt": high} for low, high in pairwise(borders)]
    return [first, *middle, {"$gte": borders[-1]}]


def knows_every_type(collection: Collection[Document]) -> bool:
    """See `Part.names_all_types`."""
    try:
        collection.find_one({"_id": {"$type": _OTHERS}}, {"_id": 1})
    except OperationFailure as error:
        if error.code not in _NOT_KNOWN:
            raise
        return False
    return True


def _classes_that_occur(collection: Collection[Document]) -> list[str]:
    """The classes that get their own parts. The result affects only speed: other types are in the last part."""
    ends = [collection.find_one({}, {"_id": 1}, sort=[("_id", way)]) for way in (1, -1)]
    found = {_class_of(end["_id"]) for end in ends if end is not None}
    if len(found) > 1:
        of_type = {name: {"_id": {"$type": aliases[0]}} for name, aliases in _CLASSES.items()}
        found |= {name for name, query in of_type.items() if collection.find_one(query, {"_id": 1}) is not None}
    return [name for name in _CLASSES if name in found]


def _borders(collection: Collection[Document], classes: list[str], cursors: int) -> dict[str, list[Any]]:
    """The borders between the ranges of each class, in the server's sort order; perhaps fewer than wanted, or none."""
    none: dict[str, list[Any]] = {name: [] for name in classes}
    if not classes:
        return none
    parts = cursors * _PARTS_A_CURSOR
    try:
        # Sorted by the server, as only it knows its collation.
        pipeline: list[Document] = [
            {"$sample": {"size": parts * _SAMPLES_A_PART}},
            {"$project": {"_id": 1}},
            {"$sort": {"_id": 1}},
        ]
        sampled = [document["_id"] for document in collection.aggregate(pipeline)]
    except OperationFailure as error:
        if error.code not in _NOT_KNOWN:
            raise
        return none | {name: _borders_by_skipping(collection, name, cursors) for name in classes}
    return none | {
        name: _quantiles([one for one in sampled if _class_of(one) == name], parts, len(sampled)) for name in classes
    }


def _quantiles(values: list[Any], parts: int, of: int) -> list[Any]:
    """Borders from sorted `values`, so that all `of` values of all classes make `parts` ranges."""
    wanted = max(1, round(parts * len(values) / of)) if of else 1
    chosen = [values[i * len(values) // wanted] for i in range(1, wanted)]
    distinct = [one for i, one in enumerate(chosen) if i == 0 or one != chosen[i - 1]]
    return [one for one in distinct if not is_nan(one) and can_be_sent(one)]


def _borders_by_skipping(collection: Collection[Document], name: str, parts: int) -> list[Any]:
    """Borders by skipping documents, each from the previous one, so that they ascend despite concurrent deletes."""
    condition: Document = {"$type": _CLASSES[name][0]}
    step = max(1, collection.count_documents({"_id": condition}) // parts)
    borders: list[Any] = []
    while len(borders) < parts - 1:
        found = collection.find_one({"_id": condition}, {"_id": 1}, sort=[("_id", 1)], skip=step)
        if found is None or not can_be_sent(found["_id"]):
            break
        if not is_nan(found["_id"]):
            borders.append(found["_id"])
        condition = {"$gt": found["_id"]}
    return borders
