"""Partitions: wherever a source is split, the merged results are those of the whole source."""

from __future__ import annotations

import itertools
import json
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import polars as pl
import pytest
from bson.datetime_ms import DatetimeMS
from counted import CountedSources, count_all, count_in_order, plan_of
from decoded import read_bson
from effort import COMPILED, THOROUGH, tries
from hypothesis import given
from hypothesis import strategies as st
from totals_by_hand import daily_totals

from core.errors import SourceDamaged, UsageError
from jobs.aggregate.summaries import mixed_type_merchants
from jobs.decode.plan import Fields
from jobs.partitions.count_partition import (
    KIND_SCHEMA,
    CountPlan,
    PartitionResult,
    count_partition,
    merge_daily,
    merge_kinds,
)
from jobs.partitions.merging import Merged, Merger
from jobs.sources import bson_file, chunks
from jobs.sources.file_partition import FileFormat, FilePartition, ranges_of
from jobs.sources.partition import Source
from jobs.sources.recognise import open_source
from jobs.sources.stored import SinglePass, stored_at

SHOP = Path(__file__).parents[2] / "data" / "shop"
PLAN = plan_of(chunk_bytes=300)
STEP = 1 if COMPILED and THOROUGH else 157 if COMPILED else 307


def listed(path: Path, fields: Fields | None = None) -> tuple[Source, FilePartition]:
    """A file as a source, and its first partition."""
    source = open_source(str(path), fields or Fields(), None)
    first = source.partitions[0]
    assert isinstance(first, FilePartition)
    return source, first


def cut(whole: FilePartition, *borders: int) -> list[FilePartition]:
    """`whole` as ranges of bytes that meet at `borders`."""
    starts, ends = [whole.start, *borders], [*borders, None]
    return [
        replace(whole, start=start, end=end, guessed=start > whole.start)
        for start, end in zip(starts, ends, strict=True)
    ]


def outcome(count: Callable[[], CountedSources]) -> Any:
    """The result of counting, or the error message."""
    try:
        found = count()
    except SourceDamaged as error:
        return error.sentence
    kinds = found.merged.kinds().sort("merchant_id", "kind").rows()
    return found.counts, found.totals, found.merged.rejects_by_reason, found.merged.leading, found.rejects, kinds


def requires_equal_results(path: Path, borders: Iterator[tuple[int, ...]], fields: Fields | None = None) -> int:
    """Compare every split with the whole file; returns the number of recounted ranges."""
    source, whole = listed(path, fields)
    plan = replace(PLAN, reading=replace(PLAN.reading, fields=fields or Fields()))
    expected = outcome(lambda: count_in_order(source, [whole], plan)[0])
    again = 0
    for chosen in borders:
        parts = cut(whole, *chosen)
        order = list(reversed(range(len(parts))))

        def count(parts: list[FilePartition] = parts, order: list[int] = order) -> CountedSources:
            nonlocal again
            found, more = count_in_order(source, parts, plan, order)
            again += more
            return found

        assert outcome(count) == expected, chosen
    return again


def document(number: int, **more: Any) -> dict[str, Any]:
    """A transaction."""
    return {"_id": number, "merchantId": number % 3, "amount": number, "createdAt": DatetimeMS(number * 10**7)} | more


def nesting(number: int) -> bytes:
    """A transaction that holds other transactions: one after another in a binary, and as embedded documents."""
    inner = [document(1000 * number + i) for i in range(number % 12)]
    return bson.encode(document(number, copies=b"".join(map(bson.encode, inner)), items=inner))


def every_pair(first: int, size: int) -> Iterator[tuple[int, ...]]:
    for border in range(first + 1, size, STEP):
        yield (border,)
        yield tuple(sorted({border, min(size - 1, border + 13), min(size - 1, border + 400)}))


@pytest.mark.parametrize("rejects", [False, True])
def test_nested_bson_documents_can_be_split_anywhere(tmp_path: Path, rejects: bool) -> None:
    path = tmp_path / "x.bson"
    bad = [bson.encode(document(99, amount=0.5)), bson.encode({"_id": 5})] if rejects else []
    # Eight documents in a row are taken for a border. A file no larger than that needs can be split at every byte.
    path.write_bytes(b"".join([*map(nesting, [0, 9, 1]), *bad, *map(nesting, [8, 0])]))
    again = requires_equal_results(path, every_pair(0, path.stat().st_size))
    assert again > 0, "no border was guessed wrong, so that nothing was proven"


