"""CSV as mongoexport writes it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from bson import Binary
from decoded import Decoded, attempted, read_as_file
from effort import COMPILED, tries
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SourceDamaged, SourceError
from jobs.decode.csv_kernel import EVERY_ROW, end_of_rows
from jobs.decode.formats import Formats
from jobs.decode.plan import Fields
from jobs.sources.chunks import Buffer
from jobs.sources.csv_text import CsvChunks
from jobs.sources.streams import ByteStream

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
def test_a_merchant_id_is_an_object_id_or_unchanged_text(merchant: str, text: str) -> None:
    assert read(f"{merchant},1,1970-01-01T00:00:00Z,x").rows == [(text, 1, 0)]


@pytest.mark.parametrize(
    ("amount", "number"),
    [("5", 5), ("-5", -5), ("+5", 5), ("5.0", 5), ("1e3", 1000), ("9223372036854775807", 2**63 - 1)],
)
def test_an_amount_is_parsed_as_an_integer(amount: str, number: int) -> None:
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
def test_an_invalid_row_is_rejected_with_its_reason(line: str, reason: tuple[str, str]) -> None:
    found = read(line, "a,1,1970-01-01T00:00:00Z,x")
    assert found.reasons == [reason]
    assert found.rejects[0].position == 1


def test_filters_match_text_ids_and_mapped_fields() -> None:
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
def test_a_missing_or_duplicate_column_is_refused_with_a_list(header: str) -> None:
    with pytest.raises(SourceError, match=r"must have each of these columns once: amount; it has merchantId,"):
        read(header=header)


@pytest.mark.parametrize(("line", "fields"), [("a,1", 2), ("a,1,1970-01-01T00:00:00Z,x,y", 5)])
def test_a_row_with_another_number_of_fields_is_damage(line: str, fields: int) -> None:
    good = "a,1,1970-01-01T00:00:00Z,x"
    with pytest.raises(SourceDamaged, match=f"not valid CSV: row 3 has {fields} fields, and the header 4$"):
        read(good, good, line, good)


def test_a_malformed_row_with_invalid_utf_8_is_damage() -> None:
    with pytest.raises(SourceDamaged, match="not valid CSV"):
        read_as_file(HEADER.encode() + b"a,1,1970-01-01T00:00:00Z,x\n\xff\xfe,1\n")


def test_an_unclosed_quote_is_damage() -> None:
    with pytest.raises(SourceDamaged, match="the file ends inside quotation marks"):
        read("a,1,1970-01-01T00:00:00Z,x", '"a,1,1970-01-01T00:00:00Z,x', "a,1,1970-01-01T00:00:00Z,x")


@pytest.mark.parametrize("delimiter", [",", "|", ";"])
@pytest.mark.parametrize("field", ['"a"b', '"say \\"hi\\""', '"a" ', '"a""b"c"', '"a\nb"c', '""a'])
def test_text_after_a_quoted_field_is_damage(field: str, delimiter: str) -> None:
    good = 'merchantId,amount,createdAt\n"a""b",5,1970-01-01T00:00:00Z\n5" pipe,6,1970-01-01T00:00:00Z\r\n'
    content = f"{good}{field},7,1970-01-01T00:00:00Z\n".replace(",", delimiter)
    with pytest.raises(SourceDamaged, match=f"at byte {len(good)}: text follows the closing quotation mark"):
        read_as_file(content.encode())
    assert read_as_file(good.replace(",", delimiter).encode()).rows == [('a"b', 5, 0), ('5" pipe', 6, 0)]


def test_text_after_a_quoted_field_is_found_in_a_row_that_ends_after_its_range() -> None:
    stream = ByteStream("rows.csv", io.BytesIO(b'a,1\n"b"c,2\nd,3\n'), None)
    with pytest.raises(SourceDamaged, match="at byte 4: text follows the closing quotation mark"):
        CsvChunks(stream, 2**16, stop=6).next(Buffer(0))


@pytest.mark.parametrize(
    ("rows", "begin"),
    [
        ('"a","b"\r\n', -1),
        ('a,"b""c"\n"d\r\n""",\r', -1),
        ('"",,""\n\n ""a\n', -1),
        ('\ufeff"a"b,"c"\n', -1),
        ('a"b"c,5" x\n', -1),
        ('a,"b"c,"d"e\n', 2),
        ('"a"\nb,"c\n" \n', 6),
        ('""a\n', 0),
        ('"a""b"\n"a"" ,"b\n', 7),
        ('a,"b";c\n', 2),
    ],
)
def test_the_kernel_finds_the_first_quoted_field_that_text_follows(rows: str, begin: int) -> None:
    content = np.frombuffer(rows.encode(), np.uint8)
    end, _, quoted, found = end_of_rows(content, 0, content.size, EVERY_ROW, ord(","))
    assert (end, quoted, found) == (content.size, False, begin)


