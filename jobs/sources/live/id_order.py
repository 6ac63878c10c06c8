"""Queries for all documents after an `_id`, in MongoDB's order of all BSON types."""

from __future__ import annotations

import math
from typing import Any, Final

import bson
from bson import Decimal128
from bson.raw_bson import RawBSONDocument

from core.errors import SourceError
from jobs.sources.live.connecting import AS_STORED, Document

# https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/; no `_id` is an array.
TYPES_IN_ORDER: Final = (
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
"""Aliases and type bytes of the types that are comparable with each other, in sort order."""
_NOT_IN_FERRETDB: Final = frozenset({"minKey", "undefined", "symbol", "dbPointer", "javascript", "javascriptWithScope"})
"""Types that FerretDB does not support."""
TYPE_NAMES: Final = tuple(name for names, _ in TYPES_IN_ORDER for name in names)
_ID: Final = b"_id\0"
_FIXED_SIZES: Final = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0,
}  # fmt: skip
_SIZES_MORE_THAN_LENGTH: Final = {0x02: 4, 0x0D: 4, 0x0E: 4, 0x03: 0, 0x04: 0, 0x0F: 0, 0x05: 5, 0x0C: 16}
_REGEX: Final = 0x0B


def is_nan(value: Any) -> bool:
    """Whether `value` is NaN: it sorts before all other numbers, but no comparison with it holds."""
    return (isinstance(value, float) and math.isnan(value)) or (
        isinstance(value, Decimal128) and value.to_decimal().is_nan()
    )


def id_of(raw: bytes) -> bytes:
    """The raw ``_id`` of a BSON document: its type byte and its value.

    :raises SourceError: the document does not begin with its ``_id``, which is the first field on every server.
    """
    if raw[5:9] != _ID:
        raise SourceError(
            "the server sent a document that does not begin with its _id", "Read it with one server only."
        )
    kind, at = raw[4], 9
    if kind == _REGEX:
        end = raw.index(b"\0", raw.index(b"\0", at) + 1) + 1
    elif kind in _FIXED_SIZES:
        end = at + _FIXED_SIZES[kind]
    else:
        end = at + int.from_bytes(raw[at : at + 4], "little") + _SIZES_MORE_THAN_LENGTH.get(kind, 0)
    return raw[4:5] + raw[at:end]


def query_after(last: bytes, *, names_all_types: bool) -> Document:
    """The query for all documents whose ``_id`` sorts after `last`.

    :param last: a result of `id_of`.
    :param names_all_types: whether the server knows every type by name.
    """
    place = next((i for i, (_, codes) in enumerate(TYPES_IN_ORDER) if last[0] in codes), len(TYPES_IN_ORDER))
    same_type = query_after_same_type(last)
    if names_all_types:
        # A list instead of a negation, which cannot use an index.
        later = [name for names, _ in TYPES_IN_ORDER[place + 1 :] for name in names]
        return {"$or": [same_type, {"_id": {"$type": later}}]}
    up_to = [name for names, _ in TYPES_IN_ORDER[: place + 1] for name in names if name not in _NOT_IN_FERRETDB]
    return {"$or": [same_type, {"_id": {"$not": {"$type": up_to}}}]}


def query_after_same_type(last: bytes) -> Document:
    """The query for every ``_id`` of the same type that sorts after `last`.

    The value is sent unchanged as bytes: its text may not be UTF-8.
    """
    content = last[:1] + b"$gt\0" + last[1:] + b"\0"
    greater = (len(content) + 4).to_bytes(4, "little") + content
    # NaN sorts before all other numbers, but no comparison with it holds.
    return {
        "_id": {"$gte": float("-inf")} if is_nan(bson.decode(greater, AS_STORED)["$gt"]) else RawBSONDocument(greater)
    }


def can_be_sent(value: Any) -> bool:
    """Whether `value`, decoded with `AS_STORED`, can be encoded again without loss: its text is UTF-8."""
    try:
        bson.encode({"_id": value}, codec_options=AS_STORED)
    except UnicodeEncodeError:
        return False
    return True
