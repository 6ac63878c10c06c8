"""The values of MongoDB Extended JSON: located, then read into slots.

Source: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/ (v2, and the ``$date`` forms of v1).

Locating a value determines its *reader*; reading needs only that and the position of the text.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.jit import PADDING, Bool, Bytes, Int, Int64s, helper, load_u64, outlined
from jobs.decode.json_grammar import (
    CLOSE_BRACE,
    MINUS,
    OPEN_BRACE,
    OPEN_BRACKET,
    QUOTE,
    after_colon,
    end_of_number,
    end_of_string,
    end_of_value,
    end_of_word,
    failed,
    skip_space,
    unescape,
)
from jobs.decode.numbers import (
    EXACT_DOUBLE,
    instant_of_similar_text,
    integer_of_text,
    object_id_of_hex,
)
from jobs.decode.slots import Slots

READ_NOTHING: Final = 0
READ_STRING: Final = 1
READ_INTEGER: Final = 2
READ_DOUBLE: Final = 3
READ_OBJECT_ID: Final = 4
READ_DATE: Final = 5
READ_DATE_NUMBER: Final = 6
READ_WRAPPED_INTEGER: Final = 7
READ_WRAPPED_DOUBLE: Final = 8
READ_WRAPPED_DECIMAL: Final = 9
READ_WRAPPED_INT32: Final = 10
LAST_OF_TEXT: Final = 10
"""Readers up to this one need the text, without escapes. Later ones, except `READ_ESCAPED`, need no text."""
READ_ESCAPED: Final = 11
READ_NULL: Final = 12
READ_TRUE: Final = 13
READ_FALSE: Final = 14
READ_OTHER: Final = 15
READ_UNREADABLE: Final = 16
READ_NAN: Final = 17
READ_INFINITY: Final = 18
WITH_ESCAPES: Final = 0x40
"""Flag on the reader of a wrapper's text with escapes. Templates have no such text."""

_LONGEST_ESCAPED_NAME: Final = 6 * len('$numberDecimal"')


class Found(NamedTuple):
    """For each slot the reader of its value, and the position and length of its text."""

    reader: Bytes
    at: Int64s
    length: Int64s


def new_found(slot_count: int) -> Found:
    """An empty `Found` for `slot_count` slots."""
    return Found(np.zeros(slot_count, np.uint8), np.zeros(slot_count, np.int64), np.zeros(slot_count, np.int64))


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
def _put(found: Found, slot: Int, reader: Int, at: Int, end: Int) -> None:
    found.reader[slot] = reader
    found.at[slot] = at
    found.length[slot] = end - at


@helper
def _plain_wrapper(data: Bytes, name: Int) -> tuple[Int, Int]:
    """`_wrapper` for a name without escapes."""
    word = load_u64(data, name)
    if word & _OID_MASK == _OID_NAME:
        return READ_OBJECT_ID, name + 5
    if word & _DATE_MASK == _DATE_NAME:
        return READ_DATE, name + 6
    if word & _NUMBER_MASK == _NUMBER_NAME:
        name += 7
        word = load_u64(data, name)
        if word & _LONG_MASK == _LONG_NAME:
            return READ_WRAPPED_INTEGER, name + 5
        if word & _INT_MASK == _INT_NAME:
            return READ_WRAPPED_INT32, name + 4
        if word & _DOUBLE_MASK == _DOUBLE_NAME:
            return READ_WRAPPED_DOUBLE, name + 7
        if word == _DECIMAL_NAME:
            return READ_WRAPPED_DECIMAL, name + 8
    return READ_NOTHING, name


@outlined
def _wrapper(data: Bytes, name: Int, end: Int, scratch: Bytes) -> tuple[Int, Int]:
    """The reader for the wrapper's name at `name` (after the quotation mark), and the position after the name."""
    reader, after = _plain_wrapper(data, name)
    if reader == READ_NOTHING:
        after, escaped = end_of_string(data, name, end)
        if escaped and after >= 0 and after - name <= _LONGEST_ESCAPED_NAME:
            last = unescape(data, name, after - 1, scratch, np.int64(0))
            scratch[last] = QUOTE
            reader, used = _plain_wrapper(scratch, np.int64(0))
            if used != last + 1:  # the name contains a quotation mark
                reader = READ_NOTHING
    return reader, after


