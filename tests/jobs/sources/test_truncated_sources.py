"""Truncated sources, at every byte, and sources with a flipped bit."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterable

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import Segment, archive
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from bson.json_util import dumps
from decoded import read_as_file
from effort import THOROUGH

from core.errors import SourceDamaged, SourceError

DOCUMENTS = [
    {"_id": 1, "merchantId": ObjectId("0123456789abcdef01234567"), "amount": 5, "createdAt": DatetimeMS(0)},
    {"_id": 2, "merchantId": "فروشگاه", "amount": 2**40, "createdAt": DatetimeMS(1)},
    {"_id": 3, "merchantId": 42, "amount": 7.0, "createdAt": DatetimeMS(2)},
]
RAW = [bson.encode(document) for document in DOCUMENTS]
BSON = b"".join(RAW)
ARCHIVE = archive(
    [Segment("shop.transaction", RAW[:1]), Segment("shop.users", RAW[:1]), Segment("shop.transaction", RAW[1:])],
    empty=["shop.audit"],
)
LINES = [dumps(document).encode() for document in DOCUMENTS]
JSON_LINES = b"".join(line + b"\n" for line in LINES)
JSON_ARRAY = b"[" + b",\n".join(LINES) + b"]"
CSV = b"""_id,merchantId,amount,createdAt
1,ObjectId(0123456789abcdef01234567),5,1970-01-01T00:00:00Z
2,\xd9\x81,1099511627776,1970-01-01T00:00:00.001Z
3,"4\n2",7,1970-01-01T00:00:00.002Z
"""
EVERY = 1 if THOROUGH else 4
"""Every position, or some of them, from one by chance on."""


def cuts(content: bytes) -> range:
    return range(random.randrange(EVERY), len(content), EVERY)


def parquet() -> bytes:
    table = pa.table({"merchantId": ["a"], "amount": [5], "createdAt": pa.array([0], pa.timestamp("ms"))})
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def require_damage(content: bytes, cut: int) -> None:
    """Cut off at `cut`, it is refused by an error that names the file, and the place unless almost nothing is left."""
    with pytest.raises(SourceError) as caught:
        read_as_file(content[:cut])
    assert "source-" in caught.value.sentence
    if isinstance(caught.value, SourceDamaged):
        assert caught.value.offset >= 0
    else:
        assert cut < 200


@pytest.mark.parametrize("content", [ARCHIVE, JSON_ARRAY], ids=["archive", "JSON array"])
def test_a_truncated_source_with_a_known_length_is_refused(content: bytes) -> None:
    assert read_as_file(content).counts.counted == 3
    for cut in cuts(content):
        require_damage(content, cut)


@pytest.mark.parametrize(
    "content", [BSON, ARCHIVE, JSON_LINES, JSON_ARRAY, CSV], ids=["BSON", "archive", "JSON lines", "JSON array", "CSV"]
)
def test_truncated_gzip_is_refused(content: bytes) -> None:
    compressed = gzip.compress(content, 6)
    assert read_as_file(compressed).counts.counted == 3
    for cut in cuts(compressed):
        require_damage(compressed, cut)


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
@pytest.mark.parametrize("content", [BSON, JSON_LINES], ids=["BSON", "JSON lines"])
def test_truncated_bson_and_json_lines_are_refused_except_between_documents(content: bytes, chunk_bytes: int) -> None:
    lengths = [len(part) for part in (RAW if content is BSON else LINES)]
    newline = 0 if content is BSON else 1
    ends = {sum(lengths[:i]) + newline * (i - 1) for i in (1, 2, 3)}
    undetectable = ends | {end + newline for end in ends}
    beside_them = {end + distance for end in undetectable for distance in (-1, 0, 1)}
    for cut in sorted({*cuts(content), *beside_them.intersection(range(len(content)))}):
        if cut in undetectable:
            # Nothing in such a file says how many documents it holds.
            assert read_as_file(content[:cut], chunk_bytes=chunk_bytes).counts.counted == sum(e <= cut for e in ends)
        else:
            require_damage(content, cut)


def test_truncated_csv_is_refused_except_after_a_line() -> None:
    rows = CSV.replace(b'"4\n2"', b'"4|2"')
    assert read_as_file(CSV).counts.counted == 3
    ends = [at for at in range(1, len(CSV)) if rows[:at].endswith(b"\n")]
    for cut in sorted({*cuts(CSV), *ends}):
        if rows[:cut].endswith(b"\n"):
            # A file of fewer lines is as good a CSV as the whole one.
            assert read_as_file(CSV[:cut]).counts.counted == rows[:cut].count(b"\n") - 1
        else:
            require_damage(CSV, cut)


def test_truncated_parquet_is_refused() -> None:
    content = parquet()
    assert read_as_file(content).counts.counted == 1
    for cut in range(0, len(content), 7):
        require_damage(content, cut)


def flips(content: bytes) -> Iterable[tuple[int, int]]:
    """Positions, and which bit is flipped there: each bit of all, or one by chance of each second one."""
    if THOROUGH:
        return ((at, bit) for bit in range(8) for at in range(len(content)))
    return ((at, random.randrange(8)) for at in range(random.randrange(2), len(content), 2))


def test_a_flipped_bit_in_an_archive_is_detected_or_harmless() -> None:
    whole = read_as_file(ARCHIVE).rows
    tried, survived = list(flips(ARCHIVE)), []
    for at, bit in tried:
        flipped = ARCHIVE[:at] + bytes([ARCHIVE[at] ^ 1 << bit]) + ARCHIVE[at + 1 :]
        try:
            found = read_as_file(flipped)
        except SourceError:
            continue
        assert found.rows == whole
        survived.append(at)
    # What may flip unseen are words about the archive and its collections that say nothing about documents.
    assert len(survived) < len(tried) // 2
    first_document = ARCHIVE.index(RAW[0])
    assert not [at for at in survived if first_document <= at < first_document + len(RAW[0])]


def test_a_flipped_bit_in_a_gzipped_archive_is_detected_or_harmless() -> None:
    whole = read_as_file(ARCHIVE).rows
    compressed = gzip.compress(ARCHIVE, 6)
    for at in cuts(compressed):
        flipped = compressed[:at] + bytes([compressed[at] ^ 1 << at % 8]) + compressed[at + 1 :]
        try:
            assert read_as_file(flipped).rows == whole
        except SourceError:
            continue


@pytest.mark.parametrize("length", [-(2**31), -1, 0, 4, 16 * 2**20 + 16 * 2**10 + 1, 2**31 - 1])
def test_an_impossible_document_length_is_refused_with_its_offset(length: int) -> None:
    wrong = length.to_bytes(4, "little", signed=True) + RAW[1][4:]
    with pytest.raises(SourceDamaged, match=f"has the length {length}") as caught:
        read_as_file(RAW[0] + wrong + RAW[2])
    assert caught.value.offset == len(RAW[0])


@pytest.mark.parametrize("change", [-1, 1, 5])
def test_a_slightly_wrong_document_length_is_refused(change: int) -> None:
    wrong = (len(RAW[1]) + change).to_bytes(4, "little") + RAW[1][4:]
    with pytest.raises(SourceDamaged) as caught:
        read_as_file(RAW[0] + wrong + RAW[2])
    assert caught.value.offset >= len(RAW[0])


def test_a_line_longer_than_the_largest_document_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.sources.chunks.WholeDocuments._max_document", 1000)
    with pytest.raises(SourceDamaged, match="longer than"):
        read_as_file(LINES[0] + b"\n" + b'{"x":"' + b"x" * 5000, chunk_bytes=100)
