"""Folders as sources: files of one format, dumps, dumps of shards, wildcards."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from functools import partial
from pathlib import Path

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson.datetime_ms import DatetimeMS
from command_line import CommandLine
from decoded import read_file

from core.errors import SourceError
from jobs.sources.dump_folder import FolderFile, only_file_in, parts_of, sources_in
from jobs.sources.wildcards import matching

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
        ["part-00000.gz", "part-00001.gz"],
        ["shard0.archive.gz", "shard1.archive.gz"],
        ["2024/03/day-1.csv", "2024/04/day-2.csv", "day-3.csv"],
        ["shard0/transaction.jsonl", "shard1/transaction.jsonl"],
        ["transactions/2024/day-1.csv", "transactions/day-2.csv"],
        ["shard0/transactions/part-0.json", "shard0/transactions/part-1.json", "shard1/transactions.json"],
    ],
)
def test_a_folder_of_files_of_one_format_is_read_completely(names: list[str], tmp_path: Path) -> None:
    assert read_of(fill(tmp_path, *names)) == names


def test_marker_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    fill(tmp_path, "part-0.parquet", "part-1.parquet", "_SUCCESS", "._SUCCESS.crc", ".part-0.parquet.crc")
    fill(tmp_path, "_temporary/0/part-2.parquet", ".DS_Store")
    assert read_of(tmp_path) == ["part-0.parquet", "part-1.parquet"]


def test_a_folder_with_mixed_formats_is_refused_with_a_pattern(tmp_path: Path) -> None:
    fill(tmp_path, "a/day-1.csv", "a/day-2.csv.gz", "day-1.jsonl")
    with pytest.raises(SourceError, match=r"has files of several formats: \*\.csv, \*\.csv\.gz, \*\.jsonl$") as caught:
        sources_in(tmp_path, None)
    assert caught.value.hint == f"Name the files to read, or use wildcards, such as '{tmp_path}/*/*.csv'."


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["transaction.json", "users.json"], "transaction.json"),
        (["refunds/rs-0.0.json.gz", "transactions/rs-0.0.json.gz", "transactions/rs-0.1.json.gz"], "transactions"),
        (["day-1.csv", "shop/transactions/day-2.csv"], "shop/transactions"),
    ],
)
def test_a_folder_with_exports_of_several_collections_is_refused(names: list[str], chosen: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"files of several collections: {', '.join(names)}$") as caught:
        sources_in(fill(tmp_path, *names), None)
    assert caught.value.hint == f"Name the files or folders to read, such as {tmp_path}/{chosen}."


def test_an_atlas_snapshot_export_is_read_without_its_metadata(tmp_path: Path) -> None:
    fill(tmp_path, "rs-0.0.json.gz", "rs-0.1.json.gz", "rs-1.0.json.gz", "metadata.json", ".complete")
    assert read_of(tmp_path) == ["rs-0.0.json.gz", "rs-0.1.json.gz", "rs-1.0.json.gz"]


@pytest.mark.parametrize("names", [[], ["_SUCCESS"]])
def test_a_folder_without_data_is_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no files to read"):
        read_file(fill(tmp_path, *names))


@pytest.mark.parametrize("wildcards", [None, "*/*.csv", "*/day-2.csv", "**/*.csv", "*/2024/*.csv", "*/"])
def test_an_unlistable_folder_is_an_error(wildcards: str | None) -> None:
    nobody = 65_534
    with tempfile.TemporaryDirectory(prefix="exports") as name:
        closed = fill(Path(name), "2023/day-1.csv", "2024/day-2.csv") / "2024"
        Path(name).chmod(0o755)
        closed.chmod(0o600 if wildcards == "*/day-2.csv" else 0)
        if wildcards == "*/":
            Path(name).chmod(0o444)
        user = os.geteuid()
        if user == 0:
            os.seteuid(nobody)  # root may list any folder
        try:
            with pytest.raises(SourceError, match="cannot be listed: Permission denied"):
                sources_in(Path(name), None) if wildcards is None else matching(f"{name}/{wildcards}")
        finally:
            os.seteuid(user)
            Path(name).chmod(0o755)
            closed.chmod(0o755)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("day-?.csv", ["day-1.csv", "day-2.csv"]),
        ("day-[!2]*", ["day-1.csv"]),
        ("*/shop/*.bson*", ["a/shop/t.bson", "b/shop/t.bson.gz"]),
        ("**/*.bson*", ["a/shop/t.bson", "b/shop/deep/t.bson", "b/shop/t.bson.gz"]),
        ("*/**/t.bson", ["a/shop/t.bson", "b/shop/deep/t.bson"]),
        ("b/**", ["b/shop/deep/t.bson", "b/shop/t.bson.gz"]),
        ("*", ["a", "b", "day-1.csv", "day-2.csv"]),
        ("*/", ["a", "b"]),
        (".*", [".hidden"]),
        ("day-1.csv/*", []),
        ("no/*", []),
    ],
)
def test_wildcards_match_as_in_a_shell(pattern: str, found: list[str], tmp_path: Path) -> None:
    fill(
        tmp_path, "day-1.csv", "day-2.csv", "a/shop/t.bson", "b/shop/t.bson.gz", "b/shop/deep/t.bson", ".hidden/t.bson"
    )
    assert [str(Path(path).relative_to(tmp_path)) for path in matching(f"{tmp_path}/{pattern}")] == found


def test_a_double_star_follows_symbolic_links_once(tmp_path: Path) -> None:
    folder = fill(tmp_path, "d/2024/day-1.csv", "d/day-2.csv", "elsewhere/day-3.csv", "elsewhere/deep/day-4.csv") / "d"
    for link, target in (("2024/up", ".."), ("2024/up-too", ".."), ("0-latest", "2024"), ("e", "../elsewhere")):
        (folder / link).symlink_to(target)
    found = [str(Path(path).relative_to(folder)) for path in matching(f"{folder}/**/*.csv")]
    assert found == ["2024/day-1.csv", "day-2.csv", "e/day-3.csv", "e/deep/day-4.csv"]


@pytest.mark.parametrize("part", ["*", "**", "x" * 300, "l"])
def test_circular_links_and_too_long_names_match_nothing(part: str, tmp_path: Path) -> None:
    (fill(tmp_path, "a/x.csv") / "l").symlink_to("l")
    found = [str(tmp_path / "a" / "x.csv")] if "*" in part else []
    assert matching(f"{tmp_path}/{part}/x.csv") == matching(f"{tmp_path}/{part}/*.csv") == found
    assert matching(f"{tmp_path}/a/{'x' * 300}/*") == []


def test_too_deeply_nested_files_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c" / "_temporary" / "0").mkdir(parents=True)
    fill(tmp_path, "day-1.csv", ".git/objects/a/b/c/d.csv")
    assert read_of(tmp_path) == ["day-1.csv"]
    for number, deep in enumerate(("2024/03/20/day-2.csv", "a/2024/03/20/day-2.csv", "a/2024/03/20/12/day-2.csv")):
        folder = fill(tmp_path / str(number), "day-1.csv", deep)
        with pytest.raises(SourceError, match="has files or folders more than 3 levels deep"):
            sources_in(folder, None)


@pytest.mark.parametrize(
    "names",
    [
        ["shop/transactions.bson", "shard1/shop/transactions.bson"],
        ["shard0/shop/transactions.bson", "dc2/shard1/shop/transactions.bson"],
        ["shard0/shop/transactions.bson", "dc2/eu/west/shard1/shop/transactions.bson"],
        ["transactions.bson", "a/b/c/transactions.bson"],
    ],
)
def test_dumps_at_several_levels_are_an_error(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has dumps at several levels"):
        sources_in(fill(tmp_path, *names), None)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Delta", ["part-0.parquet", "part-1.parquet", "_delta_log/00000000000000000000.json"]),
        ("Delta", ["sales/day=1/part-0.parquet", "sales/_delta_log/00000000000000000000.json"]),
        ("Hudi", ["day=1/a_0_1.parquet", "day=1/a_0_2.parquet", ".hoodie/hoodie.properties"]),
        ("Iceberg", ["data/a.parquet", "metadata/v1.metadata.json", "metadata/snap-1.avro"]),
        ("Iceberg", ["sales/data/day=1/a.parquet", "sales/metadata/00000-1.gz.metadata.json"]),
        ("Spark Structured Streaming", ["part-0.parquet", "_spark_metadata/0"]),
    ],
)
def test_a_lakehouse_table_with_outdated_files_is_refused(kind: str, names: list[str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"has a {kind} table"):
        sources_in(fill(tmp_path, *names), None)


@pytest.mark.parametrize(
    ("kind", "folder", "log"),
    [
        ("a Delta", "day=1", "_delta_log/0.json"),
        ("a Hudi", "2024/day=1", ".hoodie/hoodie.properties"),
        ("an Iceberg", "data", "metadata/v1.metadata.json"),
        ("an Iceberg", "data/day=1", "metadata/v1.metadata.json"),
    ],
)
def test_a_folder_inside_a_lakehouse_table_is_refused(kind: str, folder: str, log: str, tmp_path: Path) -> None:
    inside = fill(tmp_path, f"{folder}/part-0.parquet", log) / folder
    for read in (sources_in, only_file_in):
        with pytest.raises(SourceError, match=f"is in {kind} table, of which some files may not be current"):
            read(inside, None)
    assert matching(f"{inside}/*.parquet") == [str(inside / "part-0.parquet")]


def test_a_dump_may_have_database_names_like_lakehouse_folders(tmp_path: Path) -> None:
    fill(tmp_path, "data/transactions.bson", "metadata/users.bson", "metadata/users.metadata.json")
    assert read_of(tmp_path) == ["."]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["2026-11-01/shop/transactions.bson", "2026-11-02/shop/transactions.bson"], "*/shop/transactions.bson*"),
        (["shard0-old/shop/transactions.bson", "shard0/shop/transactions.bson.gz"], "*/shop/transactions.bson*"),
        (["2026-11-01.archive.gz", "2026-11-02.archive.gz"], "*.archive.gz"),
        (["shard0/1.archive", "shard0/2.archive"], "*/*.archive"),
        (["backup-2026-11-01.gz", "backup-2026-11-02.gz"], "*.gz"),
        (["backup-2026-11-01.agz", "backup-2026-11-02.agz"], "*.agz"),
        (["2026-11-01/transaction.jsonl", "2026-11-02/transaction.jsonl"], "*/*.jsonl"),
        (["2026-11-01/transactions/rs-0.0.json", "2026-11-02/transactions/rs-0.0.json"], "*/*/*.json"),
        (["transactions/2026-11-01.archive.gz", "transactions/2026-11-02.archive.gz"], "*/*.archive.gz"),
    ],
)
def test_possible_backups_are_added_up_only_by_wildcards(names: list[str], pattern: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has 2 .*, perhaps of the same data: ") as caught:
        sources_in(fill(tmp_path, *names), None)
    assert caught.value.hint == f"Name one of them. To add them up, use wildcards, such as '{tmp_path}/{pattern}'."
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob(pattern)) == names


@pytest.mark.parametrize(
    "names",
    [
        ["transactions/part-0.json", "transactions.json"],
        ["shard0/transactions/part-0.json", "shard0/transactions.json"],
        ["shard0/transactions.json", "shard0/transactions/part-0.json", "shard1/transactions.json"],
        ["transactions/transactions.csv", "transactions/part-0.csv"],
        ["transactions/1.archive", "transactions/2.archive"],
        ["shard0/transactions/1.agz", "shard0/transactions/2.agz"],
        ["b.archive", "b.archive.gz"],
        ["transactions.csv", "transactions.csv.gz"],
        ["shard0/transactions.csv", "shard0/transactions.csv.gz"],
    ],
)
def test_two_exports_of_one_collection_are_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="exports, perhaps of the same data: ") as caught:
        sources_in(fill(tmp_path, *names), None)
    folders_of_parts = {name.partition("/part-")[0] for name in names}
    assert set(str(caught.value).partition("data: ")[2].split(", ")) == folders_of_parts


def test_hidden_dumps_are_skipped(tmp_path: Path) -> None:
    fill(tmp_path, "shard0/shop/transactions.bson", "shard1/shop/transactions.bson", "shard1/shop/._transactions.bson")
    fill(tmp_path, ".old/shop/transactions.bson", "_shard2/shop/transactions.bson", ".old/a/b/transactions.bson")
    assert read_of(tmp_path) == ["shard0", "shard1"]
    fill(tmp_path / "shard0", ".old/transactions.bson", "_old/shop/transactions.bson")
    assert read_of(tmp_path / "shard0") == ["."]
    assert read_file(tmp_path / "shard0").counts.read == 1
    with pytest.raises(SourceError, match="has no files to read"):
        sources_in(fill(tmp_path / "hidden", ".old/transactions.bson"), None)


def test_dumps_of_shards_may_have_an_oplog(tmp_path: Path) -> None:
    for shard in ("shard0", "rs1"):
        fill(tmp_path, f"{shard}/shop/transactions.bson", f"{shard}/oplog.bson", f"{shard}/prelude.json")
    assert read_of(tmp_path) == ["rs1", "shard0"]
    assert read_file(tmp_path / "rs1").counts.read == 1
    with pytest.raises(SourceError, match="no collection transaction or transactions"):
        read_file(fill(tmp_path / "oplog", "oplog.bson"))


def test_a_dump_with_a_file_and_its_compressed_copy_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "shop/transactions.bson", "shop/transactions.bson.gz")
    with pytest.raises(SourceError, match=r"has both transactions\.bson and transactions\.bson\.gz"):
        read_file(tmp_path)


def test_only_the_needed_metadata_is_read_once(tmp_path: Path) -> None:
    read = []

    def content(name: str, **metadata: object) -> bytes:
        read.append(name)
        return json.dumps(metadata).encode()

    names = ["transactions.bson", "users.bson", "long%24.bson", "transactions.metadata.json", "users.metadata.json"]
    about = {
        "long%24.metadata.json": partial(content, "long", collectionName="a" * 250),
        "paid.metadata.json": partial(content, "paid", collectionName="paid", type="view"),
    }
    files = [
        FolderFile("shop", name, (shard, "shop"), about.get(name, partial(content, name)), f"{shard}/shop/{name}")
        for shard in ("shard0", "shard1")
        for name in (*names, *about)
    ]
    assert list(parts_of("dump", files, None)[1]) == ["shard0", "shard1"]
    assert read == ["long", "paid"] * 2


def test_other_files_in_a_dump_folder_are_ignored(tmp_path: Path) -> None:
    fill(tmp_path, "shop/transaction.bson", "shop/users.bson", "shop/users.metadata.json.gz", "shop/prelude.json.gz")
    fill(tmp_path, "manifest.json", "oplog.bson", "README.md", "SHA256SUMS", "dump.log", "old/x/y.txt")
    fill(tmp_path, "shop/manifest.json", "_old/day-1.csv", ".day-2.csv")
    assert read_of(tmp_path) == ["."]


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (["dump/shop/transaction.bson", "day-1.jsonl", "day-2.jsonl"], "day-1.jsonl, day-2.jsonl"),
        (["shop/transaction.bson", "shop/transaction.csv.gz"], "shop/transaction.csv.gz"),
        (["transaction.bson", "2024/day-1.parquet"], "2024/day-1.parquet"),
        (["rs0/shop/transaction.bson", "rs1.archive"], "rs1.archive"),
    ],
)
def test_exports_next_to_a_dump_are_an_error(names: list[str], others: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"has a dump and other exports: {others}$"):
        sources_in(fill(tmp_path, *names), None)


@pytest.mark.parametrize("other", ["shop/merchants.csv", "day-1.jsonl", "day-1.parquet", "shop/users.json.gz"])
def test_exports_next_to_a_dump_are_ignored_if_a_collection_is_given(other: str, tmp_path: Path) -> None:
    assert read_of(fill(tmp_path, "shop/transactions.bson", other), "transactions") == ["."]


def test_an_archive_next_to_a_dump_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "rs0/shop/transactions.bson", "rs1.archive")
    with pytest.raises(SourceError, match=r"has a dump and other exports: rs1\.archive$"):
        sources_in(tmp_path, "transactions")


def test_shard_dumps_are_those_that_contain_the_collection(tmp_path: Path) -> None:
    fill(tmp_path, "shard0/shop/transactions.bson", "shard0/shop/users.bson", "shard1/shop/transactions.bson")
    fill(tmp_path, "config/config/chunks.bson", "shard1/log/audit.bson")
    (tmp_path / "shard1" / "shop" / "transactions.bson").rename(tmp_path / "shard1" / "shop" / "t%24.bson")
    (tmp_path / "shard1" / "shop" / "t%24.metadata.json").write_text(json.dumps({"collectionName": "transactions"}))
    assert read_of(tmp_path) == ["shard0", "shard1"]
    assert read_of(tmp_path, "audit") == ["shard1"]
    with pytest.raises(SourceError, match=r"no collection x: it has config\.chunks, log\.audit, shop\.t"):
        sources_in(tmp_path, "x")


def test_dumps_of_several_databases_are_no_shard_dumps(tmp_path: Path) -> None:
    fill(tmp_path, "shard0/a/transaction.bson", "shard1/b/transaction.bson")
    with pytest.raises(SourceError, match="more than one collection") as caught:
        sources_in(tmp_path, None)
    assert caught.value.hint.endswith(f"wildcards, such as '{tmp_path}/*/*/*.bson'.")
    assert read_of(tmp_path, "b.transaction") == ["shard1"]


def test_wildcards_may_select_files_named_differently_than_the_collection(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no collection") as caught:
        read_file(fill(tmp_path, "day-1.bson", "day-2.bson"))
    assert caught.value.hint == (
        f"Name one with --collection. To add up several files, use wildcards, such as '{tmp_path}/*.bson'."
    )


def test_a_single_file_command_needs_a_folder_with_one_file(tmp_path: Path) -> None:
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


def test_rebuild_adds_up_folders_and_wildcards(jobs: CommandLine, tmp_path: Path) -> None:
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
    copy = tmp_path / "exports" / "day-1.jsonl.gz"
    copy.write_bytes(gzip.compress((LINE % 1).encode()))
    copies = jobs("rebuild", "exports", "--truncate", "--allow-shrink")
    copies.require_failure(2, "exports/day-1.jsonl and exports/day-1.jsonl.gz are both given")
    spelled = jobs("rebuild", "exports/day-1.jsonl", str(copy), "--truncate", "--allow-shrink")
    spelled.require_failure(2, f"exports/day-1.jsonl and {copy} are both given")
