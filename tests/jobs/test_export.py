"""Exports during publications: each export is of one publication."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import fsspec
import polars as pl
import pytest
from effort import THOROUGH
from examples import publication, uniform
from remote_storage import Storage
from unmeasured import unmeasured

from core.calendar.periods import Mode
from core.errors import ServiceError, StoreBusy, UsageError
from core.stores import open_stores
from jobs.export import ExportRequest, Format, _replace_folder, export

pytest_plugins = ["remote_fixtures"]

_MEMORY: Final = Path(__file__).parent / "helpers" / "export_memory.py"


@pytest.mark.parametrize("partitioned", [False, True])
def test_an_export_overtaken_by_a_publication_is_retried(store_url: str, partitioned: bool, tmp_path: Path) -> None:
    out = tmp_path / "x"
    with open_stores(store_url, timeout_s=10) as stores:

        def publish(generation: int) -> None:
            rows = uniform(generation)
            stores.summaries.publish(publication(generation, rows), rows)

        def meanwhile(_: int) -> None:
            """Publish twice while the first attempt is under way."""
            if len(published) == 1:
                for generation in (2, 3):
                    publish(generation)
                    published.append(generation)

        published = [1]
        publish(1)
        request = ExportRequest(str(out), Format.PARQUET, Mode.DAILY, partitioned=partitioned, overall=True)
        exported = export(stores.summaries, request, meanwhile)
        # SQLite keeps what one transaction reads; on MongoDB the collections of generation 1 are dropped.
        generation = 1 if store_url.startswith("sqlite") else 3
    assert published == [1, 2, 3]
    assert exported.dictionary["generation"] == generation
    frame = pl.read_parquet(out / "**/*.parquet" if partitioned else out)
    assert frame["amount"].to_list() == [generation] * uniform(1).height
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_export_overtaken_every_time_fails_and_leaves_nothing(mongo_database_url: str, tmp_path: Path) -> None:
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        generations = iter(range(1, 100))

        def publish(_: int = 0) -> None:
            for _ in range(2):
                generation = next(generations)
                rows = uniform(generation, merchants=1, days=1)
                stores.summaries.publish(publication(generation, rows), rows)

        publish()
        request = ExportRequest(str(tmp_path / "x.csv"), Format.CSV, Mode.DAILY)
        with pytest.raises(StoreBusy):
            export(stores.summaries, request, publish)
    assert next(generations) == 13, "it tried five times"
    assert [path for path in tmp_path.iterdir() if "x.csv" in path.name] == []


def test_a_full_disk_keeps_the_previous_export_and_dictionary(small_disk: Path) -> None:
    out, filling = small_disk / "x.csv", small_disk / "filling"
    dictionary = small_disk / "x.csv.dictionary.json"
    with open_stores(f"sqlite:///{small_disk.parent}/summaries.db", timeout_s=10) as stores:
        rows = uniform(1, merchants=1, days=1)
        stores.summaries.publish(publication(1, rows), rows)
        request = ExportRequest(str(out), Format.CSV, Mode.DAILY, replace=True)
        export(stores.summaries, request, lambda _: None)
        before = out.read_bytes(), dictionary.read_bytes()
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(filling, filling.stat().st_size - 4096)  # so that the file fits, and not the dictionary
        with pytest.raises(ServiceError, match=r"x\.csv cannot be written: No space left on device"):
            export(stores.summaries, replace(request, raw=True), lambda _: None)
    assert (out.read_bytes(), dictionary.read_bytes()) == before
    assert {path.name for path in small_disk.iterdir()} == {out.name, dictionary.name, filling.name}


def test_a_folder_is_restored_if_it_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").touch()
    with pytest.raises(FileNotFoundError):
        _replace_folder(tmp_path / "missing", tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/kept"]


def test_a_folder_with_the_name_of_the_dictionary_leaves_no_export_without_one(tmp_path: Path) -> None:
    (tmp_path / "x.csv.dictionary.json").mkdir()
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        rows = uniform(1, merchants=1, days=1)
        stores.summaries.publish(publication(1, rows), rows)
        with pytest.raises(UsageError, match=r"dictionary\.json is a folder"):
            export(stores.summaries, ExportRequest(str(tmp_path / "x.csv"), Format.CSV, Mode.DAILY), lambda _: None)
    assert not (tmp_path / "x.csv").exists()


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        request = ExportRequest(str(tmp_path / "pipe"), Format.CSV, Mode.DAILY, replace=True)
        with pytest.raises(UsageError, match="pipe is not a regular file"):
            export(stores.summaries, request, lambda _: None)
    assert (tmp_path / "pipe").is_fifo()


def test_keys_of_another_calendar_than_the_published_one_are_refused(tmp_path: Path) -> None:
    rows = uniform(1, merchants=1, days=1)
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)
        request = ExportRequest(str(tmp_path / "x.csv"), Format.CSV, Mode.DAILY, first_key="2024-06-24")
        with pytest.raises(UsageError, match="2024-06-24"):
            export(stores.summaries, request, lambda _: None)
    assert not (tmp_path / "x.csv").exists()


def test_a_partitioned_export_to_a_path_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    rows = uniform(1, merchants=1, days=1)
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)
        request = ExportRequest(f"{tmp_path}/nu\udcff", Format.PARQUET, Mode.DAILY, partitioned=True)
        with pytest.raises(UsageError, match="is not UTF-8"):
            export(stores.summaries, request, lambda _: None)
    assert {path.name for path in tmp_path.iterdir()} == {"summaries.db"}


@pytest.mark.parametrize("partitioned", [False, True])
def test_an_export_to_a_bucket_replaces_files_only_with_force(
    s3: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitioned: bool
) -> None:
    assert s3.server.origin is not None
    host, port = s3.server.origin
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")  # the server in front of it only reads
    out = f"{s3.base}/out".replace("s3:", "S3:")
    stale = f"{s3.base}/out/mode=daily/year=1300/part-0.parquet"
    dictionary = f"{s3.base}/out/_dictionary.json" if partitioned else f"{s3.base}/out.dictionary.json"
    with open_stores(f"sqlite:///{tmp_path / 's.db'}", timeout_s=10) as stores:
        rows = uniform(7)
        stores.summaries.publish(publication(1, rows), rows)
        request = ExportRequest(out, Format.PARQUET, Mode.DAILY, partitioned=partitioned, overall=True)
        exported = export(stores.summaries, request, lambda _: None)
        with pytest.raises(UsageError, match="already exists"):
            export(stores.summaries, request, lambda _: None)
        with pytest.raises(UsageError, match="is not a folder" if not partitioned else "is a folder"):
            export(stores.summaries, replace(request, partitioned=not partitioned), lambda _: None)
        if partitioned:
            s3.put(stale.removeprefix(s3.base), b"of an earlier export")
        again = export(stores.summaries, replace(request, replace=True), lambda _: None)
        with pytest.raises(ServiceError, match="cannot be written"):
            export(stores.summaries, replace(request, out="s3://no-such-bucket/out"), lambda _: None)
    assert (exported.dictionary_path, again.rows) == (dictionary, exported.rows)
    files, path = fsspec.url_to_fs(f"{s3.base}/out")
    files.invalidate_cache()
    data = [name for name in files.find(path) if name.endswith(".parquet") or not partitioned]
    assert sum(pl.read_parquet(io.BytesIO(files.cat_file(name))).height for name in data) == exported.rows
    assert json.loads(files.cat_file(dictionary)) == again.dictionary
    assert stale.removeprefix("s3://") not in data


@pytest.mark.parametrize(
    "form", ["parquet", *(pytest.param(form, marks=pytest.mark.thorough) for form in ("arrow", "csv", "folder"))]
)
def test_memory_does_not_grow_with_the_size_of_an_export(form: str, tmp_path: Path) -> None:
    merchants, days = (4_000 if THOROUGH else 1_000), 200
    rows = uniform(1, merchants, days)
    store_url = f"sqlite:///{tmp_path / 's.db'}"
    with open_stores(store_url, timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)
    keys = sorted(set(rows["key"]))
    last_keys = [keys[0], keys[days // 2], keys[-1]]  # half of them is twice what is read at once

    ended = subprocess.run(
        [sys.executable, str(_MEMORY), store_url, form, str(tmp_path), *last_keys],
        env=unmeasured() | {"PYTHONPATH": str(_MEMORY.parents[3])},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    first, half, whole = json.loads(ended.stdout)
    assert whole - first < 1.5 * (half - first), "KiB more than for one day"
