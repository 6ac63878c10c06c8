"""Parquet tables: column types, nulls, structs, rejects."""

from __future__ import annotations

import gzip
import io
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import bson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson import Binary, Decimal128
from bson.datetime_ms import DatetimeMS
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads
from changes import changed
from decoded import EVER, Decoded, attempted, read_as_file, read_file
from effort import COMPILED, tries
from hypothesis import given
from hypothesis import strategies as st
from pymongoarrow.types import Decimal128Type, ObjectIdType

from core.calendar.days import LocalDays
from core.errors import SourceError
from jobs.decode.classify import Window
from jobs.decode.formats import Formats
from jobs.decode.plan import Fields
from jobs.partitions.count_partition import CountPlan, count_partition
from jobs.runs.rejects import RejectLimits
from jobs.sources import parquet_file
from jobs.sources.chunks import Buffer
from jobs.sources.partition import ReadOptions
from jobs.sources.recognise import open_source

ID = "0123456789abcdef01234567"
EPOCH = pa.array([0], pa.timestamp("ms"))
DATA = Path(__file__).parents[2] / "data" / "parquet"
NAMED = Window(-4_670_000_000_000, 4_860_000_000_000, -(2**62), 2**62)
"""Somewhat wider than the Jalali calendar: 1822 to 2124."""


def written(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def read(columns: dict[str, Any], fields: Fields | None = None) -> Decoded:
    return read_as_file(written(pa.table(columns)), fields)


def amounts(column: pa.Array) -> tuple[list[int], list[str]]:
    """The amounts of a column, and the reasons of those that are none."""
    count = len(column)
    times = pa.array([0] * count, pa.timestamp("us", "Asia/Tehran"))
    found = read({"merchantId": ["a"] * count, "amount": column, "createdAt": times})
    return [amount for _, amount, _ in found.rows], [reason for _, reason in found.reasons]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, -128, None], pa.int8()), ([1, -128], ["null"])),
        (pa.array([1, None, -(2**31)], pa.int32()), ([1, -(2**31)], ["null"])),
        (pa.array([2**63 - 1, -(2**63), None]), ([2**63 - 1, -(2**63)], ["null"])),
        (pa.array([2**63 - 1, 2**63, 2**64 - 1, None], pa.uint64()), ([2**63 - 1], ["too large"] * 2 + ["null"])),
        (pa.array([1.0, 1.5, float("nan"), float("-inf"), None]), ([1], ["fraction", "NaN", "infinity", "null"])),
        (pa.array([2.0**53, 2.0**53 + 2, -(2.0**53), -0.0]), ([2**53, -(2**53), 0], ["too large"])),
        (pa.array([2.0**24, 0.5], pa.float32()), ([2**24], ["fraction"])),
        (pa.array([Decimal("1.00"), Decimal("1.01"), None], pa.decimal128(20, 2)), ([1], ["fraction", "null"])),
        (pa.array([Decimal(2**63), Decimal(-(2**63))], pa.decimal256(60, 0)), ([-(2**63)], ["too large"])),
        (pa.array([Decimal("-9223372036854775808.000")], pa.decimal128(30, 3)), ([-(2**63)], [])),
        (pa.array([1, 2, None, 1]).dictionary_encode(), ([1, 2, 1], ["null"])),
    ],
)
def test_an_amount_of_every_numeric_type_is_exact(column: pa.Array, expected: tuple[list[int], list[str]]) -> None:
    assert amounts(column) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", "", None]), (["a"], ["empty", "null"])),
        (pa.array(["a", "فروشگاه"], pa.large_string()), (["a", "فروشگاه"], [])),
        (pa.array(["a", None, "a"]).dictionary_encode(), (["a", "a"], ["null"])),
        (pa.array(["a", "longer than inlined", None], pa.string_view()), (["a", "longer than inlined"], ["null"])),
        (pa.array([42, -1, None]), (["42", "-1"], ["null"])),
        (pa.array([2**64 - 1, 7], pa.uint64()), (["7"], ["wrong type"])),
        (pa.array([bytes.fromhex("0123456789abcdef01234567"), None], pa.binary(12)), ([ID], ["null"])),
    ],
)  # fmt: skip
def test_a_merchant_id_of_every_type_is_converted_to_text(
    column: pa.Array, expected: tuple[list[str], list[str]]
) -> None:
    times = pa.array([0] * len(column), pa.timestamp("ms"))
    found = read({"merchantId": column, "amount": [1] * len(column), "createdAt": times})
    assert ([merchant for merchant, _, _ in found.rows], [reason for _, reason in found.reasons]) == expected


