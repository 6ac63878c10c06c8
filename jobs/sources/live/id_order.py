"""The order of `_id` over all types: what comes after one, in words that a query understands."""

from __future__ import annotations

import math
from typing import Any, Final

import bson
from bson import Decimal128

from core.errors import SourceError
from jobs.sources.live.connecting import AS_STORED, Document

# https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/; no `_id` is an array.
_IN_ORDER: Final = (
    (("minKey",), b"\xff"),
    (("undefined",), b"\x06"),
    (("null",), b"\x0a"),
    (("number",), b"\x01\x10\x12\x13"),
    (("string", "symbol"), b"\x02\x0e"),
    (("object",), b"\x03"),
    (("binData",), b"\x05"),
    (("objectId",), b"\x07"),
    (("bool",), b"\x08"),
    (("date",), b"\x09"),
    (("timestamp",), b"\x11"),
    (("regex",), b"\x0b"),
    (("dbPointer",), b"\x0c"),
    (("javascript",), b"\x0d"),
    (("javascriptWithScope",), b"\x0f"),
    (("maxKey",), b"\x7f"),
)
"""Aliases and type bytes of what compares with one another, lowest first."""
_NOT_IN_FERRETDB: Final = frozenset({"minKey", "undefined", "symbol", "dbPointer", "javascript", "javascriptWithScope"})
"""Types that it can neither hold nor name."""
_ID: Final = b"_id\0"


def is_nan(value: Any) -> bool:
    """Whether no comparison holds for `value`, although it is a number and comes before all others."""
    return (isinstance(value, float) and math.isnan(value)) or (
        isinstance(value, Decimal128) and value.to_decimal().is_nan()
    )


def after(raw: bytes, *, names_all_types: bool) -> Document:
    """The condition for all documents after `raw` in the order of ``_id``.

    :param raw: a document as the server sent it.
    :param names_all_types: whether the server knows every type by name.
    :raises SourceError: the document does not begin with its ``_id``, as those of every server do.
    """
    if raw[5:9] != _ID:
        raise SourceError(
            "the server sent a document that does not begin with its _id", "Read it with one server only."
        )
    place = next((i for i, (_, codes) in enumerate(_IN_ORDER) if raw[4] in codes), len(_IN_ORDER))
    same_type = {"_id": after_value(bson.decode(raw, AS_STORED)["_id"])}
    if names_all_types:
        # A list and not a negation, which no index serves.
        return {"$or": [same_type, {"_id": {"$type": [name for names, _ in _IN_ORDER[place + 1 :] for name in names]}}]}
    up_to = [name for names, _ in _IN_ORDER[: place + 1] for name in names if name not in _NOT_IN_FERRETDB]
    return {"$or": [same_type, {"_id": {"$not": {"$type": up_to}}}]}


def after_value(value: Any) -> Document:
    """The condition for every ``_id`` of the same type that comes after `value`."""
    # NaN comes before all other numbers, but no comparison with it holds.
    return {"$gte": float("-inf")} if is_nan(value) else {"$gt": value}
