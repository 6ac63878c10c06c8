"""The values of MongoDB Extended JSON, read into slots.

Source: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/ (v2, and the ``$date`` forms of v1).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.jit import Bool, Bytes, Int, Uint64s, helper, load_u64, outlined
from jobs.decode.json_grammar import (
    CLOSE_BRACE,
    MINUS,
    OPEN_BRACE,
    QUOTE,
    after_colon,
    end_of_number,
    end_of_string,
    failed,
    skip_space,
)
from jobs.decode.numbers import EXACT_DOUBLE, instant_of_text, integer_of_text, object_id_of_hex
from jobs.decode.slots import Slots

_NO_WRAPPER: Final = 0
_OID: Final = 1
_DATE: Final = 2
_INTEGER: Final = 3
_DOUBLE: Final = 4
_DECIMAL: Final = 5


def _head(text: bytes) -> tuple[np.uint64, np.uint64]:
    return np.uint64(int.from_bytes(text, "little")), np.uint64((1 << 8 * len(text)) - 1)


_OID_NAME, _OID_MASK = _head(b'$oid"')
_DATE_NAME, _DATE_MASK = _head(b'$date"')
_NUMBER_NAME, _NUMBER_MASK = _head(b"$number")
_LONG_NAME, _LONG_MASK = _head(b'Long"')
_INT_NAME, _INT_MASK = _head(b'Int"')
_DOUBLE_NAME, _DOUBLE_MASK = _head(b'Double"')
_DECIMAL_NAME, _ = _head(b'Decimal"')


@helper
def _wrapper(data: Bytes, name: Int) -> tuple[Int, Int]:
    """Which wrapper the name at `name` (after its quotation mark) is, and the position after its closing one."""
    word = load_u64(data, name)
    if word & _OID_MASK == _OID_NAME:
        return _OID, name + 5
    if word & _DATE_MASK == _DATE_NAME:
        return _DATE, name + 6
    if word & _NUMBER_MASK == _NUMBER_NAME:
        name += 7
        word = load_u64(data, name)
        if word & _LONG_MASK == _LONG_NAME:
            return _INTEGER, name + 5
        if word & _INT_MASK == _INT_NAME:
            return _INTEGER, name + 4
        if word & _DOUBLE_MASK == _DOUBLE_NAME:
            return _DOUBLE, name + 7
        if word == _DECIMAL_NAME:
            return _DECIMAL, name + 8
    return _NO_WRAPPER, name


@helper
def _is_plain_integer(data: Bytes, at: Int, end: Int) -> Bool:
    if at < end and data[at] == MINUS:
        at += 1
    if at == end:
        return False
    for i in range(at, end):
        if data[i] < 0x30 or data[i] > 0x39:
            return False
    return True


@helper
def set_double(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> None:
    """Read the text of a double into `slot`."""
    number, reason = integer_of_text(data, at, end)
    if reason == 0 and (number > EXACT_DOUBLE or number < -EXACT_DOUBLE):
        number, reason = 0, why.TOO_LARGE
    slots.kind[slot] = kinds.UNREADABLE if reason == why.UNREADABLE_VALUE else kinds.DOUBLE
    slots.number[slot] = number
    slots.extra[slot] = reason


@helper
def set_integer(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> None:
    """Read digits, with a sign or without, into `slot`."""
    number, reason = integer_of_text(data, at, end)
    slots.number[slot] = number
    slots.extra[slot] = reason
    if reason == 0:
        slots.kind[slot] = kinds.INTEGER
    else:
        slots.kind[slot] = kinds.UNREADABLE if reason == why.UNREADABLE_VALUE else kinds.DECIMAL


@helper
def read_number(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> Int:
    """Read a bare number into `slot`; the position after it."""
    after, integer = end_of_number(data, at, end)
    if after < 0:
        return after
    if integer:
        set_integer(data, at, after, slot, slots)
    else:
        set_double(data, at, after, slot, slots)
    return after


@outlined
def _date_of_number(data: Bytes, at: Int, end: Int, one_line: Bool, slot: Int, slots: Slots) -> Int:
    """Read what ``$date`` holds where it is no text: milliseconds, bare or as ``{"$numberLong": "…"}``."""
    wrapped = data[at] == OPEN_BRACE
    if wrapped:
        at = skip_space(data, at + 1, end, one_line)
        which, after = _wrapper(data, at + 1)
        if data[at] != QUOTE or which != _INTEGER:
            return failed(at)
        at = after_colon(data, after, end, one_line)
        if at < 0:
            return at
    after = _read_number_text(data, at, end, _INTEGER, slot, slots)
    if after < 0:
        return after
    slots.kind[slot] = kinds.DATE if slots.kind[slot] == kinds.INTEGER else kinds.UNREADABLE
    if wrapped:
        after = skip_space(data, after, end, one_line)
        if after >= end or data[after] != CLOSE_BRACE:
            return failed(after)
        after += 1
    return after


@outlined
def _read_number_text(data: Bytes, at: Int, end: Int, which: Int, slot: Int, slots: Slots) -> Int:
    """Read a number, in quotation marks or bare, as the wrapper's type; the position after it."""
    if data[at] == QUOTE:
        after, escaped = end_of_string(data, at + 1, end)
        first, last = at + 1, after - 1
        if escaped:
            return failed(at)
    else:
        after, _ = end_of_number(data, at, end)
        first, last = at, after
    if after < 0:
        return after
    if which == _DOUBLE:
        set_double(data, first, last, slot, slots)
    elif which == _DECIMAL:
        set_integer(data, first, last, slot, slots)
    elif _is_plain_integer(data, first, last):
        set_integer(data, first, last, slot, slots)
    else:
        slots.kind[slot] = kinds.UNREADABLE
    return after