def test_an_object_id_of_pymongoarrow_is_its_hex_digits() -> None:
    ids = pa.ExtensionArray.from_storage(ObjectIdType(), pa.array([bytes.fromhex(ID)], pa.binary(12)))
    assert read({"merchantId": ids, "amount": [1], "createdAt": EPOCH}).rows == [(ID, 1, 0)]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tehran"])
def test_a_timestamp_of_every_unit_is_floored_to_milliseconds(unit: str, zone: str | None) -> None:
    per_ms = {"ms": 1, "us": 1000, "ns": 1_000_000}[unit]
    stored = [5 * per_ms, -5 * per_ms, per_ms - 1 if per_ms > 1 else 0, -1, None]
    found = read({"merchantId": ["a"] * 5, "amount": [1] * 5, "createdAt": pa.array(stored, pa.timestamp(unit, zone))})
    assert [instant for _, _, instant in found.rows] == [5, -5, 0, -1]
    assert found.reasons == [("time", "null")]


MICROSECOND_OF_2600 = 19_880_899_200_000_000  # 2600-01-01T00:00:00Z, past the last nanosecond of 64 bits


def as_bson(values: Sequence[Any], role: str) -> tuple[list[tuple[str, int, int]], list[tuple[str, str]]]:
    """Rows and reasons of documents whose `role` has these values, None for a null."""
    good = {"merchantId": "a", "amount": 1, "createdAt": DatetimeMS(0)}
    found = read_as_file(b"".join(bson.encode(good | {role: value}) for value in values), window=NAMED)
    return found.rows, found.reasons


def as_column(column: pa.Array, role: str, **options: Any) -> tuple[list[tuple[str, int, int]], list[tuple[str, str]]]:
    """The same of a Parquet table whose column `role` is this one."""
    count = len(column)
    good = {"merchantId": ["a"] * count, "amount": [1] * count, "createdAt": pa.array([0] * count, pa.timestamp("ms"))}
    found = read_as_file(written(pa.table(good | {role: column}), **options), window=NAMED)
    return found.rows, found.reasons


@pytest.mark.parametrize(
    ("us", "ms"),
    [
        ([0, 1_719_230_400_000_000, None], [0, 1_719_230_400_000, None]),
        ([1, 999, -1, -999, -1000, -1001], [0, 0, -1, -1, -1, -2]),
        ([MICROSECOND_OF_2600, 32_503_680_000_000_000], [19_880_899_200_000, 32_503_680_000_000]),
        ([-14_831_769_600_000_000], [-14_831_769_600_000]),  # 1500, before the first nanosecond of 64 bits
    ],
)
@pytest.mark.parametrize("store_schema", [True, False])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_an_int96_timestamp_is_exact(
    us: list[int | None], ms: list[int | None], store_schema: bool, zone: str | None
) -> None:
    column = pa.array(us, pa.timestamp("us", zone))
    instants = [None if number is None else DatetimeMS(number) for number in ms]
    options = {"use_deprecated_int96_timestamps": True, "store_schema": store_schema}
    assert as_column(column, "createdAt", **options) == as_bson(instants, "createdAt")


def test_a_nested_int96_timestamp_does_not_overflow() -> None:
    times = pa.StructArray.from_arrays([pa.array([MICROSECOND_OF_2600, 0], pa.timestamp("us"))], ["at"])
    table = pa.table({"merchantId": ["a"] * 2, "amount": [1] * 2, "t": times})
    content = written(table, use_deprecated_int96_timestamps=True)
    found = read_as_file(content, Fields(time="t.at"), window=NAMED)
    assert (found.rows, found.reasons) == ([("a", 1, 0)], [("time", "outside the calendar")])


def test_int96_timestamps_of_spark_are_counted_or_rejected() -> None:
    """The file was written with 2024-06-24T08:00Z, 3000-01-01 and 2600-01-01."""
    found = read_file(DATA / "int96.parquet", window=NAMED)
    assert found.rows == [("a", 100, 1_719_216_000_000)]
    assert found.reasons == [("time", "outside the calendar")] * 2