@outlined
def _find_text(data: Bytes, at: Int, end: Int, reader: Int, slot: Int, found: Found) -> Int:
    """Locate the text of a wrapper, a string or a bare number; the position after it."""
    if data[at] == QUOTE:
        after, escaped = end_of_string(data, at + 1, end)
        if after < 0:
            return failed(at)
        _put(found, slot, reader | WITH_ESCAPES if escaped else reader, at + 1, after - 1)
        return after
    if reader == READ_OBJECT_ID or reader == READ_DATE:
        return failed(at)
    after, _ = end_of_number(data, at, end)
    if after >= 0:
        _put(found, slot, reader, at, after)
    return after


@helper
def _close(data: Bytes, at: Int, end: Int, one_line: Bool) -> Int:
    at = skip_space(data, at, end, one_line)
    return at + 1 if at < end and data[at] == CLOSE_BRACE else failed(at)


@outlined
def _find_extended(
    data: Bytes, at: Int, end: Int, one_line: Bool, slot: Int, found: Found, scratch: Bytes
) -> tuple[Int, Bool]:
    """Locate the value of the wrapper at `at`: (the position after it or a failure, whether it begins as a wrapper).

    A failure need not be damage: the object may be well-formed, but not a wrapper.
    """
    at = skip_space(data, at + 1, end, one_line)
    if at >= end or data[at] != QUOTE:
        return failed(at), False
    reader, after = _wrapper(data, at + 1, end, scratch)
    if reader == READ_NOTHING:
        return failed(at), False
    at = after_colon(data, after, end, one_line)
    if at < 0 or at >= end:
        return failed(end), True
    if reader == READ_DATE and data[at] != QUOTE:
        inner = data[at] == OPEN_BRACE
        if inner:
            at = skip_space(data, at + 1, end, one_line)
            reader, after = _wrapper(data, at + 1, end, scratch)
            if data[at] != QUOTE or reader != READ_WRAPPED_INTEGER:
                return failed(at), True
            at = after_colon(data, after, end, one_line)
            if at < 0 or at >= end:
                return failed(end), True
        after = _find_text(data, at, end, np.int64(READ_DATE_NUMBER), slot, found)
        if inner and after >= 0:
            after = _close(data, after, end, one_line)
    else:
        after = _find_text(data, at, end, reader, slot, found)
    return (_close(data, after, end, one_line) if after >= 0 else after), True


@helper
def find_value(
    data: Bytes, at: Int, end: Int, one_line: Bool, nesting: Bytes, slot: Int, found: Found, scratch: Bytes
) -> Int:
    """Locate the value at `at` for `slot`; the position after it, or a failure."""
    if at >= end:
        return failed(end)
    c = data[at]
    if c == QUOTE:
        after, escaped = end_of_string(data, at + 1, end)
        _put(found, slot, READ_ESCAPED if escaped else READ_STRING, at + 1, after - 1)
        return after
    if c == MINUS or 0x30 <= c <= 0x39:
        after, integer = end_of_number(data, at, end)
        _put(found, slot, READ_INTEGER if integer else READ_DOUBLE, at, after)
        return after
    if c == OPEN_BRACE:
        after, extended = _find_extended(data, at, end, one_line, slot, found, scratch)
        if after >= 0:
            return after
        found.reader[slot] = READ_UNREADABLE if extended else READ_OTHER
        return end_of_value(data, at, end, one_line, nesting)
    if c == OPEN_BRACKET:
        found.reader[slot] = READ_OTHER
        return end_of_value(data, at, end, one_line, nesting)
    if c == 0x6E:
        found.reader[slot] = READ_NULL
    elif c == 0x74 or c == 0x66:
        found.reader[slot] = READ_TRUE if c == 0x74 else READ_FALSE
    else:
        found.reader[slot] = READ_NAN if c == 0x4E else READ_INFINITY
    return end_of_word(data, at, end)


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
    slots.start[slot] = at
    slots.length[slot] = end - at


