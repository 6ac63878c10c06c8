"""Format detection: files, folders and standard input are recognised by content."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from decoded import EVER, read_as_file, read_file

from core.calendar.days import LocalDays
from core.errors import SourceDamaged, SourceError, UnknownFormat
from jobs.decode.plan import Fields
from jobs.partitions.count_partition import CountingState, CountPlan, count_partition
from jobs.runs.rejects import RejectLimits
from jobs.sources.partition import ReadOptions
from jobs.sources.recognise import open_source

SHOP = Path(__file__).parents[2] / "data" / "shop"
RAW = bson.encode({"merchantId": "a", "amount": 1, "createdAt": DatetimeMS(0)})
LINE = b'{"merchantId":"a","amount":1,"createdAt":{"$date":0}}'
CSV = b"merchantId,amount,createdAt\na,1,1970-01-01T00:00:00Z\n"
ROWS = [("a", 1, 0)]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (RAW, "BSON"),
        (LINE, "JSON lines"),
        (b"\n " + LINE + b"\r\n", "JSON lines"),
        (b"\xef\xbb\xbf" + LINE + b"\n", "JSON lines"),
        (b"[" + LINE + b"]", "JSON array"),
        (b"\xef\xbb\xbf \n[\n" + LINE + b"\n]\n", "JSON array"),
        (LINE.replace(b",", b",\n"), "JSON documents"),
        (LINE.replace(b"{", b"{\n", 1) + b"\n", "JSON documents"),
        (CSV, "CSV"),
        (b"\xef\xbb\xbf" + CSV, "CSV"),
        (CSV.replace(b"\n", b"\r\n"), "CSV"),
        (b'"merchantId","amount","createdAt"\n"a","1",1970-01-01T00:00:00Z\n', "CSV"),
        (gzip.compress(RAW, mtime=0), "BSON, gzip"),  # the same in every worker: it is part of the test's name
        (gzip.compress(LINE, mtime=0) + gzip.compress(b"\n", mtime=0), "JSON lines, gzip"),
    ],
)
def test_the_format_of_a_file_is_detected_by_content(tmp_path: Path, content: bytes, form: str) -> None:
    path = tmp_path / "export.parquet"
    path.write_bytes(content)
    source = open_source(str(path), Fields(), None)
    assert source.file_format == form
    for chunk_bytes in (1, 1 << 20):
        assert read_file(path, chunk_bytes=chunk_bytes).rows == ROWS


@pytest.mark.parametrize("content", [b"hello", b"\0\0\0\0", b"\x89PNG\r\n", b"a\nb\n", b" \n ", b"\xff" * 100])
def test_an_unknown_format_is_refused_with_the_supported_ones(content: bytes) -> None:
    with pytest.raises(UnknownFormat, match="has an unsupported format") as caught:
        read_as_file(content)
    assert "mongodump archive" in caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("content", [LINE, b"[\r\n\t" + LINE + b"]", CSV, b"{\n  " + LINE[1:]])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_utf_16_and_utf_32_text_is_refused_by_name(
    encoding: str, mark: str, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(
        UnknownFormat, match=f"is {encoding[:6].upper()}.* text, but only UTF-8 is supported"
    ) as refusal:
        read_as_file(pack((mark + content.decode()).encode(encoding)))
    assert f"iconv -f {encoding[:6].upper()}" in refusal.value.hint


def test_utf_16_with_a_persian_header_is_refused_by_name() -> None:
    with pytest.raises(UnknownFormat, match="is UTF-16 text"):
        read_as_file("مبلغ,زمان,فروشگاه\n1,2,3\n".encode("utf-16"))


@pytest.mark.parametrize("length", [0x7B, 0x5B, 0x2C22, 0x22007B, 0x65006D])
def test_a_bson_document_is_not_mistaken_for_utf_16(length: int) -> None:
    document = {"": None, "merchantId": "a", "amount": 1, "createdAt": DatetimeMS(0), "filler": b""}
    filler = length - len(bson.encode(document))
    assert read_as_file(bson.encode(document | {"filler": bytes(filler)})).rows == ROWS


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(SourceError, match=r"is empty \(0 bytes\)"):
        read_as_file(b"")
    with pytest.raises(SourceError, match="is empty"):
        read_as_file(gzip.compress(b""))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere cannot be read: No such file"):
        read_file(tmp_path / "nowhere")


def test_standard_input_is_read_and_not_closed(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(gzip.compress(RAW))
    saved = os.dup(0)
    try:
        with path.open("rb") as file:
            os.dup2(file.fileno(), 0)
        assert read_file("-").rows == ROWS
        assert os.fstat(0).st_size == path.stat().st_size
    finally:
        os.dup2(saved, 0)
        os.close(saved)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_progress_counts_compressed_bytes(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "export"
    path.write_bytes(pack(RAW * 1000))
    source = open_source(str(path), Fields(), None)
    state = CountingState()
    for partition in source.partitions:
        count_partition(partition, CountPlan(ReadOptions(Fields(), EVER), LocalDays("UTC"), RejectLimits(0)), state)
    assert state.so_far == (path.stat().st_size, 1000)
    assert source.expected_bytes(*state.so_far) == path.stat().st_size


def dump(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(RAW) if name.endswith(".gz") else RAW)
    return folder


@pytest.mark.parametrize("name", ["transaction.bson", "shop/transactions.bson", "shop/transaction.bson.gz"])
def test_a_dump_folder_is_read_from_above_or_within_its_database(tmp_path: Path, name: str) -> None:
    assert read_file(dump(tmp_path, name, "shop/users.bson", "oplog.bson")).rows == ROWS


def test_a_folder_without_the_collection_is_refused_with_its_contents(tmp_path: Path) -> None:
    dump(tmp_path, "shop/users.bson", "log/audit.bson.gz", "shop/users.metadata.json", "oplog.bson")
    with pytest.raises(SourceError, match=r"no collection transaction or transactions: it has log.audit, shop.users"):
        read_file(tmp_path)
    assert read_file(tmp_path, collection="audit").rows == ROWS


def test_collections_with_equal_names_are_distinguished_by_their_databases(tmp_path: Path) -> None:
    dump(tmp_path, "a/transaction.bson", "b/transaction.bson", "b/transactions.bson")
    with pytest.raises(SourceError, match=r"more than one collection .*: a.transaction, b.transaction, b.transactions"):
        read_file(tmp_path)
    assert read_file(tmp_path, collection="b.transaction").rows == ROWS


@pytest.mark.parametrize("compress", [False, True])
def test_the_name_of_a_collection_comes_from_its_metadata(tmp_path: Path, compress: bool) -> None:
    dump(tmp_path, "shop/trans%24ccut.bson", "shop/pay%2Fments.bson")
    metadata = json.dumps({"collectionName": "transaction"}).encode()
    name = "trans%24ccut.metadata.json" + (".gz" if compress else "")
    (tmp_path / "shop" / name).write_bytes(gzip.compress(metadata) if compress else metadata)
    (tmp_path / "shop" / "pay%2Fments.metadata.json").write_bytes(b"[damaged")
    assert read_file(tmp_path).rows == ROWS
    assert read_file(tmp_path, collection="pay/ments").rows == ROWS


def test_an_empty_collection_of_a_dump_has_no_transactions(tmp_path: Path) -> None:
    (tmp_path / "transaction.bson.gz").write_bytes(gzip.compress(b""))
    assert read_file(tmp_path).counts.read == 0


def test_a_damaged_file_of_a_dump_is_reported(tmp_path: Path) -> None:
    shutil.copytree(SHOP / "dump", tmp_path / "dump")
    path = tmp_path / "dump" / "shop" / "transaction.bson.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        SourceDamaged, match=r"transaction.bson.gz is damaged at byte [0-9]+: the gzip data is truncated"
    ):
        read_file(tmp_path / "dump")


def test_an_impossible_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: File name too long"):
        read_file(tmp_path / ("x" * 300))


def about(path: Path, **metadata: object) -> None:
    path.write_text(json.dumps(metadata))


def test_a_view_of_a_dump_folder_is_refused_unless_its_documents_were_dumped(tmp_path: Path) -> None:
    dump(tmp_path, "shop/payments.bson")
    view = {"collectionName": "transactions", "type": "view", "indexes": []}
    about(tmp_path / "shop" / "transactions.metadata.json", **view, options={"viewOn": "payments", "pipeline": []})
    for name in (None, "transactions", "shop.transactions"):
        with pytest.raises(SourceError, match=r"^shop.transactions is a view, of which .* has no documents") as refusal:
            read_file(tmp_path, collection=name)
        assert refusal.value.hint.endswith("the collection on which it is defined: --collection payments.")
    assert read_file(tmp_path, collection="payments").rows == ROWS
    about(tmp_path / "shop" / "transactions.metadata.json", **view)
    with pytest.raises(SourceError, match="is a view"):
        read_file(tmp_path)
    dump(tmp_path, "shop/transactions.bson")
    assert read_file(tmp_path).rows == ROWS


@pytest.mark.parametrize("buckets", ["system.buckets.transactions.bson", "transactions.bson"])
def test_a_time_series_of_a_dump_folder_is_refused(tmp_path: Path, buckets: str) -> None:
    """Servers from 8.3 on have no collection of buckets by another name; mongodump reads them all the same."""
    dump(tmp_path, f"shop/{buckets}")
    about(tmp_path / "shop" / "transactions.metadata.json", collectionName="transactions", type="timeseries")
    with pytest.raises(SourceError, match=r"^shop.transactions is a time series, of which .* has buckets"):
        read_file(tmp_path)
