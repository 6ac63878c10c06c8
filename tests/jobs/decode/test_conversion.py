"""Amounts in minor units and times in other formats, compared with Python's Decimal, strptime and zoneinfo."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from bson import Decimal128, Int64, encode
from bson.json_util import CANONICAL_JSON_OPTIONS, RELAXED_JSON_OPTIONS, dumps
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import UsageError
from jobs.decode.batch import Chunk
from jobs.decode.classify import Window
from jobs.decode.decoder import BsonDecoder, JsonDecoder
from jobs.decode.formats import Formats, steps_of
from jobs.decode.jit import PADDING
from jobs.decode.plan import Fields

EVER = Window(-(2**60), 2**60, -(2**60), 2**60)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = range(-(2**63), 2**63)


def decoded(formats: Formats, raw: bytes, as_json: bool = False) -> list[tuple[int, int] | str]:
    """For each document of `raw`, one after another, its (amount, instant in ms), or ``field: reason``."""
    fields = Fields(formats=formats)
    decoder = JsonDecoder(fields, EVER, one_line=True) if as_json else BsonDecoder(fields, EVER)
    data = np.array(bytearray(raw + bytes(PADDING)))
    found: list[tuple[int, int] | str] = []
    for batch in decoder.batches(Chunk("made up", data, len(raw), 0)):
        counted = list(zip(batch.amounts.tolist(), batch.instants.tolist(), strict=True))
        rejected = [f"{one.field}: {one.reason}" for one in batch.rejects]
        assert not counted or not rejected, "which is which is not told: decode one document at a time"
        found += counted or rejected
    return found


def forms_of(document: dict[str, Any]) -> Iterable[tuple[bytes, bool]]:
    yield encode(document), False
    for options in (RELAXED_JSON_OPTIONS, CANONICAL_JSON_OPTIONS):
        yield dumps(document, json_options=options).encode() + b"\n", True
    yield dumps(document, json_options=CANONICAL_JSON_OPTIONS).replace(".", "\\u002e").encode() + b"\n", True


def amount_of(value: Any, formats: Formats) -> int | str:
    """The result of every format for an amount."""
    (result,) = {
        one if isinstance(one, str) else one[0]
        for raw, is_json in forms_of({"merchantId": "m", "amount": value, "createdAt": EPOCH})
        for one in decoded(formats, raw, is_json)
    }
    return result


def instant_of(value: Any, formats: Formats) -> int | str:
    """The result of every format for a time, in milliseconds."""
    (result,) = {
        one if isinstance(one, str) else one[1]
        for raw, is_json in forms_of({"merchantId": "m", "amount": 1, "createdAt": value})
        for one in decoded(formats, raw, is_json)
    }
    return result


def minor(value: Decimal, scale: int) -> int | str:
    """The reference: `value` in minor units."""
    with localcontext(prec=100):
        scaled = value.scaleb(scale)
        if scaled != scaled.to_integral_value():
            return "amount: fraction"
        return int(scaled) if int(scaled) in INT64 else "amount: too large"


scales = st.integers(0, 9)
decimals = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-(10**20), 10**20), st.integers(0, 12)
)
doubles = st.one_of(
    st.floats(-(2.0**54), 2.0**54, allow_nan=False),
    st.builds(
        lambda digits, places: float(Decimal(digits).scaleb(-places)), st.integers(-(10**17), 10**17), st.integers(0, 9)
    ),
    st.builds(
        lambda power, step: float(np.nextafter(2.0**power, step)), st.integers(-30, 54), st.sampled_from([0.0, 1e300])
    ),
)


@given(doubles, scales)
@example(0.1, 1)
@example(90071992547409.91, 2)
@example(4503599627370496.5, 1)
@example(2.0**53, 9)
@example(-0.0, 3)
@example(1048576.0000000001, 9)
@example(5e-324, 9)
@tries(300)
def test_a_double_is_converted_by_its_shortest_decimal_form(value: float, scale: int) -> None:
    expected = "amount: too large" if abs(value) > 2**53 else minor(Decimal(repr(value)), scale)
    assert amount_of(value, Formats(scale, amount_text=True)) == expected


@given(st.integers(-(2**63), 2**63 - 1), scales)
@example(-(2**63), 0)
@example(2**63 - 1, 0)
@example((2**63 - 1) // 100, 2)
@example((2**63 - 1) // 100 + 1, 2)
@tries(100)
def test_an_integer_is_converted_as_major_units(value: int, scale: int) -> None:
    assert amount_of(Int64(value), Formats(scale, amount_text=True)) == minor(Decimal(value), scale)


@given(decimals, scales)
@example(Decimal("12.500"), 2)
@example(Decimal("12.505"), 2)
@example(Decimal("1E+6"), 9)
@example(Decimal("92233720368547758.07"), 2)
@example(Decimal("92233720368547758.08"), 2)
@example(Decimal("-92233720368547758.08"), 2)
@example(Decimal("0E-6176"), 0)
@example(Decimal("1E-6176"), 9)
@tries(200)
def test_a_decimal128_is_converted_exactly(value: Decimal, scale: int) -> None:
    assert amount_of(Decimal128(value), Formats(scale, amount_text=True)) == minor(value, scale)


@given(decimals, scales, st.booleans(), st.sampled_from(".٫"), st.sampled_from(["", "+"]))
@example(Decimal("-92233720368547758.08"), 2, True, "٫", "")
@example(Decimal("0.00"), 0, False, ".", "+")
@tries(200)
def test_text_is_converted_as_a_decimal(value: Decimal, scale: int, persian: bool, point: str, sign: str) -> None:
    text = f"{value:f}".replace(".", point)
    text = text.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")) if persian else text
    assert amount_of(sign * (value >= 0 and not text.startswith("-")) + text, Formats(scale, True)) == minor(
        value, scale
    )


@pytest.mark.parametrize(
    "text", [" 5", "5 ", "1,000", "1e3", "1.2.3", "1.2٫3", "-", "+", ".", "--5", "5-", "٣", "0x10", "NaN", "inf", "۵a"]
)
def test_text_that_is_no_plain_number_is_rejected_as_unreadable(text: str) -> None:
    assert amount_of(text, Formats(2, True)) == "amount: unreadable"


def test_empty_text_is_empty_and_text_needs_its_option() -> None:
    assert amount_of("", Formats(2, True)) == "amount: empty"
    assert amount_of("5", Formats(2)) == "amount: text"


@pytest.mark.parametrize("value", [True, None, float("nan"), float("-inf"), Decimal128("sNaN"), EPOCH])
def test_values_that_are_no_numbers_are_rejected_with_any_scale(value: Any) -> None:
    assert amount_of(value, Formats(2, True)) == amount_of(value, Formats())


def floored(seconds: Decimal, places: int) -> int:
    with localcontext(prec=100):
        return int(seconds.scaleb(places).to_integral_value(ROUND_FLOOR))


@given(st.floats(-(2.0**38), 2.0**38, allow_nan=False))
@example(1719187200.123)
@example(-0.0005)
@example(1719187200.9999999)
@tries(200)
def test_an_epoch_double_is_floored_to_milliseconds(value: float) -> None:
    assert instant_of(value, Formats(time_format="epoch-s")) == floored(Decimal(repr(value)), 3)
    assert instant_of(value, Formats(time_format="epoch-ms")) == floored(Decimal(repr(value)), 0)


@given(st.builds(lambda n, places: Decimal(n).scaleb(-places), st.integers(-(10**15), 10**15), st.integers(0, 6)))
@example(Decimal("-0.0001"))
@tries(100)
def test_epoch_decimals_and_text_are_read_like_doubles(value: Decimal) -> None:
    for epoch, places in ("epoch-s", 3), ("epoch-ms", 0):
        formats = Formats(time_format=epoch)
        assert instant_of(Decimal128(value), formats) == floored(value, places)
        assert instant_of(f"{value:f}", formats) == floored(value, places)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "time: empty"),
        ("2024-06-24", "time: unreadable"),
        ("1e9", "time: unreadable"),
        (float("nan"), "time: NaN"),
        (True, "time: boolean"),
        (2.0**60, "time: outside the calendar"),
        (Decimal128("1E+40"), "time: outside the calendar"),
        ("99999999999999999999", "time: unreadable"),
    ],
)
def test_an_invalid_epoch_time_is_rejected(value: Any, reason: str) -> None:
    assert instant_of(value, Formats(time_format="epoch-s")) == reason


def test_numbers_need_an_epoch_format_and_dates_need_none() -> None:
    assert instant_of(1719187200, Formats(time_format="iso")) == "time: wrong type"
    assert instant_of(1719187200, Formats()) == "time: wrong type"
    assert instant_of("2024-06-24T00:00:00Z", Formats()) == "time: text"
    for formats in Formats(time_format="iso"), Formats(time_format="epoch-s"), Formats(amount_scale=2):
        assert instant_of(EPOCH, formats) == 0


def milliseconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


@given(st.datetimes(datetime(1850, 1, 1), datetime(2250, 1, 1)), st.sampled_from(["Asia/Tehran", "Europe/Berlin"]))
@tries(60)
def test_iso_text_without_offset_is_in_the_zone_of_text(local: datetime, zone: str) -> None:
    expected: int | str = milliseconds(local.replace(tzinfo=ZoneInfo(zone)))
    early, late = (local.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        exists = early.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local
        expected = "time: ambiguous" if exists else "time: no such time"
    text = local.isoformat(sep="T", timespec="milliseconds")
    formats = Formats(time_format="iso", text_zone=zone)
    assert instant_of(text, formats) == expected
    assert instant_of(local.replace(tzinfo=UTC).isoformat(), formats) == milliseconds(local.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-03-21T23:59:59", "2021-03-21T20:29:59Z"),
        ("2021-03-22T00:00:00", "time: no such time"),  # clocks went from 00:00 to 01:00
        ("2021-03-22T00:59:59.999", "time: no such time"),
        ("2021-03-22T01:00:00", "2021-03-21T20:30:00Z"),
        ("2021-09-21T22:59:59", "2021-09-21T18:29:59Z"),
        ("2021-09-21T23:00:00", "time: ambiguous"),  # clocks went from 24:00 to 23:00
        ("2021-09-21T23:59:59.999", "time: ambiguous"),
        ("2021-09-22T00:00:00", "2021-09-21T20:30:00Z"),
        ("2021-09-22", "2021-09-21T20:30:00Z"),
        ("2021-03-22", "2021-03-21T20:30:00Z"),  # the day began at 01:00
        ("2021-13-22", "time: unreadable"),
        ("2021-09-22T00:00:00 Z", "time: unreadable"),
    ],
)
def test_a_nonexistent_or_ambiguous_local_time_is_rejected(text: str, expected: str) -> None:
    found = instant_of(text, Formats(time_format="iso", text_zone="Asia/Tehran"))
    assert found == (milliseconds(datetime.fromisoformat(expected)) if expected.endswith("Z") else expected)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("America/Havana", date(2023, 11, 5), "2023-11-05T04:00:00Z"),  # clocks went from 01:00 to 00:00
        ("Atlantic/Azores", date(2023, 10, 29), "2023-10-29T00:00:00Z"),
        ("Asia/Amman", date(2021, 10, 29), "2021-10-28T21:00:00Z"),
        ("America/St_Johns", date(2010, 11, 7), "2010-11-07T02:30:00Z"),  # from 00:01 to 23:01 of the day before
    ],
)
@pytest.mark.parametrize("takes_earlier", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_a_date_with_two_midnights_begins_at_the_first(
    zone: str, day: date, expected: str, takes_earlier: bool
) -> None:
    for form, text in (("iso", f"{day}"), ("%d %B %Y", f"{day:%d %B %Y}")):
        formats = Formats(time_format=form, text_zone=zone, takes_earlier=takes_earlier)
        assert instant_of(text, formats) == milliseconds(datetime.fromisoformat(expected))
    if not takes_earlier:
        assert instant_of(f"{day}T00:00:00", Formats(time_format="iso", text_zone=zone)) == "time: ambiguous"


def test_an_ambiguous_date_is_the_earlier_instant_in_the_same_zone() -> None:
    formats = Formats(time_format="iso", text_zone="Asia/Tehran", takes_earlier=True)
    azores = Formats(time_format="iso", text_zone="Atlantic/Azores", takes_earlier=True)
    assert instant_of("2023-10-29", azores) == milliseconds(datetime(2023, 10, 29, tzinfo=UTC))
    assert instant_of("2021-09-21T23:30:00", formats) == milliseconds(datetime(2021, 9, 21, 19, 0, tzinfo=UTC))
    assert instant_of("2021-03-22T00:30:00", formats) == "time: no such time"


def test_iso_text_without_offset_is_rejected_without_a_zone() -> None:
    assert instant_of("2024-06-24T10:00:00", Formats(time_format="iso")) == "time: no offset"
    assert instant_of("2024-06-24", Formats(time_format="iso")) == "time: no offset"


PATTERNS = [
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%m/%d/%y %I:%M %p",
    "%Y%m%d%H%M%S",
    "%a, %d %b %Y %H:%M:%S",
    "%A %d %B %Y, %H h %M",
    "%j-%Y %H",
    "100%% at %H:%M:%S.%f on %Y-%m-%d",
]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1)), st.sampled_from(PATTERNS), st.booleans())
@tries(200)
def test_text_is_parsed_by_a_pattern_like_strptime(when: datetime, pattern: str, persian: bool) -> None:
    text = when.strftime(pattern)
    expected = datetime.strptime(text, pattern).replace(tzinfo=UTC)
    text = text.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")) if persian and "%%" not in pattern else text
    formats = Formats(time_format=pattern, text_zone="Etc/UTC")
    assert instant_of(text, formats) == milliseconds(expected)
    for wrong in (text + "x", text[:-1] + "/", "x" + text):
        assert instant_of(wrong, formats) == "time: unreadable"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1)), st.integers(-23 * 60, 23 * 60), st.booleans())
@tries(60)
def test_a_pattern_with_an_offset_needs_no_zone(when: datetime, minutes: int, colon: bool) -> None:
    sign, hours = "-" if minutes < 0 else "+", f"{abs(minutes) // 60:02}"
    offset = f"{sign}{hours}{':' if colon else ''}{abs(minutes) % 60:02}"
    expected = milliseconds(when.replace(tzinfo=UTC, microsecond=0)) - minutes * 60_000
    for text, pattern in (
        (f"{when:%Y-%m-%d %H:%M:%S} {offset}", "%Y-%m-%d %H:%M:%S %z"),
        (f"{offset}{when:%Y-%m-%d %H:%M:%S}", "%z%Y-%m-%d %H:%M:%S"),
    ):
        assert instant_of(text, Formats(time_format=pattern)) == expected


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("31.02.2024", "%d.%m.%Y"),
        ("00.01.2024", "%d.%m.%Y"),
        ("366-2023", "%j-%Y"),
        ("2024-06-24 24:00", "%Y-%m-%d %H:%M"),
        ("2024-06-24 13 pm", "%Y-%m-%d %I %p"),
        ("2024-06-24 10:60", "%Y-%m-%d %H:%M"),
        ("24 Jum 2024", "%d %b %Y"),
        ("24  2024", "%d %b %Y"),
        ("2024-06-24 1 xm", "%Y-%m-%d %I %p"),
        ("Xxx 2024-06-24", "%a %Y-%m-%d"),
        ("24-06-24", "%Y-%m-%d"),
        ("2024-06-24.", "%Y-%m-%d.%f"),
        ("2024-06-24", "%Y-%m-%d %H"),
        ("", "%Y-%m-%d"),
    ],
)
def test_text_that_does_not_fit_the_pattern_is_rejected(text: str, pattern: str) -> None:
    reason = instant_of(text, Formats(time_format=pattern, text_zone="Etc/UTC"))
    assert reason == ("time: unreadable" if text else "time: empty")


@pytest.mark.parametrize(
    "options",
    [
        {"amount_scale": 10},
        {"amount_scale": -1},
        {"csv_delimiter": ";;"},
        {"csv_delimiter": "a"},
        {"csv_delimiter": "\n"},
        {"csv_delimiter": "."},
        {"text_zone": "Asia/Tehran"},
        {"text_zone": "Asia/Tehran", "time_format": "epoch-s"},
        {"text_zone": "Mars/Base", "time_format": "iso"},
        {"time_format": "%Y-%m-%d"},
        {"time_format": "%Y-%m-%d %z", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y-%m", "text_zone": "Asia/Tehran"},
        {"time_format": "%H:%M", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y-%m-%d %Q", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y-%m-%d %", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y-%y-%m-%d", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y-%m-%d %I", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y-%m-%d %H %p", "text_zone": "Asia/Tehran"},
        {"time_format": "%Y %j %m %d", "text_zone": "Asia/Tehran"},
        {"time_format": "epoch", "text_zone": None},
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Formats(**options).require_possible()


def test_every_pattern_directive_is_supported_by_the_kernel() -> None:
    assert steps_of("%Y  %m%%%d") == (ord("Y"), -1, ord("m"), 256 + ord("%"), ord("d"))