HALVES = [0.0, -2.0, 0.5, 65504.0, float("nan"), float("inf")]
SINGLES = [0.0, 16_777_216.0, 0.5, 2.0**53, 2.0**54, -(2.0**53), float("-inf"), float("nan"), 1e-45]
DECIMALS = ["0", "-12", "1.50", "12.00", "1E+3", "1.5E+1", "9223372036854775807", "9223372036854775808", "NaN", "sNaN"]
DECIMALS += ["Infinity", "-Infinity", "1E-6176", "-0E+10", "9.999999999999999999999999999999999E+6144"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array(HALVES, pa.float16()), HALVES),
        (pa.array(SINGLES, pa.float32()), SINGLES),
        (pa.array(SINGLES), SINGLES),
        (pa.array([Decimal128(text).bid for text in DECIMALS], pa.binary(16)), [Decimal128(text) for text in DECIMALS]),
        (pa.array([b"\xff" * 15 + b"\x60", None], pa.binary(16)), [Decimal128.from_bid(b"\xff" * 15 + b"\x60"), None]),
        (pa.array([5, None, 2**40]).dictionary_encode(), [5, None, 2**40]),
        (pa.array([1.5, None, 2.0]).dictionary_encode(), [1.5, None, 2.0]),
        (pa.array([Decimal("1.50"), None, Decimal("2.00")]).dictionary_encode(), [1.5, None, 2]),
        (pa.array([None, None], pa.null()), [None, None]),
        (pa.array([Decimal(10) ** 75, Decimal(-5)], pa.decimal256(76, 0)), [Decimal128("1E+75"), -5]),
        (pa.array([Decimal(1).scaleb(-70), Decimal(2)], pa.decimal256(76, 70)), [Decimal128("1E-70"), 2]),
        (pa.array([2**32 - 1, 0], pa.uint32()), [2**32 - 1, 0]),
        (pa.array([Decimal("1.50"), Decimal("-2.00"), None], pa.decimal32(5, 2)), [1.5, -2, None]),
        (pa.array([Decimal("0.000000001"), Decimal("2.000000000")], pa.decimal64(12, 9)), [0.5, 2]),
    ],
)
def test_an_amount_equals_that_of_the_same_bson_value(column: pa.Array, values: list[Any]) -> None:
    assert as_column(column, "amount") == as_bson(values, "amount")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_timestamp_equals_that_of_the_same_bson_date(unit: str) -> None:
    seconds = [0, -1, 1_719_230_400, -4_000_000_000, None]
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    column = pa.array([None if number is None else number * per_second for number in seconds], pa.timestamp(unit))
    dates = [None if number is None else DatetimeMS(number * 1000) for number in seconds]
    assert as_column(column, "createdAt") == as_column(column.dictionary_encode(), "createdAt")
    assert as_column(column, "createdAt") == as_bson(dates, "createdAt")


FAR_SECONDS = [7_258_118_400, 9_223_372_036, -8_520_336_000, -9_223_372_036]  # 2200, 2262, 1700, 1677


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("nulls", [0, 1])  # with a null each row is classified on its own
def test_a_timestamp_of_every_unit_is_exact_over_the_nanosecond_range(unit: str, nulls: int) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    stored = [number * per_second for number in FAR_SECONDS] + [None] * nulls
    columns = {"merchantId": ["a"] * len(stored), "amount": [1] * len(stored)}
    columns["createdAt"] = pa.array(stored, pa.timestamp(unit))
    found = read_as_file(written(pa.table(columns)))
    assert [instant for _, _, instant in found.rows] == [number * 1000 for number in FAR_SECONDS]
    found = read_as_file(written(pa.table(columns)), window=NAMED)
    assert found.reasons == [("time", "outside the calendar")] * len(FAR_SECONDS) + [("time", "null")] * nulls


def test_pymongoarrow_decimals_and_object_ids_are_read_like_bson() -> None:
    found = read_file(DATA / "pymongoarrow.parquet")
    assert [(merchant, amount) for merchant, amount, _ in found.rows] == [(f"65a{1:021}", 1000), (f"65a{1:021}", 2500)]
    decimals = pa.array([Decimal128("7").bid, Decimal128("7.5").bid, None], pa.binary(16))
    typed = pa.ExtensionArray.from_storage(Decimal128Type(), decimals)
    assert as_column(typed, "amount") == as_bson([7, 7.5, None], "amount")


