"""Queries for documents without a valid date, which queries by day do not match."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bson import DatetimeMS, Int64, ObjectId

from jobs.decode.plan import integer_of
from jobs.sources.live.connecting import Document
from jobs.sources.live.id_order import TYPE_NAMES
from jobs.sources.live.times import TimeRange

_NO_DATES: Final = [name for name in TYPE_NAMES if name != "date"]
"""All types except dates, and arrays, which are not indexed themselves."""


def undated_query(
    time_field: str, named_ms: tuple[int, int], ranges: Sequence[TimeRange], *, names_all_types: bool
) -> Document:
    """A query for the documents whose time is not a date in the calendar.

    Each condition can use an index on the field. An array of dates is matched for certain only if a date is in
    `ranges`, as an index has the elements of an array.

    :param named_ms: the half-open range of the calendar.
    :param ranges: ranges that are read anyway; their documents are excluded.
    :param names_all_types: whether the server knows every type alias, as MongoDB does; FerretDB does not.
    """
    if names_all_types:
        # A list of types instead of a negation, which would scan the whole index. A missing field matches null.
        found: list[Document] = [{time_field: None}, {time_field: {"$type": _NO_DATES}}, {time_field: []}]
    else:
        found = [{time_field: {"$not": {"$type": "date"}}}, {time_field: {"$type": "array"}}]
    found += [{time_field: {"$lt": DatetimeMS(named_ms[0])}}, {time_field: {"$gte": DatetimeMS(named_ms[1])}}]
    found += [{time_field: one.bounds() | {"$type": "array"}} for one in ranges]
    read_there = {"$nor": [{time_field: one.condition()} for one in ranges]} if ranges else {}
    return {"$or": found} | read_there


def where_condition(where: Iterable[tuple[str, str]]) -> Document:
    """The filters `where` of `jobs.decode.plan.Fields` as a query; it also matches values inside arrays."""
    conditions = [{path: {"$in": _values_of(value), "$exists": True}} for path, value in where]
    return {"$and": conditions} if conditions else {}


def _values_of(value: str) -> list[Any]:
    literals: dict[str, list[Any]] = {"true": [True], "false": [False], "null": [None]}
    found = [value, *literals.get(value, [])]
    if (number := integer_of(value)) is not None:
        found.append(Int64(number))
    if ObjectId.is_valid(value):
        found.append(ObjectId(value))
    return found
