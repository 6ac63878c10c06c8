"""A reference implementation of classification: Python integers, `Decimal`, and a simple BSON walk."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from bson import Decimal128

from jobs.decode.classify import Window
from jobs.decode.plan import Fields

INT64 = range(-(2**63), 2**63)
EXACT = Context(prec=7000, Emin=-99_999, Emax=99_999)
FIXED = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
STRINGS = {0x02, 0x0D, 0x0E}


class Malformed(Exception):
    """The content of a document is invalid BSON."""


@dataclass(frozen=True)
class Value:
    """The value of a field: `kind` as in the table of accepted values, `content` in Python."""

    kind: str
    content: Any = None


@dataclass(frozen=True)
class Outcome:
    """``counted``, ``filtered``, ``out of range``, or a reject with its field and reason."""

    result: str
    merchant: str = ""
    amount: int = 0
    instant: int = 0
    field: str = ""
    reason: str = ""


def outcome_of_bson(raw: bytes, fields: Fields, window: Window) -> Outcome:
    """The outcome of the document `raw`, whose outer length is valid."""
    try:
        values = {path: _look_up(raw, path.split(".")) for path in fields.paths()}
    except Malformed:
        return Outcome("rejected", field="document", reason="malformed")
    return outcome(values, fields, window)


def outcome(values: dict[str, Value], fields: Fields, window: Window) -> Outcome:
    """The outcome of a document with `values` at the wanted paths."""
    if not all(_equals(values[path], wanted) for path, wanted in fields.where):
        return Outcome("filtered")
    time, merchant, amount = values[fields.time], values[fields.merchant], values[fields.amount]
    if time.kind != "date":
        return Outcome("rejected", field="time", reason=_misfit(time))
    if not window.named_first_ms <= time.content < window.named_end_ms:
        return Outcome("rejected", field="time", reason="outside the calendar")
    if not window.wanted_first_ms <= time.content < window.wanted_end_ms:
        return Outcome("out of range")
    name, reason = _merchant(merchant)
    if reason:
        return Outcome("rejected", field="merchant", reason=reason)
    number, reason = integer(amount)
    if reason:
        return Outcome("rejected", field="amount", reason=reason)
    return Outcome("counted", name, number, time.content)


def _merchant(value: Value) -> tuple[str, str]:
    if value.kind == "ObjectId":
        return value.content.hex(), ""
    if value.kind == "integer":
        return str(value.content), ""
    if value.kind != "string":
        return "", _misfit(value)
    if not value.content:
        return "", "empty"
    try:
        return value.content.decode(), ""
    except UnicodeDecodeError:
        return "", "not UTF-8"


def integer(value: Value) -> tuple[int, str]:
    """The exact 64-bit integer of an amount, or the reason why it is invalid."""
    if value.kind == "integer":
        return value.content, ""
    if value.kind == "double":
        return integer_of_double(value.content)
    if value.kind == "decimal":
        return integer_of_decimal(value.content)
    return 0, _misfit(value)


def integer_of_double(number: float) -> tuple[int, str]:
    """The exact integer of a double, or the reason why it is invalid."""
    if math.isnan(number):
        return 0, "NaN"
    if math.isinf(number):
        return 0, "infinity"
    if abs(number) > 2**53:
        return 0, "too large"
    return (int(number), "") if number == int(number) else (0, "fraction")


def integer_of_decimal(number: Decimal | None) -> tuple[int, str]:
    """The exact 64-bit integer of a decimal (None: not canonical), or the reason why it is invalid."""
    if number is None:
        return 0, "unreadable"
    if number.is_nan():
        return 0, "NaN"
    if number.is_infinite():
        return 0, "infinity"
    if number != number.to_integral_value(context=EXACT):
        return 0, "fraction"
    # A number of so many digits is not turned into an int, which would take long.
    if number and number.adjusted() > 20:
        return 0, "too large"
    return (int(number), "") if int(number) in INT64 else (0, "too large")


def _misfit(value: Value) -> str:
    reasons = {"missing": "missing", "null": "null", "boolean": "boolean", "string": "text", "unreadable": "unreadable"}
    return reasons.get(value.kind, "wrong type")


def _equals(value: Value, wanted: str) -> bool:
    if value.kind == "string":
        return bool(value.content == wanted.encode())
    if value.kind in ("integer", "double", "decimal"):
        number, reason = integer(value)
        return not reason and bool(re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", wanted)) and number == int(wanted)
    if value.kind == "ObjectId":
        return bool(re.fullmatch("[0-9a-fA-F]{24}", wanted)) and value.content == bytes.fromhex(wanted)
    words = {("boolean", True): "true", ("boolean", False): "false", ("null", None): "null"}
    return value.kind in ("boolean", "null") and words[value.kind, value.content] == wanted


def _look_up(raw: bytes, names: list[str]) -> Value:
    """The value at a path; of a repeated name the last one counts, and only embedded documents are gone into."""
    found = Value("missing")
    for name, kind, content in _elements(raw):
        if name == names[0].encode():
            if len(names) == 1:
                found = _value(kind, content)
            else:
                found = _look_up(content, names[1:]) if kind == 0x03 else Value("missing")
    return found


def _value(kind: int, content: bytes) -> Value:
    match kind:
        case 0x01:
            return Value("double", struct.unpack("<d", content)[0])
        case 0x02:
            return Value("string", content[4:-1])
        case 0x07:
            return Value("ObjectId", content)
        case 0x08:
            return Value("boolean", content != b"\0")
        case 0x09:
            return Value("date", struct.unpack("<q", content)[0])
        case 0x0A:
            return Value("null")
        case 0x10 | 0x12:
            return Value("integer", int.from_bytes(content, "little", signed=True))
        case 0x13:
            return Value("decimal", decimal_of_bytes(content))
    return Value("other")


def decimal_of_bytes(content: bytes) -> Decimal | None:
    """The number of 16 bytes of BSON decimal128, or None where its significand has more than 34 digits."""
    low, high = struct.unpack("<QQ", content)
    special = (high >> 58) & 0x1F in (0x1E, 0x1F)
    if not special and ((high >> 61) & 3 == 3 or ((high & (2**49 - 1)) << 64 | low) >= 10**34):
        return None
    return Decimal128.from_bid(content).to_decimal()


def _elements(raw: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """The elements of a document: name, type, value. Its own length and last byte have been looked at."""
    at, stop = 4, len(raw) - 1
    while raw[at] != 0:
        end_of_name = raw.find(b"\0", at + 1, stop)
        if end_of_name < 0:
            raise Malformed
        value = end_of_name + 1
        size = _size(raw[at], raw[value:stop])
        if size > stop - value:
            raise Malformed
        yield raw[at + 1 : end_of_name], raw[at], raw[value : value + size]
        at = value + size
    if at != stop:
        raise Malformed


def _size(kind: int, rest: bytes) -> int:
    if kind in FIXED:
        return FIXED[kind]
    if kind == 0x0B:
        parts = rest.split(b"\0", 2)
        if len(parts) < 3:
            raise Malformed
        return len(parts[0]) + len(parts[1]) + 2
    if len(rest) < 4 or kind not in {*STRINGS, 0x03, 0x04, 0x05, 0x0C, 0x0F}:
        raise Malformed
    length = int.from_bytes(rest[:4], "little", signed=True)
    if kind in STRINGS or kind == 0x0C:
        size = 4 + length + (12 if kind == 0x0C else 0)
        sound = length >= 1 and size <= len(rest) and rest[3 + length] == 0
    elif kind == 0x05:
        size, sound = 5 + length, length >= 0
    elif kind == 0x0F:
        size, sound = length, length >= 14
    else:
        size = length
        sound = length >= 5 and length <= len(rest) and rest[length - 1] == 0
    if not sound:
        raise Malformed
    return size
