"""The rules of `jobs.decode.classify` for Python values.

A test compares the two on every kind of source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bson import DatetimeMS, Decimal128, Int64, ObjectId

from core.calendar.digits import ascii_digits
from core.calendar.zones import zone_named
from jobs.decode import reasons as why
from jobs.decode.formats import EPOCH_MS, EPOCH_S, ISO, Formats, steps_of
from jobs.inspection.first_documents import Cell, OtherType

_EXACT_DOUBLE: Final = 2**53
_MOST_DIGITS: Final = 4000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
OBJECT_ID: Final = re.compile(r"ObjectId\(([0-9a-fA-F]{24})\)")
"""The form of mongoexport's CSV; the group has the digits."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LOCAL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?")
_PLAIN: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_PERSIAN: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٫", "0123456789.")
_EPOCHS: Final[Mapping[str | None, int]] = {EPOCH_S: 3, EPOCH_MS: 0}
_DATE_LENGTH: Final = 10
_HOURS: Final = {ord("H"), ord("I")}
_LONGEST_EPOCH: Final = 19
_MOST_PLACES: Final = 30
OTHER: Final = 0
"""Not a reason itself: the type is the reason."""
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
    """The name of the type of `value`; for a CSV cell, the type that its text resembles."""
    if isinstance(value, OtherType):
        return value.kind
    if isinstance(value, Cell):
        shapes = {"ObjectId": OBJECT_ID, "integer": _INTEGER, "number": _NUMBER, "instant": _INSTANT}
        return next((name for name, shape in shapes.items() if shape.fullmatch(value)), "text")
    if type(value) is int:
        return "int32" if _fits(value, 32) else "int64" if _fits(value, 64) else "integer beyond int64"
    return _NAMES.get(type(value), type(value).__name__)


def _fits(value: int, bits: int) -> bool:
    return -(1 << bits - 1) <= value < 1 << bits - 1


def _wrong(value: Any) -> int:
    if value is None:
        return why.NULL_VALUE
    if isinstance(value, bool):
        return why.BOOLEAN_VALUE
    return why.TEXT if isinstance(value, str) else why.WRONG_TYPE


def _time(value: Any, named_ms: tuple[int, int], formats: Formats) -> int:
    found: Decimal | datetime | int = OTHER
    if isinstance(value, DatetimeMS):
        found = Decimal(int(value))
    elif isinstance(value, datetime):
        found = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, str) and (isinstance(value, Cell) or formats.time_format is not None):
        found = _instant_of_text(value, formats)
    elif formats.time_format in _EPOCHS:
        found = _number(value, formats)
        found = found.scaleb(_EPOCHS[formats.time_format]) if isinstance(found, Decimal) else found
    if isinstance(found, int):
        return why.OUT_OF_CALENDAR if found == why.TOO_LARGE else found or _wrong(value)
    since = (found - _EPOCH) / timedelta(milliseconds=1) if isinstance(found, datetime) else found
    return 0 if named_ms[0] <= since < named_ms[1] else why.OUT_OF_CALENDAR


