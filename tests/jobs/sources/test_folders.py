"""Folders: those with files of one format, and those with the dumps of shards, are read as all of these."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson.datetime_ms import DatetimeMS
from command_line import CommandLine
from decoded import read_file

from core.errors import SourceError
from jobs.sources.dump_folder import sources_in

RAW = bson.encode({"merchantId": "a", "amount": 1, "createdAt": DatetimeMS(0)})


def fill(folder: Path, *names: str) -> Path:
    """Write files of such names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(RAW)
    return folder


def read_of(folder: Path, collection: str | None = None) -> list[str]:
    """The sources of a folder, relative to it."""
    return [str(path.relative_to(folder)) for path in sources_in(folder, collection)]


@pytest.mark.parametrize(
    "names",
    [
        ["day-1.jsonl", "day-2.jsonl"],
        ["day-1.csv", "day-2.csv.gz"],
        ["one.parquet"],
        ["part-0", "part-1"],
        ["shard0.archive.gz", "shard1.archive.gz"],
        ["2024/03/day-1.csv", "2024/04/day-2.csv", "day-3.csv"],
        ["shard0/transaction.jsonl", "shard1/transaction.jsonl"],
    ],
)
def test_a_folder_of_files_of_one_format_is_all_of_them(names: list[str], tmp_path: Path) -> None:
    assert read_of(fill(tmp_path, *names)) == names


def test_what_programs_put_next_to_their_data_is_no_data(tmp_path: Path) -> None:
    fill(tmp_path, "part-0.parquet", "part-1.parquet", "_SUCCESS", "._SUCCESS.crc", ".part-0.parquet.crc")
    fill(tmp_path, "_temporary/0/part-2.parquet", ".DS_Store")
    assert read_of(tmp_path) == ["part-0.parquet", "part-1.parquet"]


def test_a_folder_with_files_of_several_formats_is_refused_with_a_pattern_to_type(tmp_path: Path) -> None:
    fill(tmp_path, "a/day-1.csv", "a/day-2.csv.gz", "day-1.jsonl")
    with pytest.raises(SourceError, match=r"has files of several formats: \*\.csv, \*\.csv\.gz, \*\.jsonl$") as caught:
        sources_in(tmp_path, None)
    assert caught.value.hint == f"Name the files to read, or use wildcards, such as '{tmp_path}/*/*.csv'."


def test_a_folder_with_exports_of_several_collections_is_refused_by_their_names(tmp_path: Path) -> None:
    fill(tmp_path, "transaction.json", "users.json")
    with pytest.raises(SourceError, match=r"files of several collections: transaction\.json, users\.json$"):
        sources_in(tmp_path, None)


@pytest.mark.parametrize("names", [[], ["_SUCCESS"]])
def test_a_folder_without_data_is_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no files to read"):
        read_file(fill(tmp_path, *names))


def test_files_that_are_too_deep_are_not_left_out_silently(tmp_path: Path) -> None:
    fill(tmp_path, "day-1.csv", "2024/03/20/day-2.csv")
    with pytest.raises(SourceError, match="has files more than 3 levels deep"):
        sources_in(tmp_path, None)


def test_a_dump_is_one_source_whatever_else_is_in_its_folder(tmp_path: Path) -> None:
    assert read_of(fill(tmp_path, "shop/transaction.bson", "shop/users.bson", "README.md", "old/x/y.csv")) == ["."]


def test_the_dumps_of_shards_are_those_with_the_collection(tmp_path: Path) -> None:
    fill(tmp_path, "shard0/shop/transactions.bson", "shard0/shop/users.bson", "shard1/shop/transactions.bson")
    fill(tmp_path, "config/config/chunks.bson", "shard1/log/audit.bson")
    (tmp_path / "shard1" / "shop" / "transactions.bson").rename(tmp_path / "shard1" / "shop" / "t.bson")
    (tmp_path / "shard1" / "shop" / "t.metadata.json").write_text(json.dumps({"collectionName": "transactions"}))
    assert read_of(tmp_path) == ["shard0", "shard1"]
    assert read_of(tmp_path, "audit") == ["shard1"]
    with pytest.raises(SourceError, match=r"no collection x: it holds config\.chunks, log\.audit, shop\.t"):
        sources_in(tmp_path, "x")