@pytest.mark.parametrize("compression", ["none", pytest.param("zstd", marks=pytest.mark.thorough)])
def test_nulls_at_every_struct_level_are_read_like_bson(compression: str) -> None:
    chance = random.Random(4)
    count = (70_000 if compression == "zstd" else 2_000) if COMPILED else 100
    shapes: list[dict[str, Any]] = [{"s": None}, {"s": {"t": None}}, {"s": {"t": {"a": None}}}, {"s": {"t": {"a": 7}}}]
    shops = [chance.choice(shapes)["s"] for _ in range(count)]
    kind = pa.struct([("t", pa.struct([("a", pa.int64())]))])
    times = pa.array([0] * count, pa.timestamp("ms"))
    table = pa.table({"merchantId": ["a"] * count, "s": pa.array(shops, kind), "createdAt": times})
    content = written(table, compression=compression, row_group_size=count // 3)
    documents = [bson.encode({"merchantId": "a", "s": shop, "createdAt": DatetimeMS(0)}) for shop in shops]
    for fields in (Fields(amount="s.t.a"), Fields(amount="s.t.a", where=(("s.t.a", "null"),))):
        found, expected = read_as_file(content, fields), read_as_file(b"".join(documents), fields)
        assert (found.rows, found.reasons, found.counts) == (expected.rows, expected.reasons, expected.counts)


@pytest.mark.parametrize(
    ("column", "named"),
    [
        (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())), r"arrow\.bool8 \(int8\)"),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))), r"arrow\.uuid"),
        (pa.array([7], pa.duration("ms")), "duration"),
        (pa.array([7], pa.time32("ms")), "time32"),
        (pa.array([7], pa.date64()), "date32|date64"),
        (pa.array([{"a": 1}]), "struct"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "map"),
        (pa.array([b"7" * 8], pa.binary(8)), r"fixed_size_binary\[8\]"),
    ],
)
def test_an_extension_type_with_another_storage_is_refused(column: pa.Array, named: str) -> None:
    with pytest.raises(SourceError, match=f"column amount of .* has type .*({named})"):
        as_column(column, "amount")


def test_an_unregistered_extension_type_is_refused() -> None:
    unknown = pa.field("amount", pa.int64(), metadata={"ARROW:extension:name": "shop.cents"})
    schema = pa.schema([("merchantId", pa.string()), unknown, ("createdAt", pa.timestamp("ms"))])
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([100]), EPOCH], schema=schema)
    with pytest.raises(SourceError, match=r"column amount of .* has type shop\.cents \(int64\)"):
        read_as_file(written(table))


@pytest.mark.parametrize("path", ["items.amount", "items.0.amount", "prices.a", "prices.key"])
def test_a_field_path_into_a_list_or_map_is_refused(path: str) -> None:
    columns = {
        "merchantId": ["a"],
        "createdAt": EPOCH,
        "items": [[{"amount": 5}]],
        "prices": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    }
    with pytest.raises(SourceError, match=f"must have the column {path} once"):
        read(columns, Fields(amount=path))


def test_a_rejected_timestamp_is_quarantined_with_full_precision() -> None:
    columns = {"merchantId": ["a"], "amount": pa.array([None], pa.int64())}
    for unit, number, text in [("us", 1, "1970-01-01 00:00:00.000001"), ("ns", -1, "1969-12-31 23:59:59.999999999")]:
        (reject,) = read(columns | {"createdAt": pa.array([number], pa.timestamp(unit))}).rejects
        assert reject.document()["createdAt"] == text


