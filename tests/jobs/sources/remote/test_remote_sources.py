"""Sources at URLs give what the same files give here: every form, folders of dumps, wildcards, ranges side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from effort import THOROUGH
from remote_storage import OPTIONS, SECRETS, Storage
from web_server import Answer, WebServer, as_it_is, slow_down

from core.calendar.days import LocalDays
from core.errors import SourceChanged, SourceError, UsageError
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.checkpoint import Checkpoint, LocalFolder, folder_at
from jobs.partitions.counting import Counted, Counting
from jobs.partitions.daily_sums import all_sums
from jobs.sources.recognise import expanded, open_source

pytest_plugins = ["remote_fixtures"]

SHOP = Path(__file__).parents[3] / "data" / "shop"
EVER = Window(-(2**62), 2**62, -(2**62), 2**62)
FORMS = ["transaction.bson", "dump/shop/transaction.bson.gz", "shop.archive.gz", "transaction.csv"]
FORMS += ["shop.archive", "transaction.relaxed.jsonl", "transaction.array.json"] if THOROUGH else []


def counted(sources: Sequence[str | Path], quarantine: Path, checkpoint: Checkpoint | None = None) -> Counted:
    """What is counted of `sources`, whatever is rejected."""
    days = LocalDays("Asia/Tehran")
    counting = Counting(Fields(), EVER, days, 1.0, 2, lambda _: None, lambda **_: None, checkpoint=checkpoint)
    arguments = expanded(tuple(map(str, sources)), None, OPTIONS)
    return counting.count([partial(open_source, one, Fields(), None, remote=OPTIONS) for one in arguments], quarantine)


def figures(found: Counted) -> tuple[object, ...]:
    """What two ways of reading the same documents must agree on; rejects without the name of their source."""
    daily = all_sums(found.daily)
    lines = [] if found.quarantine is None else found.quarantine.read_text().splitlines()
    rejects = [{**json.loads(line), "source": None} for line in lines]
    return daily.rows(), found.counts, found.rejects_by_reason, rejects, found.file_formats


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_result_of_the_local_file(form: str, s3: Storage, tmp_path: Path) -> None:
    url = s3.put(f"/{form}", (SHOP / form).read_bytes())
    s3.server.troubles.extend([as_it_is, slow_down] * 3)
    assert figures(counted([url], tmp_path / "remote")) == figures(counted([SHOP / form], tmp_path / "local"))


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("has_ranges", [True, False])
def test_http_files_give_the_result_of_local_files(web: WebServer, has_ranges: bool, tmp_path: Path) -> None:
    web.has_ranges = has_ranges
    for form in FORMS:
        web.files[f"/{form}"] = (SHOP / form).read_bytes()
    urls = [f"{web.url}/{form}" for form in FORMS]
    local = counted([SHOP / form for form in FORMS], tmp_path / "local")
    assert figures(counted(urls, tmp_path / "remote")) == figures(local)


def test_remote_parquet_gives_the_local_result_by_row_groups(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    rows = 5000
    columns = {
        "merchantId": pa.array([f"m{i % 7}" for i in range(rows)]),
        "amount": pa.array(range(rows)),
        "createdAt": pa.array([1_700_000_000_000 + i * 1000 for i in range(rows)], pa.timestamp("ms")),
        "unread": pa.array(["x" * 50] * rows),
    }
    pq.write_table(pa.table(columns), path, row_group_size=900)
    url = storage.put("/shop.parquet", path.read_bytes())
    assert figures(counted([url], tmp_path / "remote")) == figures(counted([path], tmp_path / "local"))


def test_dump_folders_and_wildcards_select_objects(storage: Storage, tmp_path: Path) -> None:
    for path in sorted((SHOP / "dump").rglob("*.gz")):
        storage.put(f"/{path.relative_to(SHOP)}", path.read_bytes())
    local = figures(counted([SHOP / "dump"], tmp_path / "local"))
    for number, name in enumerate(["dump/", "dump/shop/", "dump/shop/trans*.bson.gz"]):
        assert figures(counted([f"{storage.base}/{name}"], tmp_path / f"remote{number}")) == local


def test_a_bracket_in_the_name_of_an_object_is_written_in_brackets(s3: Storage, tmp_path: Path) -> None:
    s3.put("/[x].bson", (SHOP / "transaction.bson").read_bytes())
    s3.put("/x.bson", b"of another name")
    local = counted([SHOP / "transaction.bson"], tmp_path / "local")
    assert figures(counted([f"{s3.base}/[[]x].bson"], tmp_path / "remote")) == figures(local)


def test_export_and_shard_folders_include_all_their_objects(storage: Storage, tmp_path: Path) -> None:
    dumped = (SHOP / "dump" / "shop" / "transaction.bson.gz").read_bytes()
    for shard in ("shard0", "shard1"):
        storage.put(f"/dump/{shard}/shop/transaction.bson.gz", dumped)
    for name in ("part-0.json.gz", "part-1.csv", "_SUCCESS"):
        storage.put(f"/mixed/{name}", dumped)
    lines = (SHOP / "transaction.relaxed.jsonl").read_bytes()
    half = lines.index(b"\n", len(lines) // 2) + 1
    for name, content in (("day-1.jsonl", lines[:half]), ("2/day-2.jsonl", lines[half:]), (".day-1.jsonl.crc", b"c")):
        storage.put(f"/exports/{name}", content)
    one = counted([SHOP / "dump"], tmp_path / "one").counts
    assert counted([f"{storage.base}/dump/"], tmp_path / "shards").counts == one + one
    local = counted([SHOP / "transaction.relaxed.jsonl"], tmp_path / "local").counts
    assert counted([f"{storage.base}/exports/"], tmp_path / "exports").counts == local
    with pytest.raises(SourceError, match=r"has files of several formats: \*\.csv, \*\.json\.gz$") as caught:
        counted([f"{storage.base}/mixed/"], tmp_path / "rejects")
    assert f"such as '{storage.shown}/mixed/*.json.gz'" in caught.value.hint


def test_a_folder_url_ends_with_a_slash(s3: Storage, tmp_path: Path) -> None:
    for name in ("one", "two"):
        s3.put(f"/exports/{name}", b"{}")
    with pytest.raises(SourceError, match="exports has 2 files, and only one") as caught:
        counted([f"{s3.base}/exports"], tmp_path / "rejects")
    assert caught.value.hint.endswith("A run reads all of them if the URL ends with a slash.")


def test_a_duplicate_object_is_refused(storage: Storage, tmp_path: Path) -> None:
    url = storage.put("/shop.bson", (SHOP / "transaction.bson").read_bytes())
    again = f"{url}&X-Amz-Expires=60" if storage.kind == "http" else f"{storage.base}/*.bson"
    with pytest.raises(UsageError, match="is given twice"):
        counted([url, again], tmp_path / "rejects")


def test_a_file_and_its_compressed_copy_are_refused(storage: Storage, tmp_path: Path) -> None:
    for name in ("shop.csv", "shop.csv.gz"):
        storage.put(f"/exports/{name}", CSV.encode())
        (tmp_path / name).write_text(CSV)
    named = [str(tmp_path / "shop.csv.gz"), str(tmp_path / "shop.csv")]
    for sources in ([f"{storage.base}/exports/*.csv*"], [f"{storage.base}/exports/"], named):
        with pytest.raises(UsageError, match=r"shop\.csv and .*shop\.csv\.gz are both given"):
            counted(sources, tmp_path / "rejects")


def test_too_deeply_nested_objects_are_an_error(storage: Storage, tmp_path: Path) -> None:
    for name in ("day-1.csv", "a/2024/03/20/day-2.csv"):
        storage.put(f"/exports/{name}", CSV.encode())
    with pytest.raises(SourceError, match="has files or folders more than 3 levels deep"):
        counted([f"{storage.base}/exports/"], tmp_path / "rejects")


def test_a_wildcard_without_matches_is_an_error(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no object matches"):
        counted([f"{storage.base}/*.bson"], tmp_path / "rejects")


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("form", ["transaction.bson", "shop.archive.gz", "transaction.csv"])
def test_a_source_changed_during_counting_fails_the_run(form: str, storage: Storage, tmp_path: Path) -> None:
    content = (SHOP / form).read_bytes()
    url = storage.put(f"/{form}", content)

    def change(answer: Answer) -> Answer:
        storage.put(f"/{form}", content + b"\0")
        return answer

    storage.server.troubles.extend([as_it_is] * (storage.kind != "s3") + [change])
    with pytest.raises(SourceChanged) as caught:
        counted([url], tmp_path / "rejects")
    assert not any(secret in repr(caught.value) for secret in SECRETS)


@pytest.mark.usefixtures("small_ranges")
def test_checkpoints_may_be_stored_in_a_bucket(
    s3: Storage, moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{moto[0]}:{moto[1]}")
    source = SHOP / "transaction.bson"
    place = folder_at(f"{s3.base}/kept")
    first, second = Checkpoint(place, ""), Checkpoint(place, "")
    found = figures(counted([source], tmp_path / "first", first))
    kept = place.names()
    assert len(kept) > 2
    assert figures(counted([source], tmp_path / "second", second)) == found
    assert (first.reused, second.reused) == (0, len(kept))
    second.remove()
    assert place.names() == []


CSV = "merchantId,amount,createdAt\n" + "m,5,2024-03-20T12:00:00Z\n" * 400
SWAPPED = CSV.replace("m,5", "m,6")


def test_urls_that_differ_only_in_redacted_parts_are_separate_sources(web: WebServer, tmp_path: Path) -> None:
    web.has_etags = False
    shops = {f"/export.csv?shop={number}": text.encode() for number, text in enumerate((CSV, SWAPPED))}
    signed = "/export.csv?shop=0&X-Amz-Signature=again"
    web.files.update(shops | {signed: CSV.encode()})
    first, second, first_again = (f"{web.url}{path}" for path in (*shops, signed))
    totals = []
    for sources in ([first], [second], [first, second], [second, first_again]):
        checkpoint = Checkpoint(LocalFolder(tmp_path / "kept"), "")
        found = counted(sources, tmp_path / "rejects", checkpoint)
        totals.append((found.days["amount"].sum(), checkpoint.reused))
    assert totals == [(2000, 0), (2400, 0), (4400, 2), (4400, 2)]


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_without_a_version_is_read_in_one_response(
    form: str, has_ranges: bool, web: WebServer, tmp_path: Path
) -> None:
    web.has_etags = web.has_dates = False
    web.has_ranges = has_ranges
    before, after = CSV.encode(), SWAPPED.encode()
    if form == "parquet":
        before, after = (_parquet(tmp_path / "shop.parquet", amount) for amount in (5, 6))
    path = f"/shop.{form}"
    web.files[path] = before

    def change(answer: Answer) -> Answer:
        web.files[path] = after
        return answer

    web.troubles.extend([as_it_is, change])
    assert counted([f"{web.url}{path}"], tmp_path / "rejects").days["amount"].sum() == 2000
    assert len(web.asked) == 2, "one byte to see its size and version, and its content"


@pytest.mark.parametrize("has_version", [True, False])
def test_a_response_without_length_gives_a_warning(has_version: bool, tmp_path: Path) -> None:
    paths = [SHOP / name for name in (*FORMS[:2], "transaction.csv")]
    contents = {f"/{path.name}": path.read_bytes() for path in paths}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            if has_version:
                self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(contents[self.path])  # until the connection is closed

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        urls = [f"http://127.0.0.1:{server.server_port}{path}" for path in contents]
        warnings = [counted([url], tmp_path / f"rejects{i}").warnings for i, url in enumerate(urls)]
        server.shutdown()
        thread.join()
    assert [len(of_one) for of_one in warnings] == [1, 0, 1]
    assert warnings[0][0].startswith(f"the server of {urls[0]} sends neither its size nor its end")


def _parquet(path: Path, amount: int) -> bytes:
    times = pa.array([1_700_000_000_000] * 400, pa.timestamp("ms"))
    table = pa.table({"merchantId": ["m"] * 400, "amount": [amount] * 400, "createdAt": times})
    pq.write_table(table, path)
    return path.read_bytes()