@pytest.mark.parametrize("damage", ["cut off", "length", "no end"])
def test_bson_damage_has_its_true_offset_wherever_the_file_is_split(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.bson"
    documents = [bson.encode(document(i, text="x" * i)) for i in range(30)]
    at = sum(map(len, documents[:20]))
    content = bytearray(b"".join(documents))
    if damage == "cut off":
        del content[-3:]
    elif damage == "length":
        content[at : at + 4] = (2**30).to_bytes(4, "little")
    else:
        content[at : at + 4] = (len(documents[20]) - 1).to_bytes(4, "little")
    path.write_bytes(content)
    requires_equal_results(path, every_pair(0, len(content)))


@given(
    st.lists(st.recursive(st.integers(0, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=8),
    st.data(),
)
@tries(150, 5)
def test_any_documents_and_splits_give_the_result_of_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[Any], data: st.DataObject
) -> None:
    def encoded(shape: Any, number: int) -> bytes:
        inner = [encoded(one, i) for i, one in enumerate(shape)] if isinstance(shape, list) else []
        return bson.encode(document(number, raw=b"".join(inner), more=[bson.decode(one) for one in inner]))

    content = b"".join(encoded(shape, i) for i, shape in enumerate(shapes)) or bson.encode({})
    path = tmp_path_factory.mktemp("cut") / "x.bson"
    path.write_bytes(content)
    source, whole = listed(path)
    borders = sorted(data.draw(st.sets(st.integers(1, max(1, len(content) - 1)), max_size=6)))
    parts = cut(whole, *borders)
    order = data.draw(st.permutations(range(len(parts))))
    found, _ = count_in_order(source, parts, PLAN, order)
    plain = read_bson(content, Fields())
    assert found.counts == plain.counts
    assert found.totals == daily_totals(plain.rows)


def test_a_document_boundary_is_found_in_typical_collections() -> None:
    content = b"".join(bson.encode(document(i, record="x" * (i % 50))) for i in range(2000))
    borders = {0}
    for one in bson.decode_file_iter(__import__("io").BytesIO(content)):
        borders.add(max(borders) + len(bson.encode(one)))
    reader = bson_file.BsonChunks.__new__(bson_file.BsonChunks)
    for start in range(1, 2000, 37):
        found = reader._first_border(content[start : start + 8192], at_end=False)
        assert found is not None
        assert start + found == min(border for border in borders if border >= start)


def test_a_document_boundary_is_found_in_linear_time_in_adversarial_content() -> None:
    content = b"\x05\0\0\0\0" * 100_000 + b"\xff" * 100
    reader = bson_file.BsonChunks.__new__(bson_file.BsonChunks)
    began = time.process_time()
    assert reader._first_border(content[2:], at_end=True) == 3
    assert time.process_time() - began < 3


@pytest.mark.parametrize("at_end", [True, False])
def test_a_short_chain_of_documents_is_a_boundary_only_at_the_end(at_end: bool) -> None:
    content = b"\xff" * 7 + b"".join(bson.encode(document(i)) for i in range(3))
    reader = bson_file.BsonChunks.__new__(bson_file.BsonChunks)
    assert reader._first_border(content, at_end) == (7 if at_end else None)


def test_a_range_without_a_document_start_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.bson"
    path.write_bytes(b"".join(bson.encode(document(i, record="y" * 5000)) for i in range(3)))
    source, whole = listed(path)
    parts = cut(whole, 1000, 2000, 3000, 4000, 7000)
    assert count_partition(parts[1], PLAN).first is None
    found, _ = count_in_order(source, parts, PLAN)
    assert found.counts.counted == 3


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_json_lines_can_be_split_anywhere(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "x.jsonl"
    lines = [
        json.dumps({"merchantId": f"m{i % 3}", "amount": i if i % 5 else None, "createdAt": {"$date": i * 10**7}})
        for i in range(30)
    ]
    separator = b"\r\n" if end == b"\r\n" else b"\n"
    path.write_bytes(b"\xef\xbb\xbf" + separator.join(line.encode() for line in lines) + end)
    again = requires_equal_results(path, every_pair(3, path.stat().st_size))
    # Behind a cut in a last line without an end there is nothing, which takes a look from where that line ends.
    assert again == 0 or not end


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_csv_can_be_split_anywhere_even_in_quoted_newlines(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "x.csv"
    rows = [
        f"{i % 3},{'' if i % 6 == 1 else i},1970-01-0{1 + i % 9}T00:00:00Z,"
        f'"a ""note""{newline}{i},5,1970-01-01T0{newline}"'
        for i in range(24)
    ]
    path.write_bytes(newline.join(["merchantId,amount,createdAt,note", *rows, ""]).encode())
    _, whole = listed(path)
    again = requires_equal_results(path, every_pair(whole.start, path.stat().st_size))
    assert again > 0, "no quoted newline was taken for the end of a row, so that nothing was proven"


def test_csv_row_numbers_continue_over_all_ranges(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("merchantId,amount,createdAt\n" + "a,1,1970-01-01T00:00:00Z\n" * 50 + "a,1\n")
    source, whole = listed(path)
    for borders, plan in itertools.product([(), (300,), (200, 700, 900)], [PLAN, plan_of(chunk_bytes=100_000)]):
        with pytest.raises(SourceDamaged) as caught:
            count_in_order(source, cut(whole, *borders), plan)
        assert caught.value.sentence == (
            f"{path} is damaged: this is not valid CSV: row 51 has 2 fields, and the header 3"
        )


def test_parquet_row_groups_are_partitions(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    count = 1000
    amounts = [None if i % 100 == 7 else i for i in range(count)]
    table = pa.table(
        {
            "note": [f"note {i}" for i in range(count)],
            "merchantId": [f"m{i % 7}" for i in range(count)],
            "amount": pa.array(amounts, pa.int64()),
            "createdAt": pa.array([i * 10**7 for i in range(count)], pa.timestamp("ms")),
        }
    )
    pq.write_table(table, path, row_group_size=170)
    source, whole = listed(path)
    groups = [replace(whole, start=i, end=i + 1, first_row=1 + 170 * i) for i in range(6)]
    expected = outcome(lambda: count_in_order(source, [whole], PLAN)[0])
    found, _ = count_in_order(source, groups, PLAN, [3, 1, 5, 0, 2, 4])
    assert outcome(lambda: found) == expected
    assert [(r["position"]["row"], r["document"]["note"]) for r in found.rejects] == [
        (i + 1, f"note {i}") for i in range(7, count, 100)
    ]


def test_only_the_needed_parquet_columns_are_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    columns = {
        "merchantId": ["a"] * 50,
        "amount": pa.array(range(50), pa.int64()),
        "createdAt": pa.array(range(50), pa.timestamp("ms")),
        "zzz": [f"{i}" * 100 for i in range(50)],
    }
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
    group = pq.ParquetFile(path).metadata.row_group(0)
    content = bytearray(path.read_bytes())
    last = group.column(3)
    content[last.data_page_offset : last.data_page_offset + last.total_compressed_size] = bytes(
        last.total_compressed_size
    )
    path.write_bytes(content)
    source, _ = listed(path)
    assert count_all([source]).counts.counted == 50


@pytest.mark.parametrize("size", [0, 1, 10**6, 10**8, 10**9, 10**10])
def test_ranges_cover_a_file_once_with_bounded_sizes(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.bson"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)
    ranges = ranges_of(FilePartition(stored_at(str(path)), FileFormat.BSON, size))
    assert ranges[0].start == 0
    assert ranges[-1].end is None
    assert [one.end for one in ranges[:-1]] == [one.start for one in ranges[1:]]
    assert sum(one.size or 0 for one in ranges) == size
    assert max(one.size or 0 for one in ranges) <= 128 * 2**20
    assert [one.guessed for one in ranges] == [number > 0 for number in range(len(ranges))]


@pytest.mark.parametrize("form", ["transaction.bson", "transaction.csv", "shop.archive.gz", "transaction.array.json"])
def test_a_pickled_partition_gives_the_same_result(form: str) -> None:
    source, whole = listed(SHOP / form)
    plan = plan_of()
    there: tuple[FilePartition, CountPlan] = pickle.loads(pickle.dumps((whole, plan)))
    result: PartitionResult = pickle.loads(pickle.dumps(count_partition(*there)))
    found = CountedSources()
    merger = Merger([source], found.take)
    merger.add(merger.tasks[0], result)
    assert outcome(lambda: found) == outcome(lambda: count_in_order(source, [whole], plan)[0])


def test_an_error_of_a_partition_can_be_pickled(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("merchantId,amount,createdAt\na,1\n")
    (tmp_path / "x.bson").write_bytes(bson.encode(document(1))[:-1])
    for name in ("x.csv", "x.bson"):
        result = count_partition(listed(tmp_path / name)[1], PLAN)
        again: PartitionResult = pickle.loads(pickle.dumps(result))
        assert result.failure is not None
        assert again.failure is not None
        assert (again.failure.sentence, again.failure.hint) == (result.failure.sentence, result.failure.hint)


def test_single_pass_sources_are_not_sent_to_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "x.bson"
    path.write_bytes(b"")
    with path.open("rb") as file, pytest.raises(UsageError, match="pipe can be read only by this process"):
        pickle.dumps(FilePartition(SinglePass("pipe", file), FileFormat.BSON, None))


def requires_each_merchant_and_day_once(result: PartitionResult) -> None:
    """Raise where a daily frame has a pair twice, or not all documents."""
    pairs = list(result.daily.select("merchant_id", "day").iter_rows())
    assert len(pairs) == len(set(pairs))
    assert result.daily["count"].sum() == result.counts.counted


def test_a_merchant_of_two_types_has_one_row_per_day(tmp_path: Path) -> None:
    path = tmp_path / "x.bson"
    path.write_bytes(b"".join(bson.encode(document(i, merchantId=one)) for i, one in enumerate([42, "42", 42])))
    result = count_partition(listed(path)[1], plan_of())
    requires_each_merchant_and_day_once(result)
    assert len(result.daily) == 1
    assert mixed_type_merchants([result.kinds]) == ["42"]


def test_a_merchant_has_one_row_per_day_after_a_spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jobs.aggregate.partial", "jobs.partitions.count_partition"):
        monkeypatch.setattr(f"{module}.MAX_ROWS", 10)
    path = tmp_path / "x.bson"
    path.write_bytes(b"".join(bson.encode(document(i)) for i in range(40)))
    requires_each_merchant_and_day_once(count_partition(listed(path)[1], PLAN))


def test_merchants_of_many_partitions_are_stored_once() -> None:
    size = 100_000
    kinds = pl.DataFrame({"merchant_id": [f"m{i}" for i in range(size)], "kind": [1] * size}, schema=KIND_SCHEMA)
    merged = Merged()
    for _ in range(12):
        merged.add(PartitionResult(0, 1, kinds=kinds))
    assert sum(map(len, merged._kinds)) <= 4 * size
    assert len(merged.kinds()) == size


def test_merging_is_associative() -> None:
    source, whole = listed(SHOP / "transaction.bson")
    size = whole.size or 0
    results = [count_partition(part, PLAN) for part in cut(whole, size // 3, size // 2, 3 * size // 4)]
    for merge, name in ((merge_daily, "daily"), (merge_kinds, "kinds")):
        a, b, c, d = (getattr(result, name) for result in results)
        left = merge([merge([merge([a, b]), c]), d])
        right = merge([a, merge([b, merge([c, d])])])
        assert sorted(left.rows()) == sorted(right.rows())
    assert mixed_type_merchants([merge_kinds([result.kinds for result in results])]) is not None
    assert source.file_format == "BSON"


def test_an_oversized_document_is_reported_at_its_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks.WholeDocuments, "_max_document", 20_000)
    monkeypatch.setattr(chunks, "_STEP_BYTES", 512)
    path = tmp_path / "x.jsonl"
    line = b'{"merchantId":"a","amount":1,"createdAt":{"$date":0}}\n'
    path.write_bytes(line * 10 + b'{"merchantId":"' + b"a" * 50_000 + b'"}\n' + line)
    requires_equal_results(path, iter([(100,), (600,), (20_000,), (300, 600, 20_000, 50_600)]))
