"""The grammar of JSON (RFC 8259) as compiled functions over a buffer.

Each takes the position of an element and returns the position after it. A failure is negative: -1 minus the position of
the error (`failed`, `trouble_at`), which is the end of the buffer for truncated text. Buffers are padded with zero
bytes, which begin no JSON element, so that a byte at the end can be read unchecked.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.decode.jit import Bool, Bytes, Int, helper, load_u32, load_u64, outlined, string_marks, trailing_zeros
from jobs.decode.numbers import leading_digits

TAB: Final = 0x09
NEWLINE: Final = 0x0A
RETURN: Final = 0x0D
SPACE: Final = 0x20
QUOTE: Final = 0x22
COMMA: Final = 0x2C
MINUS: Final = 0x2D
POINT: Final = 0x2E
COLON: Final = 0x3A
OPEN_BRACKET: Final = 0x5B
BACKSLASH: Final = 0x5C
CLOSE_BRACKET: Final = 0x5D
OPEN_BRACE: Final = 0x7B
CLOSE_BRACE: Final = 0x7D

MAX_NESTING: Final = 1000
"""Values nested deeper than this are damage; MongoDB allows 100 levels."""

_TRUE: Final = np.uint32(int.from_bytes(b"true", "little"))
_NULL: Final = np.uint32(int.from_bytes(b"null", "little"))
_ALSE: Final = np.uint32(int.from_bytes(b"alse", "little"))
_NAN: Final = np.uint32(int.from_bytes(b"NaN\0", "little"))
_INFINITY: Final = np.uint64(int.from_bytes(b"Infinity", "little"))
_THREE_BYTES: Final = np.uint32(0xFFFFFF)


@helper
def failed(at: Int) -> Int:
    """The failure at position `at`."""
    return -1 - at


@helper
def skip_space(data: Bytes, at: Int, end: Int, one_line: Bool) -> Int:
    """The position of the next byte that is not white space; with `one_line`, a newline is not white space."""
    while at < end:
        c = data[at]
        if c > SPACE or not (c == SPACE or c == TAB or c == RETURN or (c == NEWLINE and not one_line)):
            break
        at += 1
    return at


@helper
def next_mark(data: Bytes, at: Int, end: Int) -> Int:
    """The position of the next quotation mark, backslash or control character, or `end`."""
    while at < end:
        marks = string_marks(data, at)
        if marks != np.uint64(0):
            return min(at + trailing_zeros(marks), end)
        at += 32
    return end


@outlined
def end_of_string(data: Bytes, at: Int, end: Int) -> tuple[Int, Bool]:
    """For a string with its content at `at`: (position after the closing quotation mark, whether it has escapes)."""
    escaped = False
    while at < end:
        at = next_mark(data, at, end)
        if at == end:
            break
        c = data[at]
        if c == QUOTE:
            return at + 1, escaped
        if c != BACKSLASH:
            return failed(at), escaped
        escaped = True
        letter = np.int64(data[at + 1]) if at + 1 < end else np.int64(0)
        if letter == 0x75:
            for i in range(2, 6):
                if at + i >= end:
                    return failed(end), escaped
                if hex_digit(np.int64(data[at + i])) < 0:
                    return failed(at + i), escaped
            at += 6
        elif letter == QUOTE or letter == BACKSLASH or letter == 0x2F or escape_of(letter) != 0:
            at += 2
        else:
            return failed(min(at + 1, end)), escaped
    return failed(end), escaped


@helper
def hex_digit(c: Int) -> Int:
    """The value of a hexadecimal digit, or -1."""
    if 0x30 <= c <= 0x39:
        return c - 0x30
    lower = c | 0x20
    if 0x61 <= lower <= 0x66:
        return lower - 0x57
    return -1


@helper
def escape_of(c: Int) -> Int:
    """The control character that a letter after a backslash stands for, or 0."""
    if c == 0x62:
        return 0x08
    if c == 0x66:
        return 0x0C
    if c == 0x6E:
        return 0x0A
    if c == 0x72:
        return 0x0D
    if c == 0x74:
        return 0x09
    return 0


@helper
def _code_unit(data: Bytes, at: Int) -> Int:
    unit = 0
    for i in range(4):
        unit = unit << 4 | hex_digit(np.int64(data[at + i]))
    return unit


@outlined
def unescape(data: Bytes, at: Int, end: Int, scratch: Bytes, out: Int) -> Int:
    """Decode the content of a valid string from `at` to `end` into `scratch` as UTF-8; returns the end in `scratch`.

    The result is never longer than the source. A lone surrogate becomes three bytes that are not UTF-8.
    """
    while at < end:
        c = np.int64(data[at])
        if c != BACKSLASH:
            scratch[out] = c
            out += 1
            at += 1
            continue
        c = np.int64(data[at + 1])
        if c != 0x75:
            control = escape_of(c)
            scratch[out] = control if control != 0 else c
            out += 1
            at += 2
            continue
        unit = _code_unit(data, at + 2)
        at += 6
        if 0xD800 <= unit < 0xDC00 and at + 6 <= end and data[at] == BACKSLASH and data[at + 1] == 0x75:
            low = _code_unit(data, at + 2)
            if 0xDC00 <= low < 0xE000:
                unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
                at += 6
        out = _write_utf8(unit, scratch, out)
    return out


@helper
def _write_utf8(point: Int, scratch: Bytes, out: Int) -> Int:
    if point < 0x80:
        scratch[out] = point
        return out + 1
    if point < 0x800:
        scratch[out] = 0xC0 | point >> 6
        scratch[out + 1] = 0x80 | point & 0x3F
        return out + 2
    if point < 0x10000:
        scratch[out] = 0xE0 | point >> 12
        scratch[out + 1] = 0x80 | point >> 6 & 0x3F
        scratch[out + 2] = 0x80 | point & 0x3F
        return out + 3
    scratch[out] = 0xF0 | point >> 18
    scratch[out + 1] = 0x80 | point >> 12 & 0x3F
    scratch[out + 2] = 0x80 | point >> 6 & 0x3F
    scratch[out + 3] = 0x80 | point & 0x3F
    return out + 4


@helper
def _after_digits(data: Bytes, at: Int, end: Int) -> Int:
    first = at
    digits = 8
    while digits == 8 and at < end:
        digits = leading_digits(load_u64(data, at))
        at += digits
    at = min(at, end)
    return at if at > first else failed(at)


@outlined
def end_of_number(data: Bytes, at: Int, end: Int) -> tuple[Int, Bool]:
    """(Position after the number at `at`, whether it is written as an integer)."""
    if data[at] == MINUS:
        at += 1
    if data[at] == 0x49 and load_u64(data, at) == _INFINITY:
        return at + 8 if at + 8 <= end else failed(end), False
    if data[at] == 0x30 and at < end:
        at += 1
    else:
        at = _after_digits(data, at, end)
        if at < 0:
            return at, False
    integer = True
    if at < end and data[at] == POINT:
        integer = False
        at = _after_digits(data, at + 1, end)
        if at < 0:
            return at, False
    if at < end and (data[at] | 0x20) == 0x65:
        integer = False
        at += 1
        if at < end and (data[at] == MINUS or data[at] == 0x2B):
            at += 1
        at = _after_digits(data, at, end)
    return at, integer


@helper
def end_of_word(data: Bytes, at: Int, end: Int) -> Int:
    """The position after true, false, null, NaN or Infinity."""
    word = load_u32(data, at)
    after = failed(at)
    if word == _TRUE or word == _NULL:
        after = at + 4
    elif data[at] == 0x66 and load_u32(data, at + 1) == _ALSE:
        after = at + 5
    elif word & _THREE_BYTES == _NAN:
        after = at + 3
    elif load_u64(data, at) == _INFINITY:
        after = at + 8
    return after if after <= end else failed(end)


@outlined
def end_of_scalar(data: Bytes, at: Int, end: Int) -> Int:
    """The position after a string, number or word."""
    c = data[at]
    if c == QUOTE:
        after, _ = end_of_string(data, at + 1, end)
        return after
    if c == MINUS or 0x30 <= c <= 0x39:
        after, _ = end_of_number(data, at, end)
        return after
    return end_of_word(data, at, end)


@helper
def after_colon(data: Bytes, at: Int, end: Int, one_line: Bool) -> Int:
    """The position of the value after the required colon."""
    at = skip_space(data, at, end, one_line)
    if at >= end or data[at] != COLON:
        return failed(at)
    return skip_space(data, at + 1, end, one_line)


@helper
def _after_name(data: Bytes, at: Int, end: Int, one_line: Bool) -> Int:
    if at >= end or data[at] != QUOTE:
        return failed(at)
    at, _ = end_of_string(data, at + 1, end)
    return after_colon(data, at, end, one_line) if at >= 0 else at


@outlined
def end_of_value(data: Bytes, at: Int, end: Int, one_line: Bool, nesting: Bytes) -> Int:
    """The position after any value; `nesting` is scratch for `MAX_NESTING` open brackets."""
    depth = 0
    while True:
        if at >= end:
            return failed(end)
        c = data[at]
        if c == OPEN_BRACE or c == OPEN_BRACKET:
            if depth == nesting.size:
                return failed(at)
            closer = c + 2
            at = skip_space(data, at + 1, end, one_line)
            if at < end and data[at] == closer:
                at += 1
            else:
                nesting[depth] = closer
                depth += 1
                if c == OPEN_BRACE:
                    at = _after_name(data, at, end, one_line)
                    if at < 0:
                        return at
                continue
        else:
            at = end_of_scalar(data, at, end)
            if at < 0:
                return at
        while True:
            if depth == 0:
                return at
            at = skip_space(data, at, end, one_line)
            if at >= end:
                return failed(end)
            if data[at] != nesting[depth - 1]:
                break
            depth -= 1
            at += 1
        if data[at] != COMMA:
            return failed(at)
        at = skip_space(data, at + 1, end, one_line)
        if nesting[depth - 1] == CLOSE_BRACE:
            at = _after_name(data, at, end, one_line)
            if at < 0:
                return at