def test_a_timestamp_outside_the_calendar_is_rejected_without_overflow() -> None:
    stored = pa.array([2**63 - 1, -(2**63)], pa.timestamp("ms"))
    table = pa.table({"merchantId": ["a"] * 2, "amount": [1] * 2, "createdAt": stored})
    found = read_as_file(written(table), window=Window(-(10**14), 10**14, -(10**14), 10**14))
    assert found.reasons == [("time", "outside the calendar")] * 2
    for reject in found.rejects:
        loads(dumps(reject.document(), json_options=CANONICAL_JSON_OPTIONS))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("createdAt", ["1970-01-01"]),
        ("createdAt", [0]),
        ("createdAt", pa.array([0], pa.date32())),
        ("merchantId", [1.5]),
        ("merchantId", [True]),
        ("merchantId", [b"bytes"]),
        ("merchantId", [Decimal(5)]),
        ("amount", ["5"]),
        ("amount", [True]),
        ("amount", [[5]]),
    ],
)
def test_a_column_of_an_unsupported_type_is_refused(name: str, column: Any) -> None:
    good = {"merchantId": ["a"], "amount": [1], "createdAt": EPOCH}
    with pytest.raises(SourceError, match=rf"column {name} of .* has type .*; (a time|a merchant|an amount) column is"):
        read(good | {name: column})


def test_a_missing_column_is_refused_with_a_list() -> None:
    with pytest.raises(SourceError, match=r"must have the column amount once; it has merchantId, createdAt"):
        read({"merchantId": ["a"], "createdAt": EPOCH})
    with pytest.raises(SourceError, match=r"must have the column merchantId.x once"):
        read({"merchantId": ["a"], "amount": [1], "createdAt": EPOCH}, Fields(merchant="merchantId.x"))


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("merchnt", "must have the column merchnt once; it has shop, amount, createdAt, pays$"),
        ("shop.name", r"must have the column shop\.name once"),
        ("shop", "column shop of .* has type struct"),
        ("pays", "column pays of .* has type list"),
    ],
)
def test_a_wrong_merchant_column_is_refused_on_the_copying_path_too(path: str, refused: str) -> None:
    table = pa.table({"shop": [{"id": "a"}], "amount": [1], "createdAt": EPOCH, "pays": [["b"]]})
    for content in written(table), gzip.compress(written(table), 1):
        with pytest.raises(SourceError, match=refused):
            read_as_file(content, Fields(merchant=path))


def test_a_duplicate_column_is_refused() -> None:
    table = pa.table([["a"], [1], [2], EPOCH], names=["merchantId", "amount", "amount", "createdAt"])
    with pytest.raises(SourceError, match="must have the column amount once"):
        read_as_file(written(table))


def test_a_field_path_into_a_null_struct_gives_null() -> None:
    shop = pa.array(
        [{"id": "a", "pay": {"amount": 5}}, None, {"id": "b", "pay": None}, {"id": None, "pay": {"amount": 7}}]
    )
    times = pa.array([0] * 4, pa.timestamp("ms"))
    found = read({"shop": shop, "createdAt": times}, Fields("shop.id", "shop.pay.amount", "createdAt"))
    assert found.rows == [("a", 5, 0)]
    assert found.reasons == [("merchant", "missing"), ("amount", "missing"), ("merchant", "null")]


def test_a_column_with_a_dot_in_its_name_is_found_before_a_path() -> None:
    found = read({"merchantId": ["a"], "pay.amount": [5], "createdAt": EPOCH}, Fields(amount="pay.amount"))
    assert found.rows == [("a", 5, 0)]


@pytest.mark.parametrize(
    ("column", "text", "passed"),
    [
        (["paid", "failed", None], "paid", 1),
        ([1, 2, None], "1", 1),
        ([1.0, 1.5, None], "1", 1),
        ([Decimal("1.0"), Decimal("1.5"), None], "1", 1),
        ([True, False, None], "true", 1),
        ([True, False, None], "null", 1),
        (pa.array([bytes(12), b"x" * 12, None], pa.binary(12)), "0" * 24, 1),
    ],
)
def test_a_filter_can_match_a_column_of_every_type(column: Any, text: str, passed: int) -> None:
    times = pa.array([0] * 3, pa.timestamp("ms"))
    columns = {"merchantId": ["a"] * 3, "amount": [1] * 3, "createdAt": times, "x": column}
    found = read(columns, Fields(where=(("x", text),)))
    assert (found.counts.counted, found.counts.filtered) == (passed, 3 - passed)


