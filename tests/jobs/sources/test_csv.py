"""CSV as mongoexport writes it."""

from __future__ import annotations

import pytest
from bson import Binary
from decoded import Decoded, read_as_file

from core.errors import SourceDamaged, SourceError
from jobs.decode.plan import Fields

HEADER = "merchantId,amount,createdAt,card.kind\n"


def read(*lines: str, fields: Fields | None = None, header: str = HEADER) -> Decoded:
    return read_as_file((header + "".join(line + "\n" for line in lines)).encode(), fields)


@pytest.mark.parametrize(
    ("merchant", "text"),
    [
        ("ObjectId(0123456789ABCDEF01234567)", "0123456789abcdef01234567"),
        ("0123456789ABCDEF01234567", "0123456789ABCDEF01234567"),
        ("ObjectId(0123456789abcdef0123456z)", "ObjectId(0123456789abcdef0123456z)"),
        ("ObjectId(0123456789abcdef01234567]", "ObjectId(0123456789abcdef01234567]"),
        ("ObjectIX(0123456789abcdef01234567)", "ObjectIX(0123456789abcdef01234567)"),
        ("007", "007"),
        ("null", "null"),
        ('"a,""b"""', 'a,"b"'),
        ('"a\nb"', "a\nb"),
        ("فروشگاه", "فروشگاه"),
    ],
)
def test_a_merchant_is_an_object_id_or_the_text_as_it_stands(merchant: str, text: str) -> None:
    assert read(f"{merchant},1,1970-01-01T00:00:00Z,x").rows == [(text, 1, 0)]


@pytest.mark.parametrize(
    ("amount", "number"),
    [("5", 5), ("-5", -5), ("+5", 5), ("5.0", 5), ("1e3", 1000), ("9223372036854775807", 2**63 - 1)],
)
def test_an_amount_is_the_integer_it_reads_as(amount: str, number: int) -> None:
    assert read(f"a,{amount},1970-01-01T00:00:00Z,x").rows == [("a", number, 0)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",1,1970-01-01T00:00:00Z,x", ("merchant", "missing")),
        ("a,,1970-01-01T00:00:00Z,x", ("amount", "missing")),
        ("a,true,1970-01-01T00:00:00Z,x", ("amount", "boolean")),
        ("a,false,1970-01-01T00:00:00Z,x", ("amount", "boolean")),
        ("a,1.5,1970-01-01T00:00:00Z,x", ("amount", "fraction")),
        ("a,9223372036854775808,1970-01-01T00:00:00Z,x", ("amount", "too large")),
        ("a,9007199254740994.0,1970-01-01T00:00:00Z,x", ("amount", "too large")),
        ("a,NaN,1970-01-01T00:00:00Z,x", ("amount", "NaN")),
        ("a,+Inf,1970-01-01T00:00:00Z,x", ("amount", "infinity")),
        ("a,five,1970-01-01T00:00:00Z,x", ("amount", "text")),
        ("a,1,,x", ("time", "missing")),
        ("a,1,yesterday,x", ("time", "unreadable")),
        ("a,1,1970-01-01T00:00:00,x", ("time", "unreadable")),
    ],
)
def test_what_cannot_be_counted_is_rejected_with_its_reason(line: str, reason: tuple[str, str]) -> None:
    found = read(line, "a,1,1970-01-01T00:00:00Z,x")
    assert found.reasons == [reason]
    assert found.rejects[0].position == 1


def test_a_filter_looks_at_text_ids_and_roles() -> None:
    line = "a,1,1970-01-01T00:00:00Z,ObjectId(0123456789abcdef01234567)"
    for where, passed in [
        (("card.kind", "0123456789abcdef01234567"), 1),
        (("card.kind", "x"), 0),
        (("amount", "1"), 1),
        (("merchantId", "a"), 1),
        (("createdAt", "1970-01-01T00:00:00Z"), 0),
    ]:
        assert len(read(line, fields=Fields(where=(where,))).rows) == passed, where


@pytest.mark.parametrize("header", ["merchantId,createdAt,x\n", "merchantId,amount,amount,createdAt\n"])
def test_a_column_that_is_missing_or_there_twice_is_refused_with_a_list(header: str) -> None:
    with pytest.raises(SourceError, match=r"has no column amount, or more than one: it has merchantId,"):
        read(header=header)


@pytest.mark.parametrize("line", ["a,1", "a,1,1970-01-01T00:00:00Z,x,y", '"a,1,1970-01-01T00:00:00Z,x'])
def test_a_line_of_another_length_is_damage(line: str) -> None:
    with pytest.raises(SourceDamaged, match="no valid CSV"):
        read("a,1,1970-01-01T00:00:00Z,x", line, "a,1,1970-01-01T00:00:00Z,x")


def test_a_header_that_is_not_text_is_damage() -> None:
    with pytest.raises(SourceDamaged, match="no valid CSV"):
        read_as_file(b"merchantId,\xff\na,b\n")


def test_a_header_alone_is_an_export_without_transactions() -> None:
    assert read().counts.read == 0


def test_a_merchant_that_is_not_utf_8_is_rejected_and_kept_as_it_is() -> None:
    found = read_as_file(HEADER.encode() + b"\xff\xfe,1,1970-01-01T00:00:00Z,x\n")
    assert found.reasons == [("merchant", "not UTF-8")]
    assert found.rejects[0].document()["merchantId"] == Binary(b"\xff\xfe")


def test_a_name_longer_than_the_table_of_merchants_makes_it_grow() -> None:
    name = "x" * 100_000
    assert read(f"{name},1,1970-01-01T00:00:00Z,x").rows == [(name, 1, 0)]
