"""Numbers and instants against Python's int, Decimal and datetime."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numba
import numpy as np
import pytest
from bson import Decimal128
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from made_up import decimals, doubles
from reference import decimal_of_bytes, integer_of_decimal
from reference import integer_of_double as plain_integer_of_double

from jobs.decode import numbers
from jobs.decode.jit import CHECKED, PADDING, Bytes
from jobs.decode.linking import KernelCompiler
from jobs.decode.reasons import REASON_NAMES


def callable_from_python(helper: Any) -> Any:
    """`helper`, which only kernels can call, in a kernel of its own."""
    options: Any = {"error_model": "numpy", "_nrt": CHECKED, "pipeline_class": KernelCompiler}
    return numba.njit(lambda *arguments: helper(*arguments), **options)


days_from_civil = callable_from_python(numbers.days_from_civil)
instant_of_similar_text = callable_from_python(numbers.instant_of_similar_text)
instant_of_text = callable_from_python(numbers.instant_of_text)
integer_of_decimal128 = callable_from_python(numbers.integer_of_decimal128)
integer_of_double = callable_from_python(numbers.integer_of_double)
integer_of_text = callable_from_python(numbers.integer_of_text)
object_id_of_hex = callable_from_python(numbers.object_id_of_hex)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_SUCH_DATE = -10_000_000


def memory(content: bytes) -> Bytes:
    """`content` behind some other bytes, as a kernel finds it."""
    return np.array(bytearray(b"9" + content + bytes(PADDING)))


def parsed(text: str) -> tuple[int, str]:
    number, reason = integer_of_text(memory(text.encode()), 1, 1 + len(text.encode()))
    return int(number), REASON_NAMES[reason] if reason else ""


def instant(text: str) -> int | None:
    content = text.encode()
    found, valid = instant_of_text(memory(content), 1, 1 + len(content))
    day = numbers.new_day()
    for _ in range(2):  # of another day than the last, then of the same
        similar, is_valid = instant_of_similar_text(memory(content), 1, 1 + len(content), day)
        assert bool(is_valid) == bool(valid)
        assert similar == found or not valid
    return int(found) if valid else None


def test_nul_bytes_are_no_day() -> None:
    assert instant("\0" * 11 + "12:00:00Z") is None


numerals = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-(10**40), 10**40).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30).map(str),
    st.builds(
        lambda d, z, e: f"{d}{'0' * z}e{e}", st.integers(-(2**64), 2**64), st.integers(0, 30), st.integers(-50, 50)
    ),
    st.from_regex(r"[+-]?[0-9]{0,22}(\.[0-9]{0,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[+-]?0{0,20}\.0{0,20}[0-9]{0,3}e[0-9]{1,2}", fullmatch=True),
)


@tries(800, 300)
@given(numerals)
@example("9223372036854775807")
@example("9223372036854775808")
@example("-9223372036854775808")
@example("-9223372036854775809")
@example("1" + "0" * 400 + "e-400")
@example("0." + "0" * 400 + "1e401")
@example("922337203685477580.70e1")
@example("999999999999999999")
@example("1000000000000000000")
def test_numerals_are_parsed_like_decimal(text: str) -> None:
    try:
        number = Decimal(text)
    except ArithmeticError:
        assert parsed(text) == (0, "unreadable")
        return
    if number.adjusted() < -3000 and number:
        assert parsed(text) == (0, "fraction")
    else:
        assert parsed(text) == integer_of_decimal(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0e999999999999999999999", (0, "")),
        ("1e999999999999999999999", (0, "too large")),
        ("-1e-999999999999999999999", (0, "fraction")),
    ],
)
def test_exponents_that_decimal_refuses_are_classified(text: str, expected: tuple[int, str]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1 ", " 1", "0x10", "1_000", "--1", "١", "nano"]
)
def test_an_invalid_numeral_is_unreadable(text: str) -> None:
    assert parsed(text) == (0, "unreadable")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("NaN", "NaN"), ("-nan", "NaN"), ("Infinity", "infinity"), ("+INF", "infinity"), ("-Infinity", "infinity")],
)
def test_nan_and_infinity_are_recognised(text: str, reason: str) -> None:
    assert parsed(text) == (0, reason)


@tries(600)
@given(doubles)
@example(float("nan"))
@example(float("-inf"))
def test_a_double_is_an_integer_only_where_it_is_exact(number: float) -> None:
    found, reason = integer_of_double(np.float64(number))
    assert (int(found), REASON_NAMES[reason] if reason else "") == plain_integer_of_double(number)


@tries(800, 100)
@given(st.one_of(decimals.map(lambda d: d.bid), st.binary(min_size=16, max_size=16)))
@example(struct.pack("<QQ", 0x378D8E6400000000, 0x3040_0000_0000_0000 | 0x1ED09BEAD87C0))  # 10 ** 34, one too many
@example(struct.pack("<QQ", 0x378D8E63FFFFFFFF, 0x3040_0000_0000_0000 | 0x1ED09BEAD87C0))
@example(Decimal128("1" + "0" * 33 + "E-33").bid)
@example(Decimal128("922337203685477580.8E1").bid)
def test_decimal128_is_parsed_like_the_bson_package(content: bytes) -> None:
    low, high = struct.unpack("<QQ", content)
    found, reason = integer_of_decimal128(np.uint64(low), np.uint64(high), 0, False)
    assert (int(found), REASON_NAMES[reason] if reason else "") == integer_of_decimal(decimal_of_bytes(content))


@tries(600)
@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from(["T", " "]),
    st.integers(0, 9),
)
def test_instants_are_parsed_like_datetime(local: datetime, offset_minutes: int, separator: str, digits: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    fraction = f".{local.microsecond:06d}000"[: digits + 1] if digits else ""
    sign, (hours, minutes) = "-" if offset_minutes < 0 else "+", divmod(abs(offset_minutes), 60)
    written = f"{local:%m-%d}{separator}{local:%H:%M:%S}{fraction}"
    milliseconds = int(f"{fraction[1:]:0<3}"[:3]) if digits else 0
    exact = local.replace(microsecond=milliseconds * 1000, tzinfo=zone)
    expected = (exact - EPOCH) // timedelta(milliseconds=1)
    offsets = [f"{sign}{hours:02d}:{minutes:02d}", f"{sign}{hours:02d}{minutes:02d}"]
    offsets += [f"{sign}{hours:02d}"] if minutes == 0 else []
    offsets += ["Z"] if offset_minutes == 0 else []
    for end in offsets:
        assert instant(f"{local.year:04d}-{written}{end}") == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "2024-06-24", "2024-06-24T00:00:00",
        "2024-06-24T00:00:00.Z", "2024-06-24t00:00:00Z", "2024-06-24T24:00:00Z",
        "2024-06-24T00:60:00Z", "2024-06-24T00:00:60Z", "2024-00-24T00:00:00Z", "2024-13-24T00:00:00Z",
        "2024-06-31T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-06-00T00:00:00Z",
        "2024-06-24T00:00:00ZZ", "2024-06-24T00:00:00+3", "2024-06-24T00:00:00+03:3", "2024-06-24T00:00:00+24:00",
        "2024-06-24T00:00:00+03:60", "2024-06-24T00:00:00+03x30", "2024-06-24T00:00:00*03:30", "2024/06/24T00:00:00Z",
        "2024-06-24T00-00:00Z", "2024-06-24T00:00.00Z", "x024-06-24T00:00:00Z", "20x4-06-24T00:00:00Z",
        "2024-06-24Tx0:00:00Z", "2024-06-24T00:00:00.123", "2024-06-24T00:00:00.1x3Z", "+2024-06-24T00:00:00Z",
    ],
)  # fmt: skip
def test_an_invalid_instant_is_refused(text: str) -> None:
    assert instant(text) is None


@tries(600)
@given(st.dates())
@example(date(1, 1, 1))
@example(date(9999, 12, 31))
@example(date(2000, 2, 29))
@example(date(1900, 3, 1))
def test_day_numbers_are_those_of_date(day: date) -> None:
    assert days_from_civil(day.year, day.month, day.day) == day.toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(
    "fields", [(1900, 2, 29), (2023, 4, 31), (2023, 0, 1), (2023, 13, 1), (2023, 1, 0), (2023, 1, 32)]
)
def test_an_impossible_date_has_no_day_number(fields: tuple[int, int, int]) -> None:
    assert days_from_civil(*fields) == NO_SUCH_DATE


@tries(200)
@given(st.binary(min_size=12, max_size=12), st.booleans())
def test_hex_digits_are_parsed_to_an_object_id(id_: bytes, upper: bool) -> None:
    text = id_.hex().upper() if upper else id_.hex()
    first, last, valid = object_id_of_hex(memory(text.encode()), 1, 25)
    assert valid
    assert struct.pack("<QI", int(first), int(last)) == id_


@pytest.mark.parametrize("text", ["", "0" * 23, "0" * 25])
def test_an_object_id_needs_24_hex_digits(text: str) -> None:
    assert not object_id_of_hex(memory(text.encode()), 1, 1 + len(text))[2]


def test_an_object_id_with_other_characters_is_refused() -> None:
    for byte in set(range(256)) - set(b"0123456789abcdefABCDEF"):
        text = bytearray(b"0123456789ABCDEFabcdefff")
        text[byte % 24] = byte
        assert not object_id_of_hex(memory(bytes(text)), 1, 25)[2], hex(byte)
