"""What a value is, and what a run would make of it: the rules of `jobs.decode.judge`, for Python values.

A test compares the two on every kind of source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bson import DatetimeMS, Decimal128, Int64, ObjectId

from jobs.decode.reasons import (
    BOOLEAN_VALUE,
    EMPTY,
    FRACTION,
    INFINITY,
    NAN,
    NOT_UTF8,
    NULL_VALUE,
    OUT_OF_CALENDAR,
    REASON_NAMES,
    TEXT,
    TOO_LARGE,
    UNREADABLE_VALUE,
    WRONG_TYPE,
)
from jobs.inspection.first_documents import Cell, OtherType

_EXACT_DOUBLE: Final = 2**53
_MOST_DIGITS: Final = 4000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECT_ID: Final = re.compile(r"ObjectId\([0-9a-fA-F]{24}\)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
)
_NAMES: Final[Mapping[type, str]] = {
    bool: "boolean",
    Int64: "int64",
    float: "double",
    Decimal128: "Decimal128",
    str: "string",
    ObjectId: "ObjectId",
    DatetimeMS: "date",
    datetime: "date",
    type(None): "null",
    list: "array",
    dict: "document",
    bytes: "binary",
}


def type_name(value: Any) -> str:
    """What the type of `value` is called; of a cell of a CSV file, what its text looks like."""
    if isinstance(value, OtherType):
        return value.kind
    if isinstance(value, Cell):
        shapes = {"ObjectId": _OBJECT_ID, "integer": _INTEGER, "number": _NUMBER, "instant": _INSTANT}
        return next((name for name, shape in shapes.items() if shape.fullmatch(value)), "text")
    if type(value) is int:
        return "int32" if _fits(value, 32) else "int64" if _fits(value, 64) else "integer beyond int64"
    return _NAMES.get(type(value), type(value).__name__)


def _fits(value: int, bits: int) -> bool:
    return -(1 << bits - 1) <= value < 1 << bits - 1


def _wrong(value: Any) -> int:
    if value is None:
        return NULL_VALUE
    if isinstance(value, bool):
        return BOOLEAN_VALUE
    return TEXT if isinstance(value, str) else WRONG_TYPE


def _time(value: Any, named_ms: tuple[int, int]) -> int:
    if isinstance(value, Cell):
        if not _INSTANT.fullmatch(value):
            return UNREADABLE_VALUE
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return UNREADABLE_VALUE
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        value = DatetimeMS((aware - _EPOCH).days * 86_400_000 + (aware - _EPOCH).seconds * 1000)
    if not isinstance(value, DatetimeMS):
        return _wrong(value)
    return 0 if named_ms[0] <= int(value) < named_ms[1] else OUT_OF_CALENDAR


def _merchant(value: Any, _: tuple[int, int]) -> int:
    if isinstance(value, ObjectId):
        return 0
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return NOT_UTF8
        return 0 if value else EMPTY
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 if _fits(value, 64) else WRONG_TYPE
    return _wrong(value)


def _amount(value: Any, _: tuple[int, int]) -> int:
    if isinstance(value, Cell):
        return _amount_of_cell(value)
    if isinstance(value, bool):
        return BOOLEAN_VALUE
    if isinstance(value, float):
        return _amount_of_double(value)
    if isinstance(value, Decimal128):
        return _amount_of_decimal(value.to_decimal())
    if isinstance(value, int):
        return 0 if _fits(value, 64) else TOO_LARGE
    return _wrong(value)


def _amount_of_double(value: float) -> int:
    if math.isnan(value):
        return NAN
    if math.isinf(value):
        return INFINITY
    if abs(value) > _EXACT_DOUBLE:
        return TOO_LARGE
    return 0 if value.is_integer() else FRACTION


def _amount_of_decimal(value: Decimal) -> int:
    if value.is_nan():
        return NAN
    if value.is_infinite():
        return INFINITY
    if value and value.adjusted() > 30:
        return TOO_LARGE
    if value != value.to_integral_value():
        return FRACTION
    return 0 if _fits(int(value), 64) else TOO_LARGE


def _amount_of_cell(text: str) -> int:
    if text in ("true", "false"):
        return BOOLEAN_VALUE
    if _INTEGER.fullmatch(text):
        return 0 if len(text) < _MOST_DIGITS and _fits(int(text), 64) else TOO_LARGE
    if not _NUMBER.fullmatch(text):
        return {"nan": NAN, "inf": INFINITY, "infinity": INFINITY}.get(text.lower().lstrip("+-"), TEXT)
    try:
        reason = _amount_of_decimal(Decimal(text))
    except InvalidOperation:
        return TOO_LARGE
    return TOO_LARGE if not reason and abs(Decimal(text)) > _EXACT_DOUBLE else reason


_RULES: Final[Mapping[str, Callable[[Any, tuple[int, int]], int]]] = {
    "time": _time,
    "merchant": _merchant,
    "amount": _amount,
}


def reason_against(role: str, value: Any, named_ms: tuple[int, int]) -> str | None:
    """Why a run would reject a document for this value; None when it would not.

    :param role: ``time``, ``merchant`` or ``amount``.
    :param named_ms: the first instant that the calendar can name, and the first that it no longer can.
    """
    reason = _RULES[role](value, named_ms)
    return REASON_NAMES[reason] if reason else None
