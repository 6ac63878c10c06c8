"""Exact integers and instants from text and binary forms: no rounding, no overflow.

A reason of `jobs.decode.reasons` says why a value is no 64-bit integer; 0 means that it is one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.decode.jit import Bool, Bytes, Int, Int64s, helper, load_i64, load_u64, outlined, trailing_zeros
from jobs.decode.reasons import FRACTION, INFINITY, NAN, TOO_LARGE, UNREADABLE_VALUE

INT64_MAX: Final = 2**63 - 1
EXACT_DOUBLE: Final = 2**53
"""Larger doubles cannot represent every integer, so the intended one is unknown."""

_ZERO: Final = 0x30
_MINUS: Final = 0x2D
_PLUS: Final = 0x2B
_POINT: Final = 0x2E
DAY_MS: Final = 86_400_000
NO_DATE: Final = -10_000_000
_LARGEST_BEFORE_A_DIGIT: Final = np.uint64((2**64 - 10) // 10)
_ZEROS: Final = np.uint64(0x3030303030303030)
_SIXES: Final = np.uint64(0x0606060606060606)
_SPACES: Final = np.uint64(0x2020202020202020)
_HIGHS: Final = np.uint64(0x8080808080808080)
_HIGH_HALVES: Final = np.uint64(0xF0F0F0F0F0F0F0F0)
_LOW_HALVES: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_MIDNIGHT: Final = np.uint64(int.from_bytes(b"00:00:00", "little"))
_CLOCK_SIXES: Final = np.uint64(0x0606000606000606)
_CLOCK_ERRORS: Final = np.uint64(0xF0F0FFF0F0FFF0F0)
_MONTH_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


@helper
def integer_of_double(value: float) -> tuple[Int, Int]:
    """The integer value of a double: (integer, 0), or (0, reason)."""
    if value != value:
        return 0, NAN
    if value == np.inf or value == -np.inf:
        return 0, INFINITY
    if value > EXACT_DOUBLE or value < -EXACT_DOUBLE:
        return 0, TOO_LARGE
    integer = np.int64(value)
    if np.float64(integer) != value:
        return 0, FRACTION
    return integer, 0


@helper
def times_power_of_ten(magnitude: np.uint64, power: Int, negative: Bool) -> tuple[Int, Int]:
    """``magnitude * 10**power`` with its sign: (integer, 0), or (0, `TOO_LARGE`)."""
    limit = np.uint64(INT64_MAX) + (np.uint64(1) if negative else np.uint64(0))
    if magnitude == np.uint64(0):
        return 0, 0
    for _ in range(min(power, 20)):
        if magnitude > limit // np.uint64(10):
            return 0, TOO_LARGE
        magnitude *= np.uint64(10)
    if magnitude > limit:
        return 0, TOO_LARGE
    if negative:
        return -np.int64(magnitude - np.uint64(1)) - 1, 0
    return np.int64(magnitude), 0


@outlined
def integer_of_decimal128(low: np.uint64, high: np.uint64, places: Int, cut: Bool) -> tuple[Int, Int]:
    """The integer value of an IEEE 754 decimal128 (binary integer significand): (integer, 0), or (0, reason).

    Significands of more than 34 digits are not canonical and are unreadable.

    :param places: the result is ``10**places`` times the value.
    :param cut: round down (towards minus infinity); otherwise a fraction is rejected.
    """
    negative = (high >> np.uint64(63)) == np.uint64(1)
    top = (high >> np.uint64(58)) & np.uint64(0x1F)
    if top == np.uint64(0x1F):
        return 0, NAN
    if top == np.uint64(0x1E):
        return 0, INFINITY
    if (top >> np.uint64(3)) == np.uint64(3):
        return 0, UNREADABLE_VALUE
    exponent = np.int64((high >> np.uint64(49)) & np.uint64(0x3FFF)) - 6176 + places
    high &= np.uint64(0x1FFFFFFFFFFFF)
    if high > np.uint64(0x1ED09BEAD87C0) or (
        high == np.uint64(0x1ED09BEAD87C0) and low > np.uint64(0x378D8E63FFFFFFFF)
    ):
        return 0, UNREADABLE_VALUE
    mask = np.uint64(0xFFFFFFFF)
    ten = np.uint64(10)
    shift = np.uint64(32)
    inexact: Bool = False
    while exponent < 0 and (high != np.uint64(0) or low != np.uint64(0)):
        quotient_high = high // ten
        middle = ((high % ten) << shift) | (low >> shift)
        bottom = ((middle % ten) << shift) | (low & mask)
        if bottom % ten != np.uint64(0):
            if not cut:
                return 0, FRACTION
            inexact = True
        low = ((middle // ten) << shift) | (bottom // ten)
        high = quotient_high
        exponent += 1
    if high != np.uint64(0):
        return 0, TOO_LARGE
    integer, reason = times_power_of_ten(low, max(exponent, 0), negative)
    return (integer - 1 if inexact and negative and reason == 0 else integer), reason


@helper
def _is_word(text: Bytes, start: Int, end: Int, word: Bytes) -> Bool:
    """Whether the text is `word` (lower case), ignoring case."""
    if end - start != word.size:
        return False
    for i in range(word.size):
        if (text[start + i] | np.uint8(0x20)) != word[i]:
            return False
    return True


_NAN_WORD: Final = np.frombuffer(b"nan", np.uint8)
_INF_WORD: Final = np.frombuffer(b"inf", np.uint8)
_INFINITY_WORD: Final = np.frombuffer(b"infinity", np.uint8)


@helper
def leading_digits(word: np.uint64) -> Int:
    """The number of bytes of `word`, from the lowest on, that are ASCII digits before one that is none."""
    # Only digits have the high half 3 both as they are and plus 6. A carry only reaches bytes after one that is none.
    others = ((word & _HIGH_HALVES) ^ _ZEROS) | (((word + _SIXES) & _HIGH_HALVES) ^ _ZEROS)
    return 8 if others == np.uint64(0) else trailing_zeros(others) >> 3


@helper
def number_of_digits(word: np.uint64) -> Int:
    """The number that 8 ASCII digits denote, the first in the lowest byte; NUL is 0."""
    word = (word & _LOW_HALVES) * np.uint64(10 << 8 | 1) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(100 << 16 | 1) >> np.uint64(16)
    return np.int64((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(10_000 << 32 | 1) >> np.uint64(32))


@helper
def _short_integer(text: Bytes, start: Int, end: Int) -> tuple[Int, Bool]:
    """The common case, up to 18 digits with an optional minus: (integer, whether the text has this form)."""
    negative = start < end and text[start] == _MINUS
    at = start + 1 if negative else start
    if at >= end or end - at > 18:
        return 0, False
    number = np.int64(0)
    count = ((end - at - 1) & 7) + 1  # of the first digits; all others are whole words
    while at < end:
        word = load_u64(text, at)
        if leading_digits(word) < count:
            return 0, False
        number = number * 100_000_000 + number_of_digits(word << np.uint64(64 - 8 * count))
        at += count
        count = 8
    return (-number if negative else number), True


@helper
def integer_of_text(text: Bytes, start: Int, end: Int) -> tuple[Int, Int]:
    """The integer value of a numeral such as ``-12``, ``1.50E+2`` or ``NaN``: (integer, 0), or (0, reason)."""
    number, short = _short_integer(text, start, end)
    if short:
        return number, 0
    return _integer_of_numeral(text, start, end)


@outlined
def _integer_of_numeral(text: Bytes, start: Int, end: Int) -> tuple[Int, Int]:
    magnitude, power, negative, reason = decimal_of_numeral(text, start, end)
    return integer_of_decimal(magnitude, power, negative, reason)


@helper
def integer_of_decimal(magnitude: np.uint64, power: Int, negative: Bool, reason: Int) -> tuple[Int, Int]:
    """The integer value of ``magnitude * 10**power``: (integer, 0), or (0, reason).

    :param reason: of the parsed text: 0, the reason why it is no number, or `TOO_LARGE` if `magnitude` overflowed.
    """
    if reason != 0 and reason != TOO_LARGE:
        return 0, reason
    if magnitude == np.uint64(0):
        return 0, 0
    # The last digit of the magnitude is not 0, so a negative power always leaves a fraction.
    if power < 0:
        return 0, FRACTION
    if reason != 0:
        return 0, reason
    return times_power_of_ten(magnitude, power, negative)


@helper
def decimal_of_numeral(text: Bytes, start: Int, end: Int) -> tuple[np.uint64, Int, Bool, Int]:
    """Parse a numeral, NaN or Infinity: (magnitude, power, negative, reason), for `integer_of_decimal`.

    A numeral has digits, and optionally a sign, a point and an exponent.
    """
    zero = np.uint64(0)
    at = start
    negative: Bool = False
    if at < end and (text[at] == _MINUS or text[at] == _PLUS):
        negative = text[at] == _MINUS
        at += 1
    if _is_word(text, at, end, _NAN_WORD):
        return zero, 0, negative, NAN
    if _is_word(text, at, end, _INF_WORD) or _is_word(text, at, end, _INFINITY_WORD):
        return zero, 0, negative, INFINITY
    magnitude = np.uint64(0)
    held_zeros = 0  # trailing zeros so far: multiplied in only if another digit follows
    digits = 0
    scale: Int = 0
    overflow: Bool = False
    point = False
    while at < end:
        c = np.int64(text[at])
        if c == _POINT and not point:
            point = True
        elif 0x30 <= c <= 0x39:
            digits += 1
            if point:
                scale -= 1
            if c == _ZERO:
                held_zeros += 1
            else:
                if magnitude != np.uint64(0):
                    for _ in range(min(held_zeros + 1, 20)):
                        overflow = overflow or magnitude > _LARGEST_BEFORE_A_DIGIT
                        if not overflow:
                            magnitude *= np.uint64(10)
                held_zeros = 0
                if not overflow:
                    magnitude += np.uint64(c - _ZERO)
        else:
            break
        at += 1
    scale += held_zeros
    if digits == 0:
        return zero, 0, negative, UNREADABLE_VALUE
    if at < end:
        if (text[at] | np.uint8(0x20)) != np.uint8(0x65):
            return zero, 0, negative, UNREADABLE_VALUE
        at += 1
        sign = 1
        if at < end and (text[at] == _MINUS or text[at] == _PLUS):
            sign = -1 if text[at] == _MINUS else 1
            at += 1
        if at == end:
            return zero, 0, negative, UNREADABLE_VALUE
        exponent: Int = 0
        while at < end:
            c = np.int64(text[at])
            if c < 0x30 or c > 0x39:
                return zero, 0, negative, UNREADABLE_VALUE
            exponent = min(exponent * 10 + c - _ZERO, 1_000_000_000)
            at += 1
        scale += sign * exponent
    return magnitude, scale, negative, TOO_LARGE if overflow else 0


@helper
def two_digits(text: Bytes, at: Int) -> Int:
    """The number of two ASCII digits, or -1."""
    tens = np.int64(text[at]) - _ZERO
    ones = np.int64(text[at + 1]) - _ZERO
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return -1
    return tens * 10 + ones


@helper
def _days_before_year(year: Int) -> Int:
    previous = year - 1
    return previous * 365 + previous // 4 - previous // 100 + previous // 400


@helper
def days_from_civil(year: Int, month: Int, day: Int) -> Int:
    """Days since 1970-01-01 of a Gregorian date in the years 0 to 9999, or `NO_DATE`."""
    if month < 1 or month > 12 or day < 1:
        return NO_DATE
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    length = _MONTH_DAYS[month - 1] + (1 if leap and month == 2 else 0)
    if day > length:
        return NO_DATE
    before = (367 * month - 362) // 12  # days before the month, February counted as 30
    if month > 2:
        before -= 1 if leap else 2
    return _days_before_year(year) - 719_162 + before + day - 1


@outlined
def instant_of_text(text: Bytes, start: Int, end: Int) -> tuple[Int, Bool]:
    """The instant of a text such as ``2022-03-23T06:59:59.286Z`` (ISO 8601): (ms since 1970 UTC, whether valid).

    As in mongoimport, a space may replace the T, and seconds are optional. The zone is required: Z or an offset
    (``+03:30``, ``+0330``, ``+03``). Digits below the millisecond are truncated, towards the past.
    """
    local, at = local_time_of_text(text, start, end)
    if at < 0:
        return 0, False
    offset_minutes, valid = offset_of_text(text, at, end)
    return local - offset_minutes * 60_000, valid


@helper
def local_time_of_text(text: Bytes, start: Int, end: Int) -> tuple[Int, Int]:
    """The local time of such text: (ms since 1970 as if it were UTC, position of the zone or -1)."""
    if end - start < 16 or text[start + 4] != _MINUS or text[start + 7] != _MINUS:
        return 0, -1
    separator = text[start + 10]
    if (separator != 0x54 and separator != 0x20) or text[start + 13] != 0x3A:
        return 0, -1
    has_seconds = end - start > 16 and text[start + 16] == 0x3A
    if has_seconds and end - start < 19:
        return 0, -1
    century = two_digits(text, start)
    year = two_digits(text, start + 2)
    month = two_digits(text, start + 5)
    day = two_digits(text, start + 8)
    hour = two_digits(text, start + 11)
    minute = two_digits(text, start + 14)
    second = two_digits(text, start + 17) if has_seconds else 0
    if century < 0 or year < 0 or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return 0, -1
    days = days_from_civil(century * 100 + year, month, day)
    if days == NO_DATE:
        return 0, -1
    at = start + 19 if has_seconds else start + 16
    milliseconds: Int = 0
    if has_seconds and at < end and text[at] == _POINT:
        at += 1
        weight = 100
        first = at
        while at < end and 0x30 <= text[at] <= 0x39:
            milliseconds += weight * (np.int64(text[at]) - _ZERO)
            weight //= 10
            at += 1
        if at == first:
            return 0, -1
    return days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds, at


def new_day() -> Int64s:
    """The last day before the first text: no text has it."""
    return np.full(3, -1, np.int64)


@helper
def instant_of_similar_text(text: Bytes, start: Int, end: Int, last: Int64s) -> tuple[Int, Bool]:
    """`instant_of_text`, faster if successive texts are of the same day of UTC, as in a log.

    :param last: in and out, the 11 bytes of the last day as two integers, and its first instant; see `new_day`.
    """
    length = end - start
    if length < 20 or length == 21 or length > 24 or text[end - 1] != 0x5A:
        return instant_of_text(text, start, end)
    clock = load_u64(text, start + 11) ^ _MIDNIGHT
    # Each byte is a digit, or 0 for a colon, as in `leading_digits`.
    pairs = clock * np.uint64(10) + (clock >> np.uint64(8))
    hour = np.int64(pairs & np.uint64(0xFF))
    minute = np.int64(pairs >> np.uint64(24) & np.uint64(0xFF))
    second = np.int64(pairs >> np.uint64(48) & np.uint64(0xFF))
    if (clock | (clock + _CLOCK_SIXES)) & _CLOCK_ERRORS != np.uint64(0) or hour > 23 or minute > 59 or second > 59:
        return instant_of_text(text, start, end)
    milliseconds: Int = 0
    if length > 20:
        fraction = load_u64(text, start + 20)
        if text[start + 19] != _POINT or leading_digits(fraction) != length - 21:
            return instant_of_text(text, start, end)
        digits = fraction & ((np.uint64(1) << np.uint64(8 * (length - 21))) - np.uint64(1))
        milliseconds = number_of_digits(digits << np.uint64(40))
    since_midnight = ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds
    month = load_i64(text, start)
    day = load_i64(text, start + 8) & 0xFFFFFF
    if month != last[0] or day != last[1]:
        instant, valid = instant_of_text(text, start, end)
        if not valid:
            return 0, False
        last[0] = month
        last[1] = day
        last[2] = instant - since_midnight
    return last[2] + since_midnight, True


@helper
def offset_of_text(text: Bytes, at: Int, end: Int) -> tuple[Int, Bool]:
    """The UTC offset of the text from `at` to `end`: (minutes, whether it is valid)."""
    if at >= end:
        return 0, False
    mark = text[at]
    if mark == 0x5A:
        return 0, at + 1 == end
    if mark != _PLUS and mark != _MINUS:
        return 0, False
    length = end - at
    if length != 3 and length != 5 and not (length == 6 and text[at + 3] == 0x3A):
        return 0, False
    hours = two_digits(text, at + 1)
    minutes = 0 if length == 3 else two_digits(text, end - 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return 0, False
    total = hours * 60 + minutes
    return (-total if mark == _MINUS else total), True


@helper
def _bytes_of_hex(word: np.uint64) -> tuple[np.uint64, Bool]:
    """(The 4 bytes that 8 ASCII characters denote, whether all are hex digits)."""
    lower = word | _SPACES
    # The high bit of each byte. Without carries, as a byte above 0x7F makes all invalid.
    digit = (word + np.uint64(0x5050505050505050)) & ~(word + np.uint64(0x4646464646464646))
    letter = (lower + np.uint64(0x1F1F1F1F1F1F1F1F)) & ~(lower + np.uint64(0x1919191919191919)) & _HIGHS
    valid = (digit | letter) & ~word & _HIGHS == _HIGHS
    halves = (word & _LOW_HALVES) + (letter >> np.uint64(7)) * np.uint64(9)
    pairs = (halves << np.uint64(4) | halves >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs | pairs >> np.uint64(8)) & np.uint64(0x0000FFFF0000FFFF)
    return (fours | fours >> np.uint64(16)) & np.uint64(0xFFFFFFFF), valid


@helper
def object_id_of_hex(text: Bytes, start: Int, end: Int) -> tuple[np.uint64, np.uint64, Bool]:
    """Read 24 hex digits: (the first 8 bytes, the last 4, whether they are valid); both little-endian."""
    if end - start != 24:
        return np.uint64(0), np.uint64(0), False
    low, low_valid = _bytes_of_hex(load_u64(text, start))
    high, high_valid = _bytes_of_hex(load_u64(text, start + 8))
    last, last_valid = _bytes_of_hex(load_u64(text, start + 16))
    return low | high << np.uint64(32), last, low_valid and high_valid and last_valid