def test_a_row_may_be_longer_than_a_chunk() -> None:
    times = 1_000_000 if COMPILED else 1000
    long, newlines = "x" * (3 * times), "\n" * (5 * times // 2)
    rows = ["a,1,1970-01-01T00:00:00Z,x", f"b,2,1970-01-01T00:00:00Z,{long}"]
    rows += [f'"c{newlines}",3,1970-01-01T00:00:00Z,x', "d,4,1970-01-01T00:00:00Z,x"]
    assert read(*rows).rows == [("a", 1, 0), ("b", 2, 0), ("c" + newlines, 3, 0), ("d", 4, 0)]


def test_a_row_that_is_too_long_is_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CsvChunks, "_max_document", 2**20)
    just = "x" * (2**20 - len("a,1,1970-01-01T00:00:00Z,\n"))
    row = f"a,1,1970-01-01T00:00:00Z,{just}\n"
    for chunk_bytes in (1000, 2**20) if COMPILED else ():
        assert read_as_file((HEADER + row).encode(), chunk_bytes=chunk_bytes).rows == [("a", 1, 0)]
        with pytest.raises(SourceDamaged, match="the row that begins here is longer than 1 MiB") as refusal:
            read_as_file((HEADER + row + "aa" + row + row).encode(), chunk_bytes=chunk_bytes)
        assert refusal.value.offset == len(HEADER + row)


CHARACTERS = ["\N{ZERO WIDTH NO-BREAK SPACE}", "\N{ARABIC LETTER KEHEH}", *'"a1']
QUOTED = st.text(st.sampled_from([*CHARACTERS, *",\r\n"]), max_size=6)
BARE = st.text(st.sampled_from(CHARACTERS), max_size=6).map(lambda text: "x" + text)


@tries(150)
@given(
    st.lists(st.one_of(QUOTED.map(lambda text: (text, True)), BARE.map(lambda text: (text, False))), max_size=12),
    st.sampled_from([1, 7, 40]),
)
def test_the_chunk_size_does_not_change_the_rows(cells: list[tuple[str, bool]], chunk_bytes: int) -> None:
    written = ['"' + text.replace('"', '""') + '"' if quoted else text for text, quoted in cells]
    content = "".join(f"{cell},{i},1970-01-01T00:00:00Z,x\n" for i, cell in enumerate(written))
    found = read_as_file((HEADER + content).encode(), chunk_bytes=chunk_bytes)
    assert [(m, a) for m, a, _ in found.rows] == [(text, i) for i, (text, _) in enumerate(cells) if text]


MERCHANT_CELLS = ["", "a", "42", "ObjectId(0123456789abcdef01234567)", "ObjectId(0123456789abcdef0123456z)", "\ufeffa"]
AMOUNT_CELLS = ["1", "-5", "+7", "1.5", "1e3", "", "true", "x", "9" * 20, "NaN"]
TIME_CELLS = ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.123Z", "1970-01-01 00:01Z", "1970-01-01T00:00:61Z", "", "x"]
ROWS = st.tuples(*map(st.sampled_from, (MERCHANT_CELLS, AMOUNT_CELLS, TIME_CELLS, ["x", ""]))).map(",".join)
FEW_WRONG_LINES = st.one_of(
    ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, st.sampled_from(["", "a,1,1970-01-01T00:00:00Z", ",,,,"])
)


def in_full(found: Decoded | None) -> object:
    return found and (found.rows, [(one.position, one.field, one.reason, one.document()) for one in found.rejects])


@tries(90)
@given(st.lists(FEW_WRONG_LINES, max_size=12))
def test_rows_with_and_without_quotes_are_parsed_equally(lines: list[str]) -> None:
    content = HEADER + "".join(line + "\n" for line in lines)
    plain, plain_error = attempted(lambda: read_as_file(content.encode()))
    quoted, error = attempted(lambda: read_as_file((content + '"last",8,1970-01-01T00:00:00Z,x\n').encode()))
    if quoted is not None:
        assert quoted.rows.pop() == ("last", 8, 0)
    assert in_full(plain) == in_full(quoted)
    assert plain_error.partition("damaged")[2] == error.partition("damaged")[2]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_common_line_end_is_accepted(end: str) -> None:
    lines = [HEADER.rstrip(), "a,1,1970-01-01T00:00:00Z,x", "b,2,1970-01-01T00:00:00Z,x", "", "c,,,"]
    for chunk_bytes in (1, 10, 2**20):
        found = read_as_file("".join(line + end for line in lines).encode(), chunk_bytes=chunk_bytes)
        assert found.rows == [("a", 1, 0), ("b", 2, 0)]
        assert [reject.position for reject in found.rejects] == [3]


def test_a_header_may_contain_newlines_and_types_are_not_guessed() -> None:
    header = 'merchantId,amount,createdAt,"a\nname"\n'
    assert read("007,1,1970-01-01T00:00:00Z,1", header=header).rows == [("007", 1, 0)]
    assert read("007,1,1970-01-01T00:00:00Z,1,2", header="merchantId,amount,createdAt,x,x\n").rows == [("007", 1, 0)]