def test_the_rows_of_many_groups_and_batches_are_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "_ROWS", 1_000)
    count = 3_500
    times = pa.array(range(count), pa.timestamp("ms"))
    table = pa.table({"merchantId": ["a", "b"] * (count // 2), "amount": range(count), "createdAt": times})
    for content in written(table, row_group_size=900), gzip.compress(written(table), 1):
        found = read_as_file(content)
        assert found.rows == [("ab"[i % 2], i, i) for i in range(count)]


NAMES = ["a", "b", "فروشگاه", ""]
MERCHANTS = [
    *(pa.array(NAMES[:3], kind) for kind in (pa.string(), pa.large_string())),
    pa.array(NAMES).dictionary_encode(),
    pa.array([*NAMES[:2], None]),
    pa.array([7, -1, 2**40]),
    pa.array([2**64 - 1, 7], pa.uint64()),
    pa.array([bytes(range(12)), bytes(12)], pa.binary(12)),
]
AMOUNTS = [
    pa.array([1, -2], pa.int8()),
    pa.array([2**63 - 1, -(2**63)]),
    pa.array([1, None]),
    pa.array([1, 2**63], pa.uint64()),
    pa.array([1.0, -0.0, 2.0**53]),
    pa.array([1.0, 1.5]),
    pa.array([Decimal(1), Decimal(2)], pa.decimal128(20, 2)),
    pa.array([Decimal128("12").bid], pa.binary(16)),
]
TIMES = [
    *(pa.array([0, -1, 1_719_230_400], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
    pa.array([0, 2**62], pa.timestamp("ms", "Asia/Tehran")),
    pa.array([0, None], pa.timestamp("us")),
]


@tries(90)
@given(st.data())
def test_column_wise_and_row_wise_reading_give_the_same_rows(data: st.DataObject) -> None:
    """A filter has rows classified one by one, as does any row of the same batch that may not count."""
    count = data.draw(st.integers(1, 12))
    columns = {"k": pa.array(["1"] * count)}
    for name, kinds in (("merchantId", MERCHANTS), ("amount", AMOUNTS), ("createdAt", TIMES)):
        values = data.draw(st.sampled_from(kinds))
        rows = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=count, max_size=count))
        columns[name] = values.take(pa.array(rows))
    options = {"row_group_size": data.draw(st.sampled_from([2, 5, 100])), "use_dictionary": data.draw(st.booleans())}
    content = written(pa.table(columns), **options)
    window = data.draw(st.sampled_from([EVER, NAMED, replace(NAMED, wanted_first_ms=0)]))
    whole, one_by_one = (read_as_file(content, Fields(where=where), window=window) for where in ((), (("k", "1"),)))
    assert (whole.rows, whole.reasons, whole.counts) == (one_by_one.rows, one_by_one.reasons, one_by_one.counts)


def test_an_unused_dictionary_entry_is_no_merchant(tmp_path: Path) -> None:
    path = tmp_path / "unused.parquet"
    names = pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int32()), pa.array(["a", "unused", "b"]))
    path.write_bytes(
        written(pa.table({"merchantId": names, "amount": [1, 2], "createdAt": EPOCH.take(pa.array([0, 0]))}))
    )
    (partition,) = open_source(str(path), Fields(), None).partitions
    result = count_partition(partition, CountPlan(ReadOptions(Fields(), EVER), LocalDays("UTC"), RejectLimits(0)))
    assert sorted(result.kinds["merchant_id"]) == ["a", "b"]


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b", "unused"]), pl.String()])
@pytest.mark.parametrize("amounts", [[1, 2, 3], [1, None, 3]])
def test_polars_categoricals_are_read_as_text(dtype: pl.DataType, amounts: list[int | None]) -> None:
    text = pl.Series(["a", "b", "a"], dtype=dtype)
    times = pl.Series([0] * 3, dtype=pl.Datetime("us", "Asia/Tehran"))
    file = io.BytesIO()
    pl.DataFrame({"merchantId": text, "amount": amounts, "createdAt": times, "status": text}).write_parquet(file)
    expected = [(name, amount, 0) for name, amount in zip("aba", amounts, strict=True) if amount is not None]
    assert read_as_file(file.getvalue()).rows == expected
    filtered = Fields(where=(("status", "a"),))
    assert read_as_file(file.getvalue(), filtered).rows == [row for row in expected if row[0] == "a"]


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_text_of_every_encoding_is_read(encoding: str) -> None:
    columns = {"shop": [{"id": "aa"}, {"id": "ab"}], "merchantId": ["aa", "ab"]}
    table = pa.table({**columns, "amount": [1, 2], "createdAt": pa.array([0, 0], pa.timestamp("ms"))})
    file = io.BytesIO()
    options: dict[str, Any] = {"use_dictionary": False, "data_page_version": "2.0", "write_page_index": True}
    encodings = {"merchantId": encoding, "shop.id": encoding}
    pq.write_table(table, file, column_encoding=encodings, row_group_size=1, **options)
    for path in ("merchantId", "shop.id"):
        assert read_as_file(file.getvalue(), Fields(merchant=path)).rows == [("aa", 1, 0), ("ab", 2, 0)]


def test_a_type_that_arrow_cannot_read_is_not_reported_as_damage() -> None:
    file = io.BytesIO()
    pl.DataFrame({"merchantId": ["a"], "amount": pl.Series([1], dtype=pl.Int128)}).write_parquet(file)
    with pytest.raises(SourceError, match="cannot be read: Integers with more than 64 bits not implemented"):
        read_as_file(file.getvalue())


def test_a_large_file_is_partitioned_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "_SMALLEST_BYTES", 10_000)
    path = tmp_path / "large.parquet"
    count = 5_000
    amounts = random.Random(1).choices(range(-(2**62), 2**62, 2**32), k=count)
    times = pa.array(range(count), pa.timestamp("ms"))
    path.write_bytes(
        written(pa.table({"merchantId": ["a"] * count, "amount": amounts, "createdAt": times}), row_group_size=249)
    )
    partitions = open_source(str(path), Fields(), None).partitions
    assert 2 < len(partitions) <= 9
    assert sum(amount for _, amount, _ in read_file(path).rows) == sum(amounts)


