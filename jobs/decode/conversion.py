"""Exact conversion of amounts and times that are not integers and dates: minor units, epochs, text.

Kernels call it by its address, once per document, if the options need it. So it is compiled on first use, separately
from the kernels and once for all source formats, and costs nothing otherwise.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.calendar import calendar_named
from core.calendar.days import DAY_S
from core.calendar.zones import offset_changes, zone_named
from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.formats import ANY_SPACE, EPOCH_MS, EPOCH_S, ISO, LITERAL, Formats, steps_of
from jobs.decode.jit import CHECKED, Bool, Bytes, Int, Int64s, double_of_bits, helper, load_u64, native, outlined
from jobs.decode.numbers import (
    DAY_MS,
    EXACT_DOUBLE,
    INT64_MAX,
    NO_DATE,
    days_from_civil,
    decimal_of_numeral,
    integer_of_decimal,
    integer_of_decimal128,
    local_time_of_text,
    offset_of_text,
    times_power_of_ten,
    two_digits,
)
from jobs.decode.slots import BITS_64, BITS_128, Slots

_NO_FORM: Final = 0
_ISO: Final = 1
_EPOCH: Final = 2
_PATTERN: Final = 3

_GAP: Final = 2**40
_FOLD: Final = 2**41
_NO_DAY: Final = 2**62
"""An instant outside of every calendar."""
_FIFTEEN_DIGITS: Final = 1e15
_CLOSE_PLACES: Final = 3
"""With more places, int64 overflows for doubles below 2**53."""
_POWERS: Final = np.array([10**n for n in range(19)], np.int64)
_FLOAT_POWERS: Final = np.array([10.0**n for n in range(10)], np.float64)
_FIVES: Final = np.array([5**n for n in range(10)], np.uint64)
_FRACTION_DIGITS: Final = 9
_MONTHS: Final = np.frombuffer(
    b"january.february.march.april.may.june.july.august.september.october.november.december.", np.uint8
)
_DAYS: Final = np.frombuffer(b"monday.tuesday.wednesday.thursday.friday.saturday.sunday.", np.uint8)
_END_OF_NAME: Final = 0x2E


class Conversion(NamedTuple):
    """`jobs.decode.formats.Formats` as arrays for the kernels, and the slots of time and amount.

    ``places`` is the scale of amounts, ``time_places`` that of epoch times in decimal places of a second or
    millisecond. ``time_form`` is the form of times; ``pattern`` holds the steps of `formats.steps_of`. ``borders``
    (ms, local time) and ``offsets`` (ms) are the time zone of text: from ``borders[i]`` on, local time is
    ``offsets[i]`` ahead of UTC, or nonexistent (`_GAP`), or ambiguous (`_FOLD` plus the offset of the earlier
    instant). Both are empty without a time zone.
    """

    time_slot: Int
    amount_slot: Int
    places: Int
    amount_text: Int
    time_form: Int
    time_places: Int
    pattern: Int64s
    borders: Int64s
    offsets: Int64s


_PATTERN_SIZE: Final = 6
_BORDERS: Final = 7
_HEAD: Final = 8


@lru_cache(maxsize=64)
def conversion_for(formats: Formats, time_slot: int, amount_slot: int) -> Int64s:
    """A `Conversion` packed into one array: its integers, the sizes of ``pattern`` and ``borders``, its arrays."""
    form = {None: _NO_FORM, ISO: _ISO, EPOCH_S: _EPOCH, EPOCH_MS: _EPOCH}.get(formats.time_format, _PATTERN)
    pattern = steps_of(formats.time_format or "") if form == _PATTERN else ()
    borders, offsets = _local_offsets(formats.text_zone, formats.takes_earlier)
    time_places = 3 if formats.time_format == EPOCH_S else 0
    head = (time_slot, amount_slot, formats.amount_scale, int(formats.amount_text), form, time_places)
    return np.array([*head, len(pattern), len(borders), *pattern, *borders, *offsets], np.int64)


@helper
def _unpacked(packed: Int64s) -> Conversion:
    borders = _HEAD + packed[_PATTERN_SIZE]
    offsets = borders + packed[_BORDERS]
    return Conversion(
        packed[0],
        packed[1],
        packed[2],
        packed[3],
        packed[4],
        packed[5],
        packed[_HEAD:borders],
        packed[borders:offsets],
        packed[offsets : offsets + packed[_BORDERS]],
    )


def _local_offsets(zone_name: str | None, takes_earlier: bool) -> tuple[list[int], list[int]]:
    """``borders`` and ``offsets`` of `Conversion`, for all days of any calendar."""
    if zone_name is None:
        return [], []
    days = calendar_named("gregorian")
    changes = offset_changes(zone_named(zone_name), (days.first_day - 3) * DAY_S, (days.last_day + 3) * DAY_S)
    borders, offsets = [-(2**61)], [changes[0][1] * 1000]
    for (_, before), (at, after) in pairwise(changes):
        first, end = (at + min(before, after)) * 1000, (at + max(before, after)) * 1000
        doubtful = _GAP if after > before else before * 1000 + (0 if takes_earlier else _FOLD)
        borders += [first, end]
        offsets += [doubtful, after * 1000]
    return borders, offsets


@helper
def _scaled(number: Int, places: Int) -> tuple[Int, Int]:
    if places == 0:
        return number, 0
    limit = INT64_MAX // _POWERS[places]
    if number > limit or number < -limit:
        return 0, why.TOO_LARGE
    return number * _POWERS[places], 0


@outlined
def minor_of_double(bits: np.uint64, places: Int) -> tuple[Int, Int]:
    """``10**places`` times the shortest decimal that parses as a double, such as 10 for 0.1 and 2 places.

    :param bits: of a double that is finite, at most 2**53 in size, and no integer.
    :returns: (integer, 0), or (0, reason).
    """
    value = double_of_bits(bits)
    magnitude = -value if value < 0 else value
    product = magnitude * _FLOAT_POWERS[places]
    if product <= _FIFTEEN_DIGITS:
        # No two decimals of 15 digits parse as the same double, and dividing two exact doubles rounds correctly.
        nearest = np.int64(np.floor(product + 0.5))
        if np.float64(nearest) / _FLOAT_POWERS[places] != magnitude:
            return 0, why.FRACTION
        return (-nearest if value < 0 else nearest), 0
    return _long_minor(bits, places, value < 0)


@outlined
def _long_minor(bits: np.uint64, places: Int, negative: Bool) -> tuple[Int, Int]:
    """`minor_of_double` for doubles with more than 15 significant digits.

    The shortest decimal is the one with the fewest places that is nearer than half the distance to the next double.
    """
    fraction = (bits & np.uint64(0xFFFFFFFFFFFFF)) | np.uint64(0x10000000000000)
    exponent = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF)) - 1075
    mask = np.uint64(0xFFFFFFFF)
    for used in range(1, places + 1):
        five = _FIVES[used]
        low = (fraction & mask) * five
        high = (fraction >> np.uint64(32)) * five + (low >> np.uint64(32))
        low &= mask
        # Now high * 2**32 + low is the double times 10**used, times 2**shift.
        shift = -exponent - used
        if shift <= 0:
            whole = ((high << np.uint64(32)) | low) << np.uint64(-shift)
            return times_power_of_ten(whole, places - used, negative)
        one = np.uint64(1) << np.uint64(shift)
        whole = (high << np.uint64(32 - shift)) + (low >> np.uint64(shift))
        below = low & (one - np.uint64(1))
        above = one - below
        down = np.uint64(2) * below < five
        if fraction == np.uint64(0x10000000000000):  # the double below a power of two is nearer
            down = np.uint64(4) * below < five
        up = np.uint64(2) * above < five
        if down or up:
            if not down or (up and (above < below or (above == below and whole & np.uint64(1) != np.uint64(0)))):
                whole += np.uint64(1)
            return times_power_of_ten(whole, places - used, negative)
    return 0, why.FRACTION


@helper
def _digit_at(text: Bytes, at: Int, end: Int) -> tuple[Int, Int]:
    """The value of the ASCII or Persian digit at `at`, or -1; and the position after it."""
    if at >= end:
        return -1, at
    c = np.int64(text[at])
    if 0x30 <= c <= 0x39:
        return c - 0x30, at + 1
    if c == 0xDB and at + 1 < end and 0xB0 <= text[at + 1] <= 0xB9:
        return np.int64(text[at + 1]) - 0xB0, at + 2
    return -1, at


@outlined
def _decimal_of_text(text: Bytes, start: Int, end: Int) -> tuple[np.uint64, Int, Bool, Int]:
    """A decimal typed by a person: (magnitude, power, negative, reason), for `jobs.decode.numbers.integer_of_decimal`.

    ASCII and Persian digits, an optional sign, at most one decimal point (``.`` or ``٫``); nothing else.
    """
    magnitude = np.uint64(0)
    power: Int = 0
    digits = 0
    zeros = 0
    overflow: Bool = False
    point = False
    at = start
    if at == end:
        return magnitude, power, False, why.EMPTY
    negative: Bool = text[at] == 0x2D
    if text[at] == 0x2D or text[at] == 0x2B:
        at += 1
    while at < end:
        digit, after = _digit_at(text, at, end)
        if digit >= 0:
            digits += 1
            power -= 1 if point else 0
            zeros += 1
            if digit != 0:
                for _ in range(min(zeros, 20) if magnitude != np.uint64(0) else 0):
                    overflow = overflow or magnitude > np.uint64((2**64 - 10) // 10)
                    magnitude = magnitude if overflow else magnitude * np.uint64(10)
                magnitude = magnitude if overflow else magnitude + np.uint64(digit)
                zeros = 0
            at = after
        elif not point and text[at] == 0x2E:
            point = True
            at += 1
        elif not point and text[at] == 0xD9 and at + 1 < end and text[at + 1] == 0xAB:
            point = True
            at += 2
        else:
            return magnitude, power, negative, why.UNREADABLE_VALUE
    if digits == 0:
        return magnitude, power, negative, why.UNREADABLE_VALUE
    return magnitude, power + zeros, negative, why.TOO_LARGE if overflow else 0


@outlined
def _cut_off(magnitude: np.uint64, power: Int, negative: Bool, reason: Int) -> tuple[Int, Int]:
    """Like `jobs.decode.numbers.integer_of_decimal`, but rounds down (towards minus infinity)."""
    if reason == why.TOO_LARGE:
        return 0, why.UNREADABLE_VALUE  # more than 19 digits
    if reason != 0 or power >= 0 or magnitude == np.uint64(0):
        return integer_of_decimal(magnitude, power, negative, reason)
    whole = np.uint64(0)
    rest: Bool = True
    if power > -19:
        divisor = np.uint64(_POWERS[-power])
        whole = magnitude // divisor
        rest = whole * divisor != magnitude
    if whole > np.uint64(INT64_MAX // 2):
        return _NO_DAY, 0
    integer = np.int64(whole)
    if negative:
        integer = -integer - (1 if rest else 0)
    return integer, 0


@outlined
def _number_behind(data: Bytes, start: Int, length: Int, places: Int, cut: Bool) -> tuple[Int, Int]:
    """``10**places`` times the number at `start`: (integer, 0), or (0, reason).

    :param length: its encoding, see `jobs.decode.slots.DOUBLE`.
    :param cut: round down (towards minus infinity); otherwise a remaining fraction is rejected.
    """
    if length == BITS_64:
        bits = load_u64(data, start)
        return _floor_of_double(bits, places) if cut else minor_of_double(bits, places)
    if length == BITS_128:
        return integer_of_decimal128(load_u64(data, start), load_u64(data, start + 8), places, cut)
    magnitude, power, negative, reason = decimal_of_numeral(data, start, start + length)
    if cut:
        return _cut_off(magnitude, power + places, negative, reason)
    return integer_of_decimal(magnitude, power + places, negative, reason)


@outlined
def _floor_of_double(bits: np.uint64, places: Int) -> tuple[Int, Int]:
    """``10**places`` times the shortest decimal that parses as a double, rounded down (towards minus infinity)."""
    value = double_of_bits(bits)
    product = value * _FLOAT_POWERS[places]
    if product > _FIFTEEN_DIGITS or product < -_FIFTEEN_DIGITS:
        return _NO_DAY, 0
    exact, reason = minor_of_double(bits, places)
    if reason == 0:
        return exact, 0
    whole = np.int64(np.floor(product))
    if np.float64(whole) / _FLOAT_POWERS[places] > value:
        whole -= 1
    elif np.float64(whole + 1) / _FLOAT_POWERS[places] < value:
        whole += 1
    return whole, 0


@helper
def _number_of_slot(slots: Slots, slot: Int, data: Bytes, scratch: Bytes, places: Int, cut: Bool) -> tuple[Int, Int]:
    """``10**places`` times the number in a slot of kind INTEGER, DOUBLE or DECIMAL: (integer, 0), or (0, reason)."""
    reason: Int = 0 if slots.kind[slot] == kinds.INTEGER else slots.extra[slot]
    if reason == 0:
        return _scaled(slots.number[slot], places)
    if reason != why.FRACTION:
        return 0, reason
    start = slots.start[slot]
    if start < 0:
        return _number_behind(scratch, -1 - start, slots.length[slot], places, cut)
    return _number_behind(data, start, slots.length[slot], places, cut)


@outlined
def minor_units(slots: Slots, slot: Int, data: Bytes, scratch: Bytes, conversion: Conversion) -> tuple[Int, Int]:
    """The amount in a slot in units of its last decimal place: (integer, 0), or (0, reason)."""
    kind = slots.kind[slot]
    places = conversion.places
    start = slots.start[slot]
    end = start + slots.length[slot]
    if kind == kinds.INTEGER or kind == kinds.DOUBLE or kind == kinds.DECIMAL:
        minor, reason = _number_of_slot(slots, slot, data, scratch, places, False)
        if kind == kinds.DOUBLE and reason == 0 and places <= _CLOSE_PLACES:
            limit = EXACT_DOUBLE * _POWERS[places]
            if minor > limit or minor < -limit:
                return 0, why.TOO_LARGE
        return minor, reason
    if conversion.amount_text != 0 and (kind == kinds.STRING or kind == kinds.UNESCAPED):
        text = data if kind == kinds.STRING else scratch
        magnitude, power, negative, reason = _decimal_of_text(text, start, end)
        return integer_of_decimal(magnitude, power + places, negative, reason)
    return 0, kinds.reason_by_kind(kind)


@outlined
def instant_of_slot(slots: Slots, slot: Int, data: Bytes, scratch: Bytes, conversion: Conversion) -> tuple[Int, Int]:
    """The instant of a slot whose kind is not DATE: (milliseconds since 1970 UTC, 0), or (0, reason)."""
    kind = slots.kind[slot]
    start = slots.start[slot]
    end = start + slots.length[slot]
    if conversion.time_form == _NO_FORM:
        return 0, kinds.reason_by_kind(kind)
    if kind == kinds.STRING or kind == kinds.UNESCAPED:
        return _instant_of_text(data if kind == kinds.STRING else scratch, start, end, conversion)
    if conversion.time_form == _EPOCH and (kind == kinds.INTEGER or kind == kinds.DOUBLE or kind == kinds.DECIMAL):
        instant, reason = _number_of_slot(slots, slot, data, scratch, conversion.time_places, True)
        return (_NO_DAY, 0) if reason == why.TOO_LARGE else (instant, reason)
    return 0, kinds.reason_by_kind(kind)


@outlined
def _instant_of_text(text: Bytes, start: Int, end: Int, conversion: Conversion) -> tuple[Int, Int]:
    if start == end:
        return 0, why.EMPTY
    if conversion.time_form == _EPOCH:
        magnitude, power, negative, reason = _decimal_of_text(text, start, end)
        instant, reason = _cut_off(magnitude, power + conversion.time_places, negative, reason)
        return (_NO_DAY, 0) if reason == why.TOO_LARGE else (instant, reason)
    if conversion.time_form == _PATTERN:
        return _instant_by_pattern(text, start, end, conversion)
    if end - start == 10:
        days = _date_of_iso(text, start)
        return (0, why.UNREADABLE_VALUE) if days == NO_DATE else _in_zone(days * DAY_MS, True, conversion)
    local, at = local_time_of_text(text, start, end)
    if at < 0:
        return 0, why.UNREADABLE_VALUE
    if at == end:
        return _in_zone(local, False, conversion)
    offset_minutes, valid = offset_of_text(text, at, end)
    return local - offset_minutes * 60_000, 0 if valid else why.UNREADABLE_VALUE


@helper
def _date_of_iso(text: Bytes, start: Int) -> Int:
    century, year = two_digits(text, start), two_digits(text, start + 2)
    if century < 0 or year < 0 or text[start + 4] != 0x2D or text[start + 7] != 0x2D:
        return NO_DATE
    return days_from_civil(century * 100 + year, two_digits(text, start + 5), two_digits(text, start + 8))


@outlined
def _in_zone(local: Int, is_date: Bool, conversion: Conversion) -> tuple[Int, Int]:
    """The instant of a local time in the time zone of text: (milliseconds since 1970 UTC, 0), or (0, reason).

    :param is_date: without a time of day: the first instant of the day, which may not be 00:00.
    """
    if conversion.borders.size == 0:
        return 0, why.NO_OFFSET
    low, high = 0, conversion.borders.size - 1
    while low < high:
        middle = (low + high + 1) >> 1
        if conversion.borders[middle] <= local:
            low = middle
        else:
            high = middle - 1
    offset: Int = conversion.offsets[low]
    if offset == _GAP:
        if not is_date:
            return 0, why.NO_SUCH_TIME
        local, offset = conversion.borders[low + 1], conversion.offsets[low + 1]
    if offset > _GAP:
        if not is_date:
            return 0, why.AMBIGUOUS_TIME
        offset -= _FOLD
    return local - offset, 0


@outlined
def _digits(text: Bytes, at: Int, end: Int, least: Int, most: Int) -> tuple[Int, Int, Int]:
    """Read up to `most` digits: (number, position after them, how many); with too few, a position beyond `end`."""
    number = np.int64(0)
    for count in range(most):
        digit, after = _digit_at(text, at, end)
        if digit < 0:
            return number, (at if count >= least else end + 1), count
        number = number * 10 + digit
        at = after
    return number, at, most


@outlined
def _name(text: Bytes, at: Int, end: Int, names: Bytes, whole: Bool) -> tuple[Int, Int]:
    """The index in `names` (from 1) of the name at `at`, in any case, and the position after it; if none, beyond `end`.

    :param whole: match the whole name, not only its first three letters.
    """
    number = 1
    i = 0
    while i < names.size:
        length = 0
        same: Bool = True
        while names[i] != _END_OF_NAME:
            if whole or length < 3:
                same = same and at + length < end and (text[at + length] | np.uint8(0x20)) == names[i]
                length += 1
            i += 1
        if same:
            return number, at + length
        number += 1
        i += 1
    return 0, end + 1


@outlined
def _instant_by_pattern(text: Bytes, start: Int, end: Int, conversion: Conversion) -> tuple[Int, Int]:
    """The instant of text by a pattern of `time.strptime`: (milliseconds since 1970 UTC, 0), or (0, reason).

    A number takes as many digits as its directive allows. Digits may be Persian; names are English, in any case.
    """
    at = start
    year: Int = np.int64(0)
    month: Int = np.int64(1)
    day: Int = np.int64(1)
    of_year: Int = np.int64(1)
    hour: Int = np.int64(0)
    minute: Int = np.int64(0)
    second: Int = np.int64(0)
    millisecond: Int = np.int64(0)
    offset_minutes: Int = np.int64(0)
    afternoon: Int = np.int64(-1)
    has_offset: Bool = False
    has_hour: Bool = False
    for i in range(conversion.pattern.size):
        step = conversion.pattern[i]
        before = at
        if step >= LITERAL:
            if at >= end or text[at] != step - LITERAL:
                return 0, why.UNREADABLE_VALUE
            at += 1
        elif step == ANY_SPACE:
            while at < end and (text[at] == 0x20 or 0x09 <= text[at] <= 0x0D):
                at += 1
            if at == before:
                return 0, why.UNREADABLE_VALUE
        elif step == 0x59:  # %Y
            year, at, _ = _digits(text, at, end, 4, 4)
        elif step == 0x79:  # %y
            year, at, _ = _digits(text, at, end, 2, 2)
            year += 2000 if year < 69 else 1900
        elif step == 0x6D:  # %m
            month, at, _ = _digits(text, at, end, 1, 2)
        elif step == 0x64:  # %d
            day, at, _ = _digits(text, at, end, 1, 2)
        elif step == 0x6A:  # %j
            of_year, at, _ = _digits(text, at, end, 1, 3)
        elif step == 0x48 or step == 0x49:  # %H, %I
            hour, at, _ = _digits(text, at, end, 1, 2)
            has_hour = True
            if hour > 23 or (step == 0x49 and (hour < 1 or hour > 12)):
                return 0, why.UNREADABLE_VALUE
        elif step == 0x4D:  # %M
            minute, at, _ = _digits(text, at, end, 1, 2)
        elif step == 0x53:  # %S
            second, at, _ = _digits(text, at, end, 1, 2)
        elif step == 0x66:  # %f
            fraction, at, count = _digits(text, at, end, 1, _FRACTION_DIGITS)
            millisecond = fraction * _POWERS[_FRACTION_DIGITS - count] // 1_000_000
        elif step == 0x62 or step == 0x42:  # %b, %B
            month, at = _name(text, at, end, _MONTHS, step == 0x42)
        elif step == 0x61 or step == 0x41:  # %a, %A
            _, at = _name(text, at, end, _DAYS, step == 0x41)
        elif step == 0x70:  # %p
            letter = np.uint8(0) if at + 1 >= end else text[at] | np.uint8(0x20)
            if (letter != 0x61 and letter != 0x70) or (text[at + 1] | np.uint8(0x20)) != 0x6D:
                return 0, why.UNREADABLE_VALUE
            afternoon = 1 if letter == 0x70 else 0
            at += 2
        else:  # %z
            offset_end = _end_of_offset(text, at, end)
            offset_minutes, has_offset = offset_of_text(text, at, offset_end)
            if not has_offset:
                return 0, why.UNREADABLE_VALUE
            at = offset_end
    if at != end or minute > 59 or second > 59 or of_year < 1:
        return 0, why.UNREADABLE_VALUE
    if afternoon >= 0:
        hour = hour % 12 + 12 * afternoon
    days = days_from_civil(year, month, day)
    if days == NO_DATE:
        return 0, why.UNREADABLE_VALUE
    days += of_year - 1
    if days >= days_from_civil(year + 1, 1, 1):
        return 0, why.UNREADABLE_VALUE
    local = days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + millisecond
    if has_offset:
        return local - offset_minutes * 60_000, 0
    return _in_zone(local, not has_hour, conversion)


@helper
def _end_of_offset(text: Bytes, at: Int, end: Int) -> Int:
    """The end of the UTC offset at `at`: after a Z, or after the digits that follow the sign."""
    if at >= end or text[at] == 0x5A:
        return min(at + 1, end)
    stop = at + 1
    while stop < end and stop < at + 6 and (0x30 <= text[stop] <= 0x39 or (text[stop] == 0x3A and stop == at + 3)):
        stop += 1
    # +0330 may be followed by a digit of the next directive
    return min(stop, at + 5) if stop > at + 3 and text[at + 3] != 0x3A else stop


@outlined
def convert_slots(slots: Slots, data: Bytes, scratch: Bytes, conversion: Conversion) -> None:
    """Convert the time to a date and the amount to an integer, in place, or to `slots.FAILED` with the reason."""
    time, amount = conversion.time_slot, conversion.amount_slot
    if slots.kind[time] != kinds.DATE:
        instant, reason = instant_of_slot(slots, time, data, scratch, conversion)
        slots.kind[time] = kinds.DATE if reason == 0 else kinds.FAILED
        slots.number[time], slots.extra[time] = instant, reason
    minor, reason = minor_units(slots, amount, data, scratch, conversion)
    slots.kind[amount] = kinds.INTEGER if reason == 0 else kinds.FAILED
    slots.number[amount], slots.extra[amount] = minor, reason


if TYPE_CHECKING or CHECKED:

    def converter_address() -> int:
        """Not 0; without JIT kernels call the function itself, so that its indexes are checked too."""
        return 1

    @helper
    def convert(
        address: Int,
        kind: Bytes,
        number: Int64s,
        extra: Int64s,
        start: Int64s,
        length: Int64s,
        data: Bytes,
        scratch: Bytes,
        packed: Int64s,
    ) -> None:
        """`convert_slots` with the arrays of `Slots` as separate arguments."""
        convert_slots(Slots(kind, number, extra, start, length), data, scratch, _unpacked(packed))

else:
    _MOST: Final = 2**40
    """Size of arrays that are passed as an address only."""
    _BYTES = types.CPointer(types.uint8)
    _INT64S = types.CPointer(types.int64)
    _SIGNATURE = types.void(_BYTES, _INT64S, _INT64S, _INT64S, _INT64S, _BYTES, _BYTES, _INT64S)

    @cache
    def _converter() -> Any:
        return native(_SIGNATURE, _convert)

    def converter_address() -> int:
        """The address of the function that `convert` calls; compiles it at the first call."""
        return int(_converter().address)

    def _convert(kind, number, extra, start, length, data, scratch, packed):
        slots = Slots(
            _array_at(kind),
            _array_at(number),
            _array_at(extra),
            _array_at(start),
            _array_at(length),
        )
        convert_slots(slots, _array_at(data), _array_at(scratch), _unpacked(_array_at(packed)))

    @intrinsic
    def _array_at(typing_context, pointer):
        from numba.np.arrayobj import make_array, populate_array  # only to compile: the import takes long

        array_type = types.Array(pointer.dtype, 1, "C")

        def generate(context, builder, signature, arguments):
            array = make_array(array_type)(context, builder)
            size = ir.IntType(64)(_MOST)
            item_bytes = ir.IntType(64)(pointer.dtype.bitwidth // 8)
            populate_array(array, arguments[0], [size], [item_bytes], item_bytes, None)
            return array._getvalue()

        return array_type(pointer), generate

    @intrinsic
    def convert(typing_context, address, kind, number, extra, start, length, data, scratch, packed):
        def generate(context, builder, signature, arguments):
            pointers = [
                cgutils.create_struct_proxy(array)(context, builder, value=value).data
                for array, value in zip(signature.args[1:], arguments[1:], strict=True)
            ]
            function = ir.FunctionType(ir.VoidType(), [pointer.type for pointer in pointers])
            builder.call(builder.inttoptr(arguments[0], function.as_pointer()), pointers)
            return context.get_dummy_value()

        arrays = (kind, number, extra, start, length, data, scratch, packed)
        return types.void(types.int64, *arrays), generate