def test_a_byte_order_mark_inside_the_file_belongs_to_its_value() -> None:
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}"
    rows = [f"{mark}a,1,1970-01-01T00:00:00Z,x", f"{mark}{mark}b,2,1970-01-01T00:00:00Z,x"]
    for chunk_bytes in (1, 2**20):
        content = (mark + HEADER + "".join(row + "\n" for row in rows)).encode()
        assert [m for m, _, _ in read_as_file(content, chunk_bytes=chunk_bytes).rows] == [mark + "a", 2 * mark + "b"]


def test_a_header_that_is_not_text_is_damage() -> None:
    with pytest.raises(SourceDamaged, match="not valid CSV"):
        read_as_file(b"merchantId,\xff\na,b\n")


def test_a_header_alone_is_an_export_without_transactions() -> None:
    assert read().counts.read == 0


def test_a_merchant_id_with_invalid_utf_8_is_rejected_and_quarantined() -> None:
    found = read_as_file(HEADER.encode() + b"\xff\xfe,1,1970-01-01T00:00:00Z,x\n")
    assert found.reasons == [("merchant", "not UTF-8")]
    assert found.rejects[0].document()["merchantId"] == Binary(b"\xff\xfe")


def test_a_long_merchant_id_grows_the_merchant_table() -> None:
    name = "x" * (100_000 if COMPILED else 20_000)
    assert read(f"{name},1,1970-01-01T00:00:00Z,x").rows == [(name, 1, 0)]


FORMS = Formats(2, False, "iso", "Asia/Tehran")
OTHER_FORM = 'merchantId{0}amount{0}createdAt\na{0}12.50{0}2024-06-24 10:00\n"b{0}\n"{0}1{0}2024-06-24\n'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_another_delimiter_is_detected_from_the_header(delimiter: str) -> None:
    found = read_as_file(OTHER_FORM.format(delimiter).encode(), Fields(formats=FORMS))
    assert found.rows == [("a", 1250, 1719210600000), (f"b{delimiter}\n", 100, 1719174600000)]


def test_the_delimiter_option_is_used() -> None:
    fields = Fields(formats=replace(FORMS, csv_delimiter="^"))
    assert [amount for _, amount, _ in read_as_file(OTHER_FORM.format("^").encode(), fields).rows] == [1250, 100]
    with pytest.raises(SourceError, match="must have each of these columns once: createdAt, merchantId, amount"):
        read_as_file(OTHER_FORM.format(";").encode(), Fields(formats=replace(FORMS, csv_delimiter=",")))


def test_a_wrong_column_gets_suggestions() -> None:
    with pytest.raises(
        SourceError, match="must have each of these columns once: amount; it has merchantId, total, createdAt"
    ):
        read_as_file(b"merchantId;total;createdAt\na;1;1970-01-01T00:00:00Z\n")


@pytest.mark.parametrize("chunk_bytes", [16, 64, 4096])
def test_chunks_end_at_row_boundaries_for_any_delimiter(chunk_bytes: int) -> None:
    content = "merchantId;amount;createdAt\n" + '"a;,""\n";5;1970-01-01T00:00:00Z\n' * 50
    found = read_as_file(content.encode(), chunk_bytes=chunk_bytes)
    assert found.rows == [('a;,"\n', 5, 0)] * 50


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("12,5", 1250),
        ("-12,50", -1250),
        ("7", 700),
        (",5", 50),
        ("1,255", "fraction"),
        ("12.5", "text"),
        ("1.234,5", "text"),
        ("1,2,3", "text"),
        ("", "missing"),
    ],
)
def test_with_a_decimal_comma_a_decimal_point_is_rejected(amount: str, expected: object) -> None:
    fields = Fields(formats=Formats(2, csv_decimal_comma=True))
    found = read_as_file(f"merchantId;amount;createdAt\na;{amount};1970-01-01T00:00:00Z\n".encode(), fields)
    assert [one for _, one, _ in found.rows] + [reason for _, reason in found.reasons] == [expected]
    quoted = read_as_file(f'merchantId,amount,createdAt\na,"{amount}",1970-01-01T00:00:00Z\n'.encode(), fields)
    assert quoted.rows == found.rows
    assert quoted.reasons == found.reasons


def test_persian_digits_and_other_time_formats_are_read() -> None:
    fields = Fields(formats=Formats(1, amount_text=True, time_format="epoch-s"))
    lines = "a,۱۲٫۵,1.5\na,1 2,0\na,,0\na,1,\na,1,x\na,1e1,0\n"
    found = read_as_file(f"merchantId,amount,createdAt\n{lines}".encode(), fields)
    assert found.rows == [("a", 125, 1500), ("a", 100, 0)]
    assert found.reasons == [
        ("amount", "unreadable"), ("amount", "missing"), ("time", "missing"), ("time", "unreadable"),
    ]  # fmt: skip