@helper
def set_integer(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> None:
    """Read digits with an optional sign into `slot`."""
    number, reason = integer_of_text(data, at, end)
    slots.number[slot] = number
    slots.extra[slot] = reason
    if reason == 0:
        slots.kind[slot] = kinds.INTEGER
    else:
        slots.start[slot] = at
        slots.length[slot] = end - at
        slots.kind[slot] = kinds.UNREADABLE if reason == why.UNREADABLE_VALUE else kinds.DECIMAL


@helper
def set_decimal(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> None:
    """Read the text of a decimal into `slot`."""
    set_integer(data, at, end, slot, slots)
    if slots.kind[slot] == kinds.INTEGER:
        slots.kind[slot] = kinds.DECIMAL  # an amount, but no merchant


@outlined
def _set_wrapped_integer(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> None:
    if _is_plain_integer(data, at, end):
        set_integer(data, at, end, slot, slots)
    else:
        slots.kind[slot] = kinds.UNREADABLE


@helper
def set_number(number: Int, slot: Int, slots: Slots) -> None:
    """Set `slot` to an integer."""
    slots.kind[slot] = kinds.INTEGER
    slots.number[slot] = number
    slots.extra[slot] = 0


@helper
def read_object_id(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots) -> None:
    """Read the text of an ObjectId into `slot`."""
    first, last, valid = object_id_of_hex(data, at, end)
    slots.kind[slot] = kinds.OBJECT_ID if valid else kinds.UNREADABLE
    slots.number[slot] = np.int64(first)
    slots.extra[slot] = np.int64(last)


@helper
def read_date(data: Bytes, at: Int, end: Int, slot: Int, slots: Slots, day: Int64s) -> None:
    """Read the text of a date into `slot`.

    :param day: see `jobs.decode.numbers.instant_of_similar_text`.
    """
    instant, valid = instant_of_similar_text(data, at, end, day)
    slots.kind[slot] = kinds.DATE if valid else kinds.UNREADABLE
    slots.number[slot] = instant


@outlined
def read_text(data: Bytes, at: Int, end: Int, reader: Int, slot: Int, slots: Slots, day: Int64s) -> None:
    """Read the text of a value into `slot`; see `read_date`."""
    if reader == READ_STRING:
        slots.kind[slot] = kinds.STRING
        slots.start[slot] = at
        slots.length[slot] = end - at
    elif reader == READ_INTEGER:
        set_integer(data, at, end, slot, slots)
    elif reader == READ_OBJECT_ID:
        read_object_id(data, at, end, slot, slots)
    elif reader == READ_DATE:
        read_date(data, at, end, slot, slots, day)
    elif reader == READ_WRAPPED_INTEGER:
        _set_wrapped_integer(data, at, end, slot, slots)
    elif reader == READ_WRAPPED_INT32:
        _set_wrapped_integer(data, at, end, slot, slots)
        fits = slots.kind[slot] == kinds.INTEGER and -(2**31) <= slots.number[slot] < 2**31
        slots.kind[slot] = kinds.INTEGER if fits else kinds.UNREADABLE
    elif reader == READ_DATE_NUMBER:
        _set_wrapped_integer(data, at, end, slot, slots)
        slots.kind[slot] = kinds.DATE if slots.kind[slot] == kinds.INTEGER else kinds.UNREADABLE
    elif reader == READ_WRAPPED_DECIMAL:
        set_decimal(data, at, end, slot, slots)
    else:
        set_double(data, at, end, slot, slots)


@outlined
def read_constant(reader: Int, slot: Int, slots: Slots) -> None:
    """Read a value without text into `slot`."""
    if reader == READ_NOTHING:
        slots.kind[slot] = kinds.MISSING
    elif reader == READ_NULL:
        slots.kind[slot] = kinds.NULL
    elif reader == READ_TRUE or reader == READ_FALSE:
        slots.kind[slot] = kinds.BOOLEAN
        slots.number[slot] = 1 if reader == READ_TRUE else 0
    elif reader == READ_OTHER:
        slots.kind[slot] = kinds.OTHER
    elif reader == READ_UNREADABLE:
        slots.kind[slot] = kinds.UNREADABLE
    else:
        slots.kind[slot] = kinds.DOUBLE
        slots.extra[slot] = why.NAN if reader == READ_NAN else why.INFINITY


@outlined
def read_slots(data: Bytes, found: Found, slots: Slots, scratch: Bytes, day: Int64s) -> Bool:
    """Read all located values into the slots; False if `scratch` is too small for the unescaped strings.

    :param day: see `jobs.decode.numbers.instant_of_similar_text`.
    """
    used = np.int64(0)
    for slot in range(slots.kind.size):
        reader = np.int64(found.reader[slot])
        at = found.at[slot]
        end = at + found.length[slot]
        if reader == READ_ESCAPED or reader >= WITH_ESCAPES:
            if used + end - at > scratch.size - PADDING:
                return False
            last = unescape(data, at, end, scratch, used)
            if reader == READ_ESCAPED:
                slots.kind[slot] = kinds.UNESCAPED
                slots.start[slot] = used
                slots.length[slot] = last - used
            else:
                read_text(scratch, used, last, reader - WITH_ESCAPES, slot, slots, day)
                slots.start[slot] = -1 - used
            used = last
        elif reader == READ_NOTHING or reader > LAST_OF_TEXT:
            read_constant(reader, slot, slots)
        else:
            read_text(data, at, end, reader, slot, slots, day)
    return True
