"""How a collection is cut into parts that cursors read side by side: all documents, each in one part.

Comparisons hold only between values of one *class* of BSON types: ``{_id: {$gt: 0}}`` leaves out every string. So each
class of `_id` that occurs is cut into ranges, whose ends are open: what is inserted meanwhile at either end, or
between, belongs to one of them. One more part holds every other type, whether it occurs or not.
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
from jobs.sources.live.id_order import can_be_sent, is_nan
from jobs.sources.live.times import TimeRange

_SAMPLES_A_PART: Final = 50
_PARTS_A_CURSOR: Final = 4
"""More parts than cursors, where they cost nothing, so that no cursor is left alone at the end."""
_NOT_KNOWN: Final = frozenset({2, 40324, 238, 59})
"""BadValue, Unrecognized pipeline stage name, NotImplemented, CommandNotFound."""


class Order(StrEnum):
    """What the documents of a part are sorted by, and so how its reading is resumed."""

    ID = "_id"
    TIME = "time"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Part:
    """Some documents of a collection.

    :param id_condition: what they fulfil in ``_id``; empty: any.
    :param rest: what else they fulfil.
    :param order: what they are sorted by.
    :param names_all_types: whether their server knows every type by name, as MongoDB does; FerretDB does not.
    """

    order: Order
    id_condition: Document = field(default_factory=dict)
    rest: Document = field(default_factory=dict)
    names_all_types: bool = True


_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "number": ("number",),
    "string": ("string", "symbol"),
    "object": ("object",),
    "binData": ("binData",),
    "objectId": ("objectId",),
    "date": ("date",),
}
"""Classes of types that compare with one another, by their aliases for ``$type``; those that are worth cutting up."""
_OTHERS: Final = (
    "bool", "dbPointer", "javascript", "javascriptWithScope", "maxKey", "minKey", "null", "regex", "timestamp",
    "undefined",
)  # fmt: skip
"""All types there are but arrays, which no `_id` can be."""
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
    """The whole collection in parts of about the same size, enough for so many cursors.

    For one cursor it stays whole, in the order of ``_id`` over all types.

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
        # A list of all others and not a negation, which no index serves.
        others = [alias for name, aliases in _CLASSES.items() if name not in classes for alias in aliases]
        rest: Document = {"$type": [*others, *_OTHERS]}
    else:
        rest = {"$not": {"$type": [_CLASSES[name][0] for name in classes]}} if classes else {}
    return [*found, Part(Order.NONE, rest)]


def within_times(parts: Iterable[Part], time_field: str, ranges: list[TimeRange]) -> list[Part]:
    """Of each of `parts` the documents whose time lies in one of `ranges`."""
    conditions = [{time_field: one.condition()} for one in ranges]
    return [replace(part, rest={"$or": conditions}) for part in parts] if conditions else []


def time_parts(time_field: str, ranges: Iterable[TimeRange]) -> list[Part]:
    """A part for each of `ranges`, sorted by time; for collections with an index on the field.

    `_id` plays no role, but a document whose time is changed while it is read may be read twice or not at all.
    """
    return [Part(Order.TIME, rest={time_field: one.condition()}) for one in ranges]


def _ranges(types: list[str], borders: list[Any]) -> list[Document]:
    if not borders:
        return [{"$type": types}]
    # What is not at or above the first border, and not what is below it: NaN is neither.
    first = {"$type": types, "$not": {"$gte": borders[0]}}
    middle = [{"$gte": low, "$lt": high} for low, high in pairwise(borders)]
    return [first, *middle, {"$gte": borders[-1]}]


def knows_every_type(collection: Collection[Document]) -> bool:
    """See `Part.names_all_types`."""
    try:
        collection.find_one({"_id": {"$type": list(_OTHERS)}}, {"_id": 1})
    except OperationFailure as error:
        if error.code not in _NOT_KNOWN:
            raise
        return False
    return True


def _classes_that_occur(collection: Collection[Document]) -> list[str]:
    """Which classes are worth a part of their own. That none is forgotten does not depend on it."""
    ends = [collection.find_one({}, {"_id": 1}, sort=[("_id", way)]) for way in (1, -1)]
    found = {_class_of(end["_id"]) for end in ends if end is not None}
    if len(found) > 1:
        found |= {name for name, (alias, *_) in _CLASSES.items() if _has_type(collection, alias)}
    return [name for name in _CLASSES if name in found]


def _has_type(collection: Collection[Document], alias: str) -> bool:
    return collection.find_one({"_id": {"$type": alias}}, {"_id": 1}) is not None


def _borders(collection: Collection[Document], classes: list[str], cursors: int) -> dict[str, list[Any]]:
    """For each class where its ranges meet, ascending as the server sorts; fewer, or none, where that is not found."""
    none: dict[str, list[Any]] = {name: [] for name in classes}
    if not classes:
        return none
    parts = cursors * _PARTS_A_CURSOR
    try:
        # Sorted by the server: only it knows how it compares strings.
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
    """Borders among `values`, which are sorted; `parts` ranges are made of all `of` values of every class."""
    wanted = max(1, round(parts * len(values) / of)) if of else 1
    chosen = [values[i * len(values) // wanted] for i in range(1, wanted)]
    distinct = [one for i, one in enumerate(chosen) if i == 0 or one != chosen[i - 1]]
    return [one for one in distinct if not is_nan(one) and can_be_sent(one)]


def _borders_by_skipping(collection: Collection[Document], name: str, parts: int) -> list[Any]:
    """Borders found by stepping over documents, each from the one before, so that they ascend whatever is deleted."""
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
