"""Every kind of source gives the local result on a cluster, from any storage and in any compression."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import bson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import CommandLine
from dask_cluster import cluster_here, dask_cluster, pages_of
from effort import THOROUGH
from live_collections import EAGER, fill
from rebuilding import Workshop
from remote_storage import OPTIONS, Storage
from tz_databases import tz_database
from web_server import WebServer

from core.calendar.days import LocalDays
from core.errors import ServiceError
from core.stores import open_stores
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions import cluster_runner
from jobs.partitions.checkpoint import Checkpoint, LocalFolder
from jobs.partitions.counting import Counted, Counting
from jobs.partitions.daily_sums import all_sums
from jobs.rebuild import RebuildRequest
from jobs.sources.recognise import expanded, open_source

pytest_plugins = ["remote_fixtures"]
pytestmark = pytest.mark.usefixtures("small_ranges")

SHOP: Final = Path(__file__).parents[3] / "data" / "shop"
EVER: Final = Window(-(2**62), 2**62, -(2**62), 2**62)
SECRET: Final = "s3cret"


@pytest.fixture(scope="module")
def here() -> Iterator[Any]:
    """A cluster whose two workers are threads of this process; messages to them are pickled as usual."""
    with cluster_here(1, workers=2) as cluster:
        yield cluster


@pytest.fixture
def address(here: Any) -> str:
    return str(here.scheduler_address)


def counting(cluster: str | None = None, checkpoint: Checkpoint | None = None) -> Counting:
    days = LocalDays("Asia/Tehran")
    return Counting(
        Fields(), EVER, days, 1.0, 2, lambda _: None, lambda **_: None, checkpoint=checkpoint, cluster=cluster
    )


def listed(sources: Sequence[str | Path]) -> list[Callable[[], Any]]:
    arguments = expanded(tuple(map(str, sources)), None, OPTIONS)
    return [partial(open_source, one, Fields(), None, EAGER, remote=OPTIONS) for one in arguments]


def counted(sources: Sequence[str | Path], folder: Path, cluster: str | None) -> Counted:
    """The result of counting `sources` locally; any number of rejects is allowed."""
    return counting(cluster).count(listed(sources), folder / f"rejects-{len(list(folder.iterdir()))}").collected()


def figures(found: Counted) -> tuple[object, ...]:
    """The part of a result that must be identical for every way of counting."""
    quarantine = None if found.quarantine is None else found.quarantine.read_bytes()
    sums = all_sums(found.daily).rows()
    return sums, found.counts, found.rejects_by_reason, quarantine, found.file_formats, found.warnings


def require_equal(sources: Sequence[str | Path], folder: Path, cluster: str) -> None:
    local = counted(sources, folder, None)
    assert local.counts.counted
    assert figures(counted(sources, folder, cluster)) == figures(local)


def write_table(path: Path, rows: int = 3000) -> Path:
    """A table of several row groups, in which every seventh amount is a fraction."""
    columns = {
        "merchantId": pa.array([f"m{i % 7}" for i in range(rows)]),
        "amount": pa.array([i + (0.5 if i % 7 == 0 else 0.0) for i in range(rows)]),
        "createdAt": pa.array([1_700_000_000_000 + i * 100_000 for i in range(rows)], pa.timestamp("ms")),
    }
    pq.write_table(pa.table(columns), path, row_group_size=900)
    return path


def packed(folder: Path) -> list[Path]:
    """Sources of each file format; whole text files only in thorough runs."""
    zipped = folder / "again.csv.gz"
    zipped.write_bytes(gzip.compress((SHOP / "transaction.csv").read_bytes()))
    others = ("transaction.csv", "transaction.array.json") if THOROUGH else ()
    names = ("transaction.bson", "transaction.relaxed.jsonl", "shop.archive.gz", "dump", *others)
    found = [*(SHOP / name for name in names), write_table(folder / "shop.parquet"), zipped]
    if THOROUGH:  # under another name than the compressed archive, with which it could not be given
        found.append(shutil.copy(SHOP / "shop.archive", folder / "plain.archive"))
    return found


def test_files_archives_and_folders_give_the_local_result(address: str, tmp_path: Path) -> None:
    require_equal(packed(tmp_path), tmp_path, address)


@pytest.mark.thorough
def test_s3_objects_give_the_local_result(address: str, s3: Storage, tmp_path: Path) -> None:
    for path in packed(tmp_path):
        if path.is_file():
            s3.put(f"/{'gzipped' if path.suffix == '.gz' else 'plain'}/{path.name}", path.read_bytes())
    for path in sorted((SHOP / "dump").rglob("*.gz")):
        s3.put(f"/{path.relative_to(SHOP)}", path.read_bytes())
    require_equal([f"{s3.base}/dump/", f"{s3.base}/plain/*", f"{s3.base}/gzipped/*"], tmp_path, address)


def test_a_live_collection_gives_the_local_result(address: str, mongo_database_url: str, tmp_path: Path) -> None:
    # Rejects of a live collection are in the order of its cursors, which is that of the collection.
    fill(mongo_database_url, bson.decode_all((SHOP / "transaction.bson").read_bytes())[:500])
    require_equal([mongo_database_url], tmp_path, address)


@pytest.mark.skipif(not THOROUGH, reason="THOROUGH=1 starts a cluster of separate processes")
def test_separate_processes_give_the_local_result_for_every_source(
    s3: Storage, mongo_database_url: str, tmp_path: Path
) -> None:
    fill(mongo_database_url, bson.decode_all((SHOP / "transaction.bson").read_bytes())[:500])
    url = s3.put("/shop.bson", (SHOP / "transaction.bson").read_bytes())
    table = s3.put("/shop.parquet", write_table(tmp_path / "remote.parquet").read_bytes())
    with dask_cluster(tmp_path / "dask", 2) as cluster:
        for sources in (packed(tmp_path), [url, table], [mongo_database_url]):
            require_equal(sources, tmp_path, cluster.address)


def test_sums_are_shuffled_into_ranges_of_merchants(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_runner, "PART_ROWS", 100)
    local = all_sums(counted([SHOP / "transaction.bson"], tmp_path, None).daily)
    with counting(address).count(listed([SHOP / "transaction.bson"]), tmp_path / "rejects") as found:
        parts = list(found.daily.parts())
        again = list(found.daily.parts())
        lengths = found.daily.map(len)
    assert len(parts) > 2
    assert lengths == [len(part) for part in parts] == [len(part) for part in again]
    texts = [part.with_columns(pl.col("merchant_id").cast(pl.String)) for part in parts]
    assert pl.concat(texts).rows() == local.rows(), "in order, whatever the hash of a merchant"
    merchants = [one for part in texts for one in part["merchant_id"].unique()]
    assert len(merchants) == len(set(merchants))


def jobs_in(folder: Path, **settings: str) -> CommandLine:
    return CommandLine(folder, STORE_URL=f"sqlite:///{folder}/store.db", **settings)


def test_verify_can_run_on_a_cluster(address: str, tmp_path: Path) -> None:
    jobs, source = jobs_in(tmp_path), tmp_path / "shop.bson"
    documents = bson.decode_all((SHOP / "transaction.bson").read_bytes())[:300]
    source.write_bytes(b"".join(map(bson.encode, documents)))
    assert jobs("rebuild", source, "--max-reject-ratio", "1").code == 0
    source.write_bytes(b"".join(map(bson.encode, documents[:-9])))
    verify = ("verify", source, "--max-reject-ratio", "1", "--json")
    drifted, here = jobs(*verify, "--cluster", address), jobs(*verify)
    assert drifted.code == here.code == 4, drifted
    assert drifted.json["drift"] == here.json["drift"] != []


def test_a_worker_with_another_setting_is_refused_and_the_setting_named(address: str, tmp_path: Path) -> None:
    result = jobs_in(tmp_path, TIME_ZONE="Europe/Berlin")("rebuild", SHOP / "transaction.bson", "--cluster", address)
    result.require_failure(1, "has TIME_ZONE Asia/Tehran instead of Europe/Berlin")


def test_a_worker_with_other_time_zone_rules_is_refused(
    address: str, tmp_path: Path, missing: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tz_database(tmp_path / "zones", "Zone Asia/Tehran 3:30 - +0330\n", missing)
    monkeypatch.setenv("PYTHONTZPATH", str(folder))  # the worker, this process, has read its rules before
    result = jobs_in(tmp_path, PYTHONTZPATH=str(folder)).cold(
        "rebuild", SHOP / "transaction.bson", "--cluster", address
    )
    result.require_failure(1, "has rules of Asia/Tehran ")


def test_a_worker_with_another_s3_endpoint_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    result = jobs_in(tmp_path, AWS_ENDPOINT_URL=f"http://u:{SECRET}@127.0.0.1:8")(
        "rebuild", SHOP / "transaction.bson", "--cluster", address
    )
    assert SECRET not in result.require_failure(1, "has AWS_ENDPOINT_URL http://127.0.0.1:9 instead of http://")


def checkpoint_in(folder: Path) -> Checkpoint:
    return Checkpoint(LocalFolder(folder), "fingerprint")


def with_checkpoint(kept: Checkpoint, cluster: str | None, folder: Path) -> tuple[object, ...]:
    """The result of counting a file, and the number of results from the checkpoint."""
    rejects = folder / f"rejects-{len(list(folder.iterdir()))}"
    found = counting(cluster, kept).count(listed([folder / "shop.bson"]), rejects).collected()
    return *figures(found)[:4], kept.reused


def test_checkpoints_are_shared_by_workers_and_the_local_process(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copy(SHOP / "transaction.bson", tmp_path / "shop.bson")
    *first, reused = with_checkpoint(checkpoint_in(folder), address, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert reused == 0
    assert len(names) > 2
    (folder / min(names)).unlink()
    kept = checkpoint_in(folder)
    assert with_checkpoint(kept, address, tmp_path) == (*first, len(names) - 1)
    assert with_checkpoint(checkpoint_in(folder), None, tmp_path) == (*first, len(names))
    kept.remove()
    assert not folder.exists()


class Elsewhere(LocalFolder):
    """A folder that a worker takes for another path of its own host.

    :param there: what is next to the folder.
    """

    def __init__(self, path: Path, there: str) -> None:
        super().__init__(path)
        self._there = there

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalFolder, (self._path.with_name(self._there),)


@pytest.mark.parametrize(
    ("there", "reason"), [("elsewhere", "it does not exist there"), ("shop.bson", "Not a directory")]
)
def test_a_checkpoint_folder_not_shared_by_workers_is_refused(
    there: str, reason: str, address: str, tmp_path: Path
) -> None:
    shutil.copy(SHOP / "transaction.bson", tmp_path / "shop.bson")
    kept = Checkpoint(Elsewhere(tmp_path / "checkpoint", there), "fingerprint")
    result = rf"worker tcp://.* cannot see files that this host writes to the checkpoint .*: {reason}"
    with pytest.raises(ServiceError, match=result) as caught:
        with_checkpoint(kept, address, tmp_path)
    assert "a folder that all hosts share" in caught.value.hint
    assert list(tmp_path.glob("*/mark-*")) == []


def test_a_rebuild_on_a_cluster_resumes_from_a_checkpoint(address: str, tmp_path: Path) -> None:
    shutil.copy(SHOP / "transaction.bson", tmp_path / "shop.bson")
    request = RebuildRequest(
        (str(tmp_path / "shop.bson"),),
        truncate=True,
        max_reject_ratio=1,
        checkpoint=str(tmp_path / "kept"),
        keep_checkpoint=True,
        cluster=address,
    )
    with open_stores(f"sqlite:///{tmp_path}/store.db", timeout_s=10) as stores:
        workshop = Workshop(stores, tmp_path)
        first = workshop.rebuild(request)
        kept = len(list((tmp_path / "kept").glob("*.partition")))
        again = workshop.rebuild(replace(request, keep_checkpoint=False))
    assert (first.partitions_reused, again.partitions_reused) == (0, kept)
    assert kept > 1
    assert again.run.counts == first.run.counts
    assert not (tmp_path / "kept").exists()


def test_the_dask_dashboard_shows_no_url_secret(here: Any, address: str, web: WebServer, tmp_path: Path) -> None:
    web.files["/shop.bson"] = (SHOP / "transaction.bson").read_bytes()
    url = web.url.replace("http://", f"http://reader:{SECRET}@") + f"/shop.bson?X-Amz-Signature={SECRET}"
    pages: dict[str, str] = {}

    def look(_: object) -> None:
        """Read all pages once while work is under way."""
        if here.scheduler.tasks and not any("/info/task/" in path for path in pages):
            pages.update(pages_of(here))

    looking = Counting(Fields(), EVER, LocalDays("Asia/Tehran"), 1.0, 2, look, lambda **_: None, cluster=address)
    with looking.count(listed([url]), tmp_path / "rejects"):
        pages |= pages_of(here)
    assert any("/info/task/count-" in path for path in pages), "there was work to look at"
    assert any("/info/worker/" in path for path in pages)
    shown = "\n".join(pages.values())
    assert "count-" in shown
    assert SECRET not in shown