def test_columns_are_decoded_by_arrow_threads(tmp_path: Path) -> None:
    path = tmp_path / "one-group.parquet"
    count = 500_000
    amounts = random.Random(1).choices(range(2**40), k=count)
    columns = {"merchantId": pa.array(["a", "b"] * (count // 2)), "amount": amounts, "createdAt": amounts}
    path.write_bytes(written(pa.table(columns)))
    fields = Fields(formats=Formats(time_format="epoch-ms"))
    (partition,) = open_source(str(path), fields, None).partitions
    opened = partition.open(ReadOptions(fields, EVER), threading.Event())
    ours, everybody = time.thread_time(), time.process_time()
    while opened.chunks.next(Buffer(0)) is not None:
        pass
    ours, everybody = time.thread_time() - ours, time.process_time() - everybody
    opened.close()
    assert ours < everybody / 2


def test_the_position_of_a_reject_is_its_row_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "_ROWS", 1_000)
    count = 2_500
    good = pa.array([0] * count, pa.timestamp("ms"))
    found = read({"merchantId": ["a"] * count, "amount": [*range(count - 1), None], "createdAt": good})
    assert [(reject.position, reject.unit) for reject in found.rejects] == [(count, "row")]


def test_a_rejected_row_can_be_read_back_whatever_its_columns() -> None:
    columns = {
        "merchantId": [None],
        "amount": [1],
        "createdAt": pa.array([1], pa.timestamp("ns")),
        "price": pa.array([Decimal("1.50")], pa.decimal128(5, 2)),
        "huge": pa.array([Decimal(10**60 + 1)], pa.decimal256(70, 0)),
        "day": pa.array([1], pa.date32()),
        "clock": pa.array([1], pa.time64("us")),
        "span": pa.array([1], pa.duration("us")),
        "unsigned": pa.array([2**64 - 1], pa.uint64()),
        "bytes": [b"\xff"],
        "struct": [{"a": [{"b": Decimal(1)}]}],
        "nested": [{"a": [1, None]}],
        "half": pa.array([1.5], pa.float16()),
        "text": pa.array([b"\xff"], pa.binary()).cast(pa.string(), safe=False),
        "far": pa.array([2**62], pa.timestamp("ms")),
    }
    columns["merchantId"] = pa.array([None], pa.string())
    (reject,) = read(columns).rejects
    document = loads(dumps(reject.document(), json_options=CANONICAL_JSON_OPTIONS, ensure_ascii=False))
    assert document.keys() == columns.keys()
    assert document["price"] == Decimal128("1.50")
    assert document["huge"] == str(10**60 + 1)
    assert document["day"] == "1970-01-02"
    assert document["unsigned"] == str(2**64 - 1)
    assert document["bytes"] == b"\xff"
    assert document["text"] == Binary(b"\xff") or document["text"] == b"\xff"
    assert document["nested"] == {"a": [1, None]}
    assert "Decimal" in document["struct"] or "1" in document["struct"]


@tries(80, 20)
@given(st.randoms(use_true_random=False), st.sampled_from(["none", "snappy"]))
def test_a_mutated_parquet_file_gives_a_result_or_an_error(chance: Any, compression: str) -> None:
    times = pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 50, pa.timestamp("ms"))
    table = pa.table(
        {"merchantId": ["a", None] * 25, "amount": range(50), "createdAt": times, "d": [date(2024, 1, 1)] * 50}
    )
    found, sentence = attempted(lambda: read_as_file(changed(written(table, compression=compression), chance)))
    assert found or sentence
    if found:
        for reject in found.rejects:
            reject.document()


def converted(column: pa.Array, formats: Formats, time: pa.Array | None = None) -> tuple[list[int], list[str]]:
    """The amounts of a column, and the reasons of those that are none."""
    times = pa.array([0] * len(column), pa.timestamp("us")) if time is None else time
    found = read({"merchantId": ["a"] * len(column), "amount": column, "createdAt": times}, Fields(formats=formats))
    return [amount for _, amount, _ in found.rows], [reason for _, reason in found.reasons]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([5, None, 2**62]), ([500], ["null", "too large"])),
        (pa.array([12.5, 0.1, -0.0, 1.005, float("nan")]), ([1250, 10, 0], ["fraction", "NaN"])),
        (pa.array([0.1, 12.345], pa.float32()), ([10], ["fraction"])),
        (pa.array([0.5, 0.1, 65504.0], pa.float16()), ([50, 6_550_400], ["fraction"])),
        (pa.array([2.0**53, 1e16]), ([2**53 * 100], ["too large"])),
        (pa.array([Decimal("12.500"), Decimal("12.505")], pa.decimal128(20, 3)), ([1250], ["fraction"])),
        (pa.array([Decimal("-92233720368547758.08")], pa.decimal128(30, 2)), ([-(2**63)], [])),
        (pa.array([Decimal("92233720368547758.08")], pa.decimal256(60, 2)), ([], ["too large"])),
        (
            pa.array([Decimal128(text).bid for text in ("12.50", "0.001", "NaN")], pa.binary(16)),
            ([1250], ["fraction", "NaN"]),
        ),
        (pa.array(["۱۲٫۵", "1e3", "", None]), ([1250], ["unreadable", "empty", "null"])),
        (pa.array(["7.25"]).dictionary_encode(), ([725], [])),
    ],
)
def test_amounts_with_decimals_are_exact(column: pa.Array, expected: object) -> None:
    assert converted(column, Formats(2, amount_text=True)) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1719187200, -1]), [1719187200000, -1000]),
        (pa.array([1719187200.1239, -0.0005]), [1719187200123, -1]),
        (pa.array([Decimal("1.5001")], pa.decimal128(20, 4)), [1500]),
        (pa.array(["1.5", "-0.0001"]), [1500, -1]),
        (pa.array([7], pa.timestamp("s")), [7000]),
        (pa.array([Decimal128("1.5009").bid], pa.binary(16)), [1500]),
    ],
)
def test_numbers_and_text_are_read_as_epoch_times_with_that_format(column: pa.Array, expected: list[int]) -> None:
    table = {"merchantId": ["a"] * len(column), "amount": [1] * len(column), "createdAt": column}
    assert [at for _, _, at in read(table, Fields(formats=Formats(time_format="epoch-s"))).rows] == expected


@pytest.mark.parametrize(
    ("formats", "columns", "wanted"),
    [
        (Formats(2), {"amount": ["1"]}, "amount column is integer, double or decimal$"),
        (Formats(time_format="iso", text_zone="Etc/UTC"), {"createdAt": [1]}, "time column is timestamp, string$"),
        (Formats(time_format="epoch-s"), {"createdAt": [True]}, "time column is timestamp, string or number$"),
    ],
)
def test_an_unsupported_time_column_is_refused_with_the_supported_types(
    formats: Formats, columns: dict[str, Any], wanted: str
) -> None:
    table = {"merchantId": ["a"], "amount": [1], "createdAt": EPOCH} | columns
    with pytest.raises(SourceError, match=wanted):
        read(table, Fields(formats=formats))
