"""Inspection of a source, compared with the results of a run."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ROOT
from decoded import read_file
from transactions import write_bson

from core.errors import SourceDamaged, SourceError
from jobs.decode.classify import Window
from jobs.decode.formats import Formats
from jobs.decode.plan import Fields
from jobs.inspection.candidates import Candidate, FilterCandidate
from jobs.inspection.fields import fields_of, value_at, without_secrets
from jobs.inspection.first_documents import Sample, read_first
from jobs.inspection.formats import Context
from jobs.inspection.report import Report, inspect, shell_quoted
from jobs.inspection.values import RoleValues
from jobs.sources.live.options import LiveOptions

NAMED_MS = (-(2**62), 2**62)
CONTEXT = Context(NAMED_MS, "Asia/Tehran")
AT = datetime(2024, 6, 24, 8, tzinfo=UTC)
SHOP = ROOT / "tests/data/shop"
SOURCES = [
    *(SHOP / name for name in ("transaction.bson", "transaction.csv", "transaction.array.json")),
    *(ROOT / "tests/data/parquet" / f"{name}.parquet" for name in ("int96", "pymongoarrow")),
    *(
        pytest.param(SHOP / name, marks=pytest.mark.thorough)
        for name in (
            "dump",
            "shop.archive",
            "shop.archive.gz",
            "transaction.canonical.jsonl",
            "transaction.relaxed.jsonl",
        )
    ),
]


def first(path: Path, wanted: int = 10_000) -> Sample:
    return read_first(str(path), None, LiveOptions(), wanted)


def report_of(path: Path, *documents: dict[str, Any]) -> Report:
    return inspect(first(Path(write_bson(path / "some.bson", documents))), CONTEXT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_inspection_accepts_and_rejects_like_a_run(path: Path) -> None:
    decoded = read_file(path)
    sample = first(path)
    assert (len(sample.documents), sample.has_more) == (decoded.counts.read, False)
    roles = ("time", "merchant", "amount")
    values = {
        role: [value_at(document, getattr(Fields(), role), sample.is_flat) for document in sample.documents]
        for role in roles
    }
    reasons_by_role = zip(*(RoleValues(role, values[role]).reasons(NAMED_MS) for role in roles), strict=True)
    first_reasons = (
        next((pair for pair in zip(roles, reasons, strict=True) if pair[1]), None) for reasons in reasons_by_role
    )
    assert Counter(filter(None, first_reasons)) == Counter(decoded.reasons)
    assert inspect(sample, CONTEXT).rejected == decoded.counts.rejected


EDGES = [
    2**31, -(2**63), 2**63 - 1, 1.0, 1.5, 2.0**53, 2.0**53 + 2, float("nan"), float("-inf"), True, None, "", "7", [1],
    {"a": 1}, bson.Int64(5), bson.ObjectId(), bson.Decimal128("1E+3"), bson.Decimal128("0E+6000"),
    bson.Decimal128("9223372036854775808"), bson.Decimal128("0.5"), bson.Decimal128("NaN"),
    b"12", AT, bson.Timestamp(1, 1), bson.DatetimeMS(10**15), "پ", bson.Decimal128("-Infinity"),
    bson.Code("f()"), bson.Code("f()", {"a": 1}), bson.Regex("a.b"),
]  # fmt: skip


@pytest.mark.parametrize("role", ["time", "merchant", "amount"])
def test_inspection_reads_every_kind_of_value_like_a_run(role: str, tmp_path: Path) -> None:
    window = Window(0, 10**14, 0, 10**14)
    usual = {"merchantId": "m", "amount": 1, "createdAt": AT}
    path = write_bson(tmp_path / "edges.bson", [usual | {getattr(Fields(), role): value} for value in EDGES])
    decoded = read_file(path, window=window)
    values = [document[getattr(Fields(), role)] for document in first(Path(path)).documents]
    reasons = RoleValues(role, values).reasons((0, 10**14))
    assert [reason for reason in reasons if reason is not None] == [reject.reason for reject in decoded.rejects]


def test_nested_fields_are_found_by_their_paths(tmp_path: Path) -> None:
    found = report_of(tmp_path, {"shop": {"id": "a", "tags": []}, "sum": {"net": 5, "vat": 0.5}, "at": AT})
    assert {field.path: dict(field.types) for field in found.fields} == {
        "shop.id": {"string": 1}, "shop.tags": {"array": 1}, "sum.net": {"int32": 1}, "sum.vat": {"double": 1},
        "at": {"date": 1},
    }  # fmt: skip
    assert found.command("some.bson", None) == [
        "python", "-m", "jobs", "rebuild", "some.bson",
        "--merchant-field", "shop.id", "--amount-field", "sum.net", "--time-field", "at",
    ]  # fmt: skip


def test_the_creation_time_is_preferred_to_the_update_time(tmp_path: Path) -> None:
    documents = [{"updatedAt": AT, "created_at": AT, "total": number, "seller": "x"} for number in range(4)]
    roles = report_of(tmp_path, *documents).roles
    assert [roles[role] and roles[role].path for role in ("time", "amount", "merchant")] == [  # type: ignore[union-attr]
        "created_at", "total", "seller",
    ]  # fmt: skip


def test_a_field_with_few_valid_amounts_is_not_suggested(tmp_path: Path) -> None:
    documents = [{"merchantId": "m", "amount": f"{n}", "price": n, "createdAt": AT} for n in range(4)]
    taken = report_of(tmp_path, *documents).roles["amount"]
    assert taken is not None
    assert (taken.path, taken.counted) == ("price", 4)


def test_without_a_date_there_is_no_suggested_command(tmp_path: Path) -> None:
    found = report_of(tmp_path, {"merchantId": "m", "amount": 1, "createdAt": "yesterday"})
    assert (found.roles["time"], found.command("some.bson", None), found.rejected) == (None, None, None)


def test_a_field_name_with_a_dot_is_shown_but_never_suggested(tmp_path: Path) -> None:
    found = report_of(tmp_path, {"merchantId": "m", "pay.amount": 5, "createdAt": AT})
    assert [(field.path, field.is_reachable) for field in found.fields] == [
        ("merchantId", True), ("pay.amount", False), ("createdAt", True),
    ]  # fmt: skip
    assert found.roles["amount"] is None


def test_a_filter_for_paid_transactions_is_suggested(tmp_path: Path) -> None:
    documents = [
        {"merchantId": f"m{n}", "amount": n, "createdAt": AT, "status": "failed" if n else "paid"} for n in range(20)
    ]
    assert report_of(tmp_path, *documents).filters == (
        FilterCandidate("status", {"failed": 19, "paid": 1}, proposed="paid"),
    )


def test_the_suggested_command_is_quoted_for_the_shell(tmp_path: Path) -> None:
    command = report_of(tmp_path, {"shop id": "m", "total $": 1, "at": AT}).command("it's here.bson", None)
    assert command is not None
    assert shell_quoted(command[4:]) == (
        "'it'\"'\"'s here.bson' --merchant-field 'shop id' --amount-field 'total $' --time-field at"
    )


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("mongodb://user:s3cret@db.example/shop", '"$SOURCE_URL"'),
        ("mongodb://db.example/shop", "mongodb://db.example/shop"),
        ("https://bucket.example/x.bson?X-Amz-Signature=s3cret", '"$SOURCE_URL"'),
        ("s3://bucket/dump.bson", "s3://bucket/dump.bson"),
        ("what?.bson", "'what?.bson'"),
    ],
)
def test_the_suggested_command_contains_no_secret(argument: str, shown: str, tmp_path: Path) -> None:
    command = report_of(tmp_path, {"merchantId": "m", "amount": 1, "createdAt": AT}).command(argument, None)
    assert command is not None
    assert shell_quoted(command[4:]) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:s3cret@pay.example/x?token=s3cret#s3cret", "https://pay.example/…"),
        ("https://pay.example", "https://pay.example"),
        ("redis://:s3cret@host:6379/0", "redis://host:6379/…"),
        ("see mongodb://a:s3/cret@db/x, then", "see mongodb://… then"),
        ("//cdn.example/k?s3cret", "//cdn.example/…"),
        ("/callback?token=s3cret", "/callback?…"),
        ("half // full", "half // full"),
        ("no URL: 5/3?", "no URL: 5/3?"),
    ],
)
def test_example_values_contain_no_secrets_of_urls(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    [field] = fields_of([{"note": {"inner": [text]}}], is_flat=False)
    assert "s3cret" not in str(field.examples())


def test_inspection_reads_only_the_first_documents(tmp_path: Path) -> None:
    whole = SHOP / "transaction.relaxed.jsonl"
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(20 * whole.read_bytes(), 1)[:-3000])
    sample = first(tmp_path / "cut.jsonl.gz", 3)
    assert sample.file_format == "JSON lines, gzip"
    assert list(sample.documents) == list(first(whole, 3).documents)
    assert (sample.has_more, sample.damage) == (True, None)


def test_documents_before_damage_are_shown_with_a_warning(tmp_path: Path) -> None:
    content = (SHOP / "transaction.bson").read_bytes()
    (tmp_path / "cut.bson").write_bytes(content[:-1])
    sample = first(tmp_path / "cut.bson")
    assert len(sample.documents) == 1199
    assert sample.damage is not None
    assert "cut.bson is damaged at byte" in sample.damage
    (tmp_path / "nothing.bson").write_bytes(content[:20])
    with pytest.raises(SourceDamaged):
        first(tmp_path / "nothing.bson")


def test_a_damaged_page_of_parquet_is_an_error_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"amount": range(1000)}), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.parquet cannot be read: .*orrupt"):
        first(path)


def test_an_integer_of_thousands_of_digits_is_too_large(tmp_path: Path) -> None:
    digits = "9" * 5000
    (tmp_path / "x.json").write_text(f'{{"amount": {digits}, "createdAt": {{"$date": "2024-06-24T08:00:00Z"}}}}\n')
    (tmp_path / "x.csv").write_text(f"merchantId,amount,createdAt\nm,{digits},2024-06-24T08:00:00Z\n")
    for name in ("x.json", "x.csv"):
        (document,) = first(tmp_path / name).documents
        assert RoleValues("amount", [document["amount"]]).reasons(NAMED_MS) == ["too large"]


def test_json_over_many_lines_and_blocks_is_split_into_documents(tmp_path: Path) -> None:
    documents = [{"n": n, "text": "یک ] } , { [" * 3000, "deep": {"a": [{"b": n}]}} for n in range(30)]
    path = tmp_path / "pretty.json"
    for content in (json.dumps(documents, indent=2, ensure_ascii=False), "\n".join(map(json.dumps, documents))):
        path.write_text("\ufeff" + content, "utf-8")
        assert [document["n"] for document in first(path).documents] == list(range(30))
    shutil.copy(path, tmp_path / "cut.json")
    (tmp_path / "cut.json").write_text(path.read_text("utf-8")[:-2], "utf-8")
    assert len(first(tmp_path / "cut.json").documents) == 29


FORMATS = Formats(2, True, "epoch-s")
FORMAT_EDGES = [
    *EDGES, 0.1, 12.345, -0.005, 90071992547409.91, 1719187200.1234, -0.0001, 2.0**52 + 0.5, "۱۲٫۵", "-1.25", "1.255",
    "1e3", " 5", "+.5", "5.", ".", "1719187200", "1" * 25, bson.Decimal128("12.500"), bson.Decimal128("1E-6000"),
    bson.Decimal128("92233720368547758.08"), 2**62,
]  # fmt: skip


@pytest.mark.parametrize("role", ["time", "amount"])
@pytest.mark.parametrize(
    "formats",
    [
        FORMATS,
        Formats(9, time_format="epoch-ms"),
        Formats(0, True, "iso", "Asia/Tehran"),
        Formats(0, True, "iso", "America/Havana"),
        Formats(0, True, "%d %B %Y", "America/Havana"),
        Formats(0, True, "%d %b %Y %H", "America/Havana"),
    ],
    ids=str,
)
def test_with_formats_inspection_reads_values_like_a_run(role: str, formats: Formats, tmp_path: Path) -> None:
    texts = ["2021-09-21T23:30:00", "2021-03-22T00:30", "2021-03-22", "2024-06-24 10:00:00.5", "2024-06-24T10:00+03:30"]
    texts += ["2023-11-05", "2023-11-05T00:00", "5 November 2023", "5 Nov 2023 0", "1 April 1990", "1 Apr 1990 0"]
    window = Window(0, 10**14, 0, 10**14)
    usual = {"merchantId": "m", "amount": 1, "createdAt": AT}
    documents = [usual | {getattr(Fields(), role): value} for value in (*FORMAT_EDGES, *texts)]
    path = write_bson(tmp_path / "edges.bson", documents)
    decoded = read_file(path, Fields(formats=formats), window=window)
    values = [document[getattr(Fields(), role)] for document in first(Path(path)).documents]
    reasons = RoleValues(role, values).reasons((0, 10**14), formats)
    assert [reason for reason in reasons if reason is not None] == [reject.reason for reject in decoded.rejects]


@pytest.mark.parametrize(
    ("amounts", "times", "options"),
    [
        ([1, 2, 3], [AT] * 3, ()),
        ([12.5, 3.0, 0.25], [AT] * 3, ("--amount-scale", "2")),
        ([0.1 + 0.2, *[0.5] * 200], [AT] * 201, ("--amount-scale", "1")),
        ([bson.Decimal128("7.00"), bson.Decimal128("7.10")], [AT] * 2, ("--amount-scale", "2")),
        (["1.50", "۲", "3"], [AT] * 3, ("--amount-scale", "2", "--amount-text")),
        ([1], ["2024-06-24T10:00:00Z"], ("--time-format", "iso")),
        ([1], ["2024-06-24 10:00"], ("--time-format", "iso", "--time-zone-of-text", "Asia/Tehran")),
        ([1], [1719187200], ("--time-format", "epoch-s")),
        ([1], [1719187200123.0], ("--time-format", "epoch-ms")),
        ([1, 1], ["13/06/2024", "01/02/2024"], ("--time-format", "%d/%m/%Y", "--time-zone-of-text", "Asia/Tehran")),
    ],
)
def test_the_suggested_options_accept_the_most_documents(
    amounts: list[Any], times: list[Any], options: tuple[str, ...], tmp_path: Path
) -> None:
    pairs = zip(amounts, times, strict=True)
    report = report_of(tmp_path, *({"merchantId": "m", "amount": one, "createdAt": at} for one, at in pairs))
    assert report.command("some.bson", None) == ["python", "-m", "jobs", "rebuild", "some.bson", *options]
    assert report.rejected == (1 if len(amounts) > 200 else 0)


def test_a_decimal_comma_is_not_suggested_for_commas_that_may_separate_thousands(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    rows = "".join(f'a,"{amount}",2024-06-24T10:00Z\n' for amount in ("5,000", "-1,250,000", "700"))
    path.write_text(f"merchantId,amount,createdAt\n{rows}")
    assert inspect(first(path), CONTEXT).roles["amount"] == Candidate("amount", 1, {"text": 2})


def test_the_columns_of_a_csv_file_in_another_format_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text('merchantId;amount;createdAt\na;"1,50";2024-06-24T10:00Z\na;7;2024-06-24T10:00Z\n')
    report = inspect(first(path), CONTEXT)
    assert [field.path for field in report.fields] == ["merchantId", "amount", "createdAt"]
    assert report.command("x", None) == [
        "python", "-m", "jobs", "rebuild", "x", "--amount-scale", "2", "--csv-decimal-comma",
    ]  # fmt: skip