@helper
def _read_text(data: Bytes, at: Int, end: Int, which: Int, slot: Int, slots: Slots, words: Uint64s) -> Int:
    """Read the text of ``$oid`` or ``$date``; the position after it."""
    after, escaped = end_of_string(data, at + 1, end)
    if after < 0 or escaped:
        return failed(at)
    slots.kind[slot] = kinds.UNREADABLE
    if which == _OID:
        if object_id_of_hex(data, at + 1, after - 1, words):
            slots.kind[slot] = kinds.OBJECT_ID
            slots.number[slot] = np.int64(words[0])
            slots.extra[slot] = np.int64(words[1])
    else:
        instant, valid = instant_of_text(data, at + 1, after - 1)
        if valid:
            slots.kind[slot] = kinds.DATE
            slots.number[slot] = instant
    return after


@outlined
def read_extended(
    data: Bytes, at: Int, end: Int, one_line: Bool, slot: Int, slots: Slots, words: Uint64s
) -> tuple[Int, Bool]:
    """Read the object at `at` as an Extended JSON value: (the position after it or a failure, whether it began as one).

    A failure is no damage yet: the object may be well-formed and only be no such value.
    """
    at = skip_space(data, at + 1, end, one_line)
    if at >= end or data[at] != QUOTE:
        return failed(at), False
    which, after = _wrapper(data, at + 1)
    if which == _NO_WRAPPER:
        return failed(at), False
    at = after_colon(data, after, end, one_line)
    if at < 0 or at >= end:
        return failed(end), True
    if which == _DATE and data[at] != QUOTE:
        after = _date_of_number(data, at, end, one_line, slot, slots)
    elif which == _OID or which == _DATE:
        after = _read_text(data, at, end, which, slot, slots, words) if data[at] == QUOTE else failed(at)
    else:
        after = _read_number_text(data, at, end, which, slot, slots)
    if after < 0:
        return after, True
    after = skip_space(data, after, end, one_line)
    if after >= end or data[after] != CLOSE_BRACE:
        return failed(after), True
    return after + 1, True
