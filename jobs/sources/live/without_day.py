"""Documents that belong to no day: queries for days do not find them, so they are looked for by type and by bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from bson import DatetimeMS, Int64, ObjectId

from jobs.sources.live.connecting import Document
from jobs.sources.live.times import TimeRange

_NO_DATES: Final = (
    "bool", "binData", "dbPointer", "javascript", "javascriptWithScope", "maxKey", "minKey", "null", "number", "object",
    "objectId", "regex", "string", "symbol", "timestamp", "undefined",
)  # fmt: skip
"""All types there are but dates, and arrays, which have no place of their own in an index."""
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")


def without_day(
    time_field: str, named_ms: tuple[int, int], ranges: Sequence[TimeRange], *, names_all_types: bool
) -> Document:
    """A query for the documents whose time is no date that the calendar names.

    An index on the field serves each of its conditions. An array that holds nothing but dates is found for certain by
    those in `ranges` only: of an array an index has the elements.

    :param named_ms: the first instant that the calendar names, and the first that it names no longer.
    :param ranges: what else is read; nothing is found that is found there.
    :param names_all_types: whether the server knows every type by name, as MongoDB does; FerretDB does not.
    """
    if names_all_types:
        # A list of all others and not a negation, for which the whole index would be read. Missing is null.
        found: list[Document] = [{time_field: None}, {time_field: {"$type": list(_NO_DATES)}}, {time_field: []}]
    else:
        found = [{time_field: {"$not": {"$type": "date"}}}, {time_field: {"$type": "array"}}]
    found += [{time_field: {"$lt": DatetimeMS(named_ms[0])}}, {time_field: {"$gte": DatetimeMS(named_ms[1])}}]
    found += [{time_field: one.bounds() | {"$type": "array"}} for one in ranges]
    read_there = {"$nor": [{time_field: one.condition()} for one in ranges]} if ranges else {}
    return {"$or": found} | read_there


def where_condition(where: Iterable[tuple[str, str]]) -> Document:
    """The filters `where` of `jobs.decode.plan.Fields` as a query; it finds values inside arrays, too."""
    conditions = [{path: {"$in": _meanings(value), "$exists": True}} for path, value in where]
    return {"$and": conditions} if conditions else {}


def _meanings(value: str) -> list[Any]:
    literals: dict[str, list[Any]] = {"true": [True], "false": [False], "null": [None]}
    found = [value, *literals.get(value, [])]
    if _INTEGER.fullmatch(value) and -(2**63) <= int(value) < 2**63:
        found.append(Int64(value))
    if ObjectId.is_valid(value):
        found.append(ObjectId(value))
    return found