def test_dumps_of_several_databases_do_not_pass_for_those_of_shards(tmp_path: Path) -> None:
    fill(tmp_path, "shard0/a/transaction.bson", "shard1/b/transaction.bson")
    with pytest.raises(SourceError, match="more than one collection") as caught:
        sources_in(tmp_path, None)
    assert caught.value.hint.endswith(f"wildcards, such as '{tmp_path}/*/*/*.bson'.")
    assert read_of(tmp_path, "b.transaction") == ["shard1"]


def test_files_with_other_names_than_the_collection_may_be_named_by_wildcards(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no collection") as caught:
        read_file(fill(tmp_path, "day-1.bson", "day-2.bson"))
    assert caught.value.hint == (
        f"Name one with --collection. To add up several files, use wildcards, such as '{tmp_path}/*.bson'."
    )


def test_what_reads_one_file_takes_the_only_one_of_a_folder_and_names_those_of_several(tmp_path: Path) -> None:
    assert read_file(fill(tmp_path / "one", "part-0", "_SUCCESS")).counts.read == 1
    with pytest.raises(SourceError, match="has 2 files, and only one can be read here") as caught:
        read_file(fill(tmp_path / "two", "a", "b"))
    assert caught.value.hint == f"Name one of them, such as {tmp_path}/two/a."
    with pytest.raises(SourceError, match="has 2 dumps"):
        read_file(fill(tmp_path / "shards", "s0/shop/transaction.bson", "s1/shop/transaction.bson"))


LINE = '{"merchantId":"a","amount":%d,"createdAt":{"$date":"2024-03-20T12:00:00Z"}}\n'


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path}/store.db")


def test_rebuild_adds_up_what_folders_and_wildcards_name(jobs: CommandLine, tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / "exports" / f"day-{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(LINE % number)
    times = pa.array([1_710_936_000_000], pa.timestamp("ms"))
    spark = tmp_path / "out.parquet"
    spark.mkdir()
    for number in (10, 20):
        table = pa.table({"merchantId": ["a"], "amount": [number], "createdAt": times})
        pq.write_table(table, spark / f"part-{number}-c000.snappy.parquet")
        (spark / f".part-{number}-c000.snappy.parquet.crc").write_bytes(b"crc\0")
    (spark / "_SUCCESS").touch()
    for number in (100, 200):
        shard = tmp_path / "dump" / f"shard{number}" / "shop"
        shard.mkdir(parents=True)
        document = {"merchantId": "a", "amount": number, "createdAt": DatetimeMS(1_710_936_000_000)}
        (shard / "transactions.bson.gz").write_bytes(gzip.compress(bson.encode(document)))
    empty = tmp_path / "dump" / "shard300" / "shop" / "transactions.bson.gz"
    empty.parent.mkdir(parents=True)
    empty.write_bytes(gzip.compress(b""))  # a shard without any of these documents
    ended = jobs("rebuild", "exports", "out.parquet/", "dump", "--truncate", "--json")
    assert ended.code == 0, ended
    sums = jobs("summary", "--mode", "daily", "--type", "amount", "--json")
    assert [row["value"] for row in sums.json_lines] == [333]
    again = jobs("rebuild", "exports/day-[12].jsonl", "--truncate", "--allow-shrink")
    assert "\nCounted 2, rejected 0," in again.out, again
    jobs("rebuild", "exports/*.csv", "--truncate").require_failure(1, "no file matches exports/*.csv")
    jobs("rebuild", "exports", "exports/day-2.jsonl", "--truncate").require_failure(2, "day-2.jsonl is given twice")
