"""Sample exports: deterministic by seed, and in formats that real tools and the jobs read."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.json_util import loads
from decoded import read_file
from effort import COMPILED
from totals_by_hand import jalali_keys, local_date

from core.errors import ServiceError, UsageError
from jobs import sample
from jobs.sample import SampleRequest, write_sample

COUNT = 9_000 if COMPILED else 300
SAMPLE = SampleRequest(COUNT, merchants=50)
FORMS = ["a.archive", "a.archive.gz", "a.agz", "a.bson", "a.bson.gz", "a.jsonl", "a.jsonl.gz"]


@pytest.fixture(scope="module", autouse=True)
def _small_blocks() -> Iterator[None]:
    """Transactions are made in blocks: two of them here, in less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_BLOCK", 8_192)
        yield


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[str, int, int]]:
    """The transactions of the sample, by `bson` itself."""
    path = tmp_path_factory.mktemp("sample") / "a.bson"
    write_sample(path, SAMPLE)
    documents: list[dict[str, Any]] = bson.decode_all(path.read_bytes(), bson.CodecOptions(tz_aware=True))
    return Counter((str(d["merchantId"]), d["amount"], round(d["createdAt"].timestamp() * 1000)) for d in documents)


@pytest.mark.parametrize("name", FORMS)
def test_every_format_has_the_same_transactions(tmp_path: Path, name: str, rows: Counter[tuple[str, int, int]]) -> None:
    written = write_sample(tmp_path / name, SAMPLE)
    assert written.size == (tmp_path / name).stat().st_size
    found = read_file(tmp_path / name)
    assert Counter(found.rows) == rows
    assert found.counts.read == COUNT


@pytest.mark.parametrize("name", FORMS)
def test_the_seed_determines_the_bytes(tmp_path: Path, name: str) -> None:
    contents = []
    for folder, seed in [("one", 1), ("two", 1), ("three", 2)]:
        (tmp_path / folder).mkdir()
        write_sample(tmp_path / folder / name, SampleRequest(100, seed=seed))
        contents.append((tmp_path / folder / name).read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_the_sample_covers_the_year_1403(rows: Counter[tuple[str, int, int]]) -> None:
    half_hours = {instant // 1_800_000 for _, _, instant in rows}  # of each all is of one day in Tehran
    keys = {jalali_keys(local_date(half_hour * 1_800_000))["daily"] for half_hour in half_hours}
    assert {key[:4] for key in keys} == {"1403"}
    if COMPILED:
        assert len(keys) == 366


def test_json_lines_have_the_format_of_mongoexport(tmp_path: Path) -> None:
    write_sample(tmp_path / "a.jsonl", SampleRequest(50))
    write_sample(tmp_path / "a.bson", SampleRequest(50))
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [loads(line) for line in lines] == bson.decode_all((tmp_path / "a.bson").read_bytes())


def test_an_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.bson"
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="already exists"):
        write_sample(path, SampleRequest(5))
    assert path.read_bytes() == b"precious"
    write_sample(path, SampleRequest(5), replace=True)
    assert len(path.read_bytes()) == 5 * 77


def test_an_unwritable_path_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be written: No such file or directory"):
        write_sample(tmp_path / "nowhere" / "a.bson", SampleRequest(5))


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    write_sample(tmp_path / "a.archive.gz", SampleRequest(5))
    assert [path.name for path in tmp_path.iterdir()] == ["a.archive.gz"]
    assert gzip.decompress((tmp_path / "a.archive.gz").read_bytes())


def test_a_sample_of_no_transactions_is_an_empty_archive(tmp_path: Path) -> None:
    write_sample(tmp_path / "a.archive", SampleRequest(0))
    assert read_file(tmp_path / "a.archive").counts.read == 0