def _instant_of_text(text: str, formats: Formats) -> Decimal | datetime | int:
    """The instant of `text`, as milliseconds or as a date; or the reason why it is invalid."""
    form = formats.time_format or ISO
    if not text:
        return why.EMPTY
    if form in _EPOCHS:
        number = _plain_number(text)
        if isinstance(number, int):
            return number
        return number.scaleb(_EPOCHS[form]) if number.adjusted() < _LONGEST_EPOCH else why.UNREADABLE_VALUE
    try:
        if form == ISO:
            if not (_INSTANT.fullmatch(text) or (formats.time_format and _LOCAL.fullmatch(text))):
                return why.UNREADABLE_VALUE
            instant = datetime.fromisoformat(text)
        else:
            instant = datetime.strptime(ascii_digits(text), form)
    except ValueError:
        return why.UNREADABLE_VALUE
    if instant.tzinfo is not None:
        return instant
    if formats.text_zone is None:
        return why.NO_OFFSET
    early, late = (instant.replace(tzinfo=zone_named(formats.text_zone), fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    is_date = len(text) == _DATE_LENGTH if form == ISO else _HOURS.isdisjoint(steps_of(form))
    if early.astimezone(UTC).astimezone(early.tzinfo).replace(tzinfo=None) == instant:
        return early if formats.takes_earlier or is_date else why.AMBIGUOUS_TIME
    return late if is_date else why.NO_SUCH_TIME


def _merchant(value: Any, _: tuple[int, int], formats: Formats) -> int:
    if isinstance(value, ObjectId):
        return 0
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return why.NOT_UTF8
        return 0 if value else why.EMPTY
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 if _fits(value, 64) else why.WRONG_TYPE
    return _wrong(value)


def _amount(value: Any, _: tuple[int, int], formats: Formats) -> int:
    number = _number(value, formats)
    if isinstance(number, int):
        return number or _wrong(value)
    if number and number.adjusted() > _MOST_PLACES:
        return why.TOO_LARGE
    sign, digits, exponent = number.as_tuple()
    minor = Decimal((sign, digits, int(exponent) + formats.amount_scale))
    if minor != minor.to_integral_value():
        return why.FRACTION
    return 0 if _fits(int(minor), 64) else why.TOO_LARGE


def _number(value: Any, formats: Formats) -> Decimal | int:
    """The number of `value`, or the reason why it is invalid; `OTHER` for another type."""
    if isinstance(value, Cell):
        return _number_of_cell(value, formats)
    if isinstance(value, str):
        return _plain_number(value) if formats.amount_text else OTHER
    if isinstance(value, Decimal128):
        return _finite(value.to_decimal())
    if isinstance(value, float):
        number = _finite(Decimal(repr(value)))
        return why.TOO_LARGE if isinstance(number, Decimal) and abs(number) > _EXACT_DOUBLE else number
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return OTHER


def _finite(number: Decimal) -> Decimal | int:
    if number.is_nan():
        return why.NAN
    return why.INFINITY if number.is_infinite() else number


def _plain_number(text: str) -> Decimal | int:
    if not text:
        return why.EMPTY
    plain = text.translate(_PERSIAN)
    return Decimal(plain) if _PLAIN.fullmatch(plain) else why.UNREADABLE_VALUE


def _number_of_cell(text: str, formats: Formats) -> Decimal | int:
    if text in ("true", "false"):
        return why.BOOLEAN_VALUE
    if formats.csv_decimal_comma:
        text = text.replace(".", "x").replace(",", ".")
    if _INTEGER.fullmatch(text):
        return Decimal(text) if len(text) < _MOST_DIGITS else why.TOO_LARGE
    if not _NUMBER.fullmatch(text):
        words = {"nan": why.NAN, "inf": why.INFINITY, "infinity": why.INFINITY}
        if (word := words.get(text.lower().lstrip("+-"))) is not None:
            return word
        return _plain_number(text) if formats.amount_text else why.TEXT
    try:
        number = Decimal(text)
    except InvalidOperation:
        return why.TOO_LARGE
    is_whole = number == number.to_integral_value() if number.adjusted() < _MOST_PLACES else True
    return why.TOO_LARGE if abs(number) > _EXACT_DOUBLE and is_whole else number


_RULES: Final[Mapping[str, Callable[[Any, tuple[int, int], Formats], int]]] = {
    "time": _time,
    "merchant": _merchant,
    "amount": _amount,
}


def reason_against(role: str, value: Any, named_ms: tuple[int, int], formats: Formats = Formats()) -> str | None:  # noqa: B008 - immutable
    """The reason why a run would reject a document for this value, or None.

    :param role: ``time``, ``merchant`` or ``amount``.
    :param named_ms: the half-open range of the calendar.
    :param formats: the accepted formats of amounts and times.
    """
    reason = _RULES[role](value, named_ms, formats)
    return why.REASON_NAMES[reason] if reason else None
