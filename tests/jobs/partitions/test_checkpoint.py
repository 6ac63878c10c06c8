"""Checkpoints: what was counted of sources that have not changed is not counted again, and nothing else is reused."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import stat
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest
from command_line import CommandLine, wait_until
from rebuilding import Workshop
from transactions import Transaction, bson_of, published_rows, spread, summaries_of, write_bson

from core.calendar.days import LocalDays
from core.errors import Interrupted, ServiceError, TooManyRejects, UsageError
from core.stores import open_stores
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.job import Watcher
from jobs.partitions import checkpoint as checkpoints
from jobs.partitions.checkpoint import Checkpoint, LocalFolder, folder_at
from jobs.partitions.count_partition import CountPlan, PartitionResult
from jobs.partitions.counting import Progress
from jobs.rebuild import RebuildRequest
from jobs.runs.rejects import RejectLimits, Rejects
from jobs.sources import file_partition
from jobs.sources.partition import ReadOptions
from jobs.sources.recognise import open_source

PARTS = [spread([f"m{number}", "a"], days=20) for number in range(10)]


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        yield Workshop(stores, tmp_path)


@pytest.fixture
def request_(tmp_path: Path) -> RebuildRequest:
    """A rebuild of three files, which keeps what it counted."""
    sources = tuple(write_bson(tmp_path / f"{number}.bson", PARTS[number]) for number in range(3))
    return RebuildRequest(sources, truncate=True, threads=2, checkpoint=str(tmp_path / "kept"), keep_checkpoint=True)


def results(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.partition")) if folder.exists() else []


def test_a_killed_run_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    parts = [*PARTS[:9], spread(["last"], days=200)]
    for number, transactions in enumerate(parts):
        write_bson(tmp_path / f"{number}.bson", transactions)
    silent = tmp_path / "9.bson"
    content = silent.read_bytes()
    silent.unlink()
    os.mkfifo(silent)
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path}/summaries.db")
    command = ["rebuild", *(f"{number}.bson" for number in range(10)), "--checkpoint", "kept", "--threads", "2"]
    running = jobs.start(*command)
    with silent.open("wb", buffering=0) as pipe:
        pipe.write(content[:6000])  # enough to be recognised
        wait_until(lambda: len(results(tmp_path / "kept")) == 9, 40)
        running.send(signal.SIGKILL)
        assert running.wait().code == -signal.SIGKILL
    again = jobs.start(*command)
    with silent.open("wb", buffering=0) as pipe:
        pipe.write(content)
    output = again.wait()
    assert output.code == 0, output
    assert "Reused the results of 9 partition(s) from the checkpoint.\n" in output.out
    assert not (tmp_path / "kept").exists()
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10, create=False) as stores:
        assert published_rows(stores) == summaries_of([one for part in parts for one in part])


def test_a_resumed_run_reads_nothing_again_and_gives_the_same_result(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    first = workshop.rebuild(request_)
    assert (first.partitions_reused, len(results(tmp_path / "kept"))) == (0, 3)
    before = published_rows(workshop.stores)
    second = workshop.rebuild(request_)
    assert second.partitions_reused == 3
    assert second.run.counts == first.run.counts
    assert published_rows(workshop.stores) == before
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in results(tmp_path / "kept")} == {0o600}


class StoppedReading(Watcher):
    """Interrupts a run before it receives a result, as in the first batch of a cluster."""

    def reading(self, progress: Progress) -> None:
        """See `Watcher.reading`."""
        raise Interrupted(signal.SIGINT, "SIGINT")


@pytest.mark.parametrize(
    ("keeps", "hint"),
    [(True, "it resumes with the results in {folder}, if any were stored."), (False, "it starts from the beginning.")],
)
def test_stopping_a_run_reports_whether_the_next_one_resumes(
    workshop: Workshop, request_: RebuildRequest, keeps: bool, hint: str
) -> None:
    stopped = request_ if keeps else replace(request_, checkpoint=None)
    with pytest.raises(Interrupted) as caught:
        workshop.rebuild(stopped, StoppedReading())
    assert caught.value.hint == "Run the same command again; " + hint.format(folder=request_.checkpoint)


def test_a_checkpoint_is_removed_after_publishing(workshop: Workshop, request_: RebuildRequest, tmp_path: Path) -> None:
    workshop.rebuild(request_)
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    (tmp_path / "kept" / (results(tmp_path / "kept")[0].name + ".abc.tmp")).write_text("cut off by a kill")
    workshop.rebuild(replace(request_, keep_checkpoint=False))
    assert [one.name for one in (tmp_path / "kept").iterdir()] == ["notes.txt"]


def test_checkpoints_of_a_changed_source_are_dropped_with_a_message(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    workshop.rebuild(request_)
    write_bson(tmp_path / "1.bson", PARTS[5])
    outcome = workshop.rebuild(request_)
    assert outcome.partitions_reused == 2
    assert published_rows(workshop.stores) == summaries_of([*PARTS[0], *PARTS[5], *PARTS[2]])
    (warning,) = outcome.run.warnings
    assert warning.startswith(
        f"1 result(s) of {tmp_path}/1.bson in the checkpoint were discarded: the source has changed"
    )
    assert len(results(tmp_path / "kept")) == 3


def test_a_rewritten_source_of_the_same_size_is_recounted(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    """Later by a nanosecond, and with the same time."""
    workshop.rebuild(request_)
    path, changed = tmp_path / "1.bson", PARTS[1]
    for later_ns in (1, 0):
        changed = [one._replace(amount=one.amount + 1) for one in changed]
        before = path.stat()
        write_bson(path, changed)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + later_ns))
        assert path.stat().st_size == before.st_size
        assert workshop.rebuild(request_).partitions_reused == 2
        assert published_rows(workshop.stores) == summaries_of([*PARTS[0], *changed, *PARTS[2]])


def test_a_replaced_source_of_the_same_size_and_time_is_recounted(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    path = tmp_path / "1.bson"
    changed = [one._replace(amount=one.amount + 1) for one in PARTS[1]]
    replacement = write_bson(tmp_path / "replacement", changed)
    os.utime(replacement, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    workshop.rebuild(request_)
    Path(replacement).replace(path)
    assert workshop.rebuild(request_).partitions_reused == 2
    assert published_rows(workshop.stores) == summaries_of([*PARTS[0], *changed, *PARTS[2]])


def test_checkpoints_of_another_program_version_are_never_reused(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.rebuild(request_)
    monkeypatch.setattr(checkpoints, "program_digest", lambda: "of another version")
    outcome = workshop.rebuild(request_)
    assert outcome.partitions_reused == 0
    assert len(outcome.run.warnings) == 3
    assert len(results(tmp_path / "kept")) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"fields": Fields(where=(("merchantId", "a"),))},
        {"truncate": False, "first_key": "1402/12/20", "last_key": "1403/02/31"},
        {"max_quarantine_bytes": 5},
    ],
    ids=["filter", "days", "rejects kept"],
)
def test_checkpoints_of_other_options_are_never_reused(
    workshop: Workshop, request_: RebuildRequest, options: dict[str, Any]
) -> None:
    workshop.rebuild(request_)
    outcome = workshop.rebuild(replace(request_, allow_shrink=True, **options))
    assert outcome.partitions_reused == 0


def test_an_incomplete_or_exchanged_stored_result_is_counted_again(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    workshop.rebuild(request_)
    one, another, _ = results(tmp_path / "kept")
    whole = one.read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (whole[:-1], changed, b"", another.read_bytes()[5:], another.read_bytes()):
        one.write_bytes(content)
        assert workshop.rebuild(request_).partitions_reused == 2
        assert one.read_bytes() != content, "it is stored again"
    assert published_rows(workshop.stores) == summaries_of([one for part in PARTS[:3] for one in part])


def test_a_run_that_failed_for_rejects_resumes_with_them(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    bad = [one.document() | {"amount": number + 0.5} for number, one in enumerate(PARTS[1])]
    write_bson(tmp_path / "1.bson", [*PARTS[1], *bad])
    with pytest.raises(TooManyRejects):
        workshop.rebuild(request_)
    (failed,) = workshop.stores.runs.recent(1)
    outcome = workshop.rebuild(replace(request_, max_reject_ratio=1))
    assert outcome.partitions_reused == 3
    assert outcome.run.counts.rejected == len(bad)
    first, second = (Path(run.quarantine or "").read_bytes() for run in (failed, outcome.run))
    assert first == second
    assert len(first.splitlines()) == len(bad)


def test_results_without_all_their_rejects_are_not_checkpointed(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    for number in range(3):
        bad = [one.document() | {"amount": None} for one in PARTS[number]]
        write_bson(tmp_path / f"{number}.bson", [*PARTS[number], *bad])
    lines = replace(request_, threads=1, max_reject_ratio=1, max_quarantine_bytes=600)
    whole = workshop.rebuild(lines).run
    write_bson(tmp_path / "0.bson", PARTS[0])
    again = workshop.rebuild(lines).run
    fresh = workshop.rebuild(replace(lines, checkpoint=str(tmp_path / "other"))).run
    assert whole.rejects_kept == again.rejects_kept == fresh.rejects_kept
    assert Path(again.quarantine or "").read_bytes() == Path(fresh.quarantine or "").read_bytes()


def test_each_range_of_a_file_has_its_own_checkpoint(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_partition, "_SMALLEST_BYTES", 3000)
    transactions = PARTS[0]
    documents = [one.document() | {"copies": bson_of([one] * 40)} for one in transactions]
    path = tmp_path / "nested.bson"
    path.write_bytes(b"".join(map(bson.encode, documents)))
    request = RebuildRequest((str(path),), truncate=True, checkpoint=str(tmp_path / "kept"), keep_checkpoint=True)
    workshop.rebuild(request)
    kept = len(results(tmp_path / "kept"))
    assert kept > 8, "no range was counted again from its true border"
    assert workshop.rebuild(request).partitions_reused == kept
    assert published_rows(workshop.stores) == summaries_of(transactions)


def test_the_checkpoint_folder_may_be_a_url(workshop: Workshop, request_: RebuildRequest) -> None:
    import fsspec

    request = replace(request_, checkpoint="memory://bucket/kept")
    workshop.rebuild(request)
    assert len(fsspec.filesystem("memory").ls("/bucket/kept")) == 3
    assert workshop.rebuild(replace(request, keep_checkpoint=False)).partitions_reused == 3
    with contextlib.suppress(FileNotFoundError):
        assert fsspec.filesystem("memory").ls("/bucket/kept") == []


def test_an_unwritable_checkpoint_folder_fails_the_run_with_one_sentence(
    workshop: Workshop, request_: RebuildRequest, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match=r"the checkpoint .*/file cannot be used: Not a directory"):
        workshop.rebuild(replace(request_, checkpoint=str(tmp_path / "file")))
    assert workshop.stores.summaries.published() is None
    for wrong in ("nosuch://bucket/kept", "s3://key:secret@bucket/kept"):
        with pytest.raises(UsageError, match="--checkpoint") as refusal:
            workshop.rebuild(replace(request_, checkpoint=wrong))
        assert "secret" not in refusal.value.sentence


def test_standard_input_and_pipes_have_no_checkpoint(tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path}/summaries.db")
    content = bson_of([Transaction("a", 1, PARTS[0][0].at)])
    command = ("rebuild", "-", "--truncate", "--checkpoint", "kept", "--keep-checkpoint", "--json")
    for _ in range(2):
        assert jobs(*command, stdin=content).json["run"]["partitions_reused"] == 0
    assert results(tmp_path / "kept") == []


class Meeting(io.BytesIO):
    """Content whose reading begins when that of another has begun, too."""

    def __init__(self, content: bytes, others: threading.Barrier) -> None:
        super().__init__(content)
        self._others: threading.Barrier | None = others

    def read(self, size: int | None = -1, /) -> bytes:
        if self._others is not None:
            self._others.wait(40)
            self._others = None
        return super().read(size)


def test_concurrently_finished_partitions_are_all_stored_at_a_url() -> None:
    place = folder_at("memory://bucket/at-a-time")
    names = [f"{number}.partition" for number in range(4)]
    others = threading.Barrier(len(names))
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: place.write(name, Meeting(name.encode(), others)), names))
    assert place.names() == names
    for name in names:
        with place.open(name) as file:
            assert file.read() == name.encode()


class Tidied(io.BytesIO):
    """Content during whose first reading another run tidies the folder."""

    def __init__(self, content: bytes, folder: Path) -> None:
        super().__init__(content)
        self._folder: Path | None = folder

    def read(self, size: int | None = -1, /) -> bytes:
        if self._folder is not None:
            for file in self._folder.iterdir():
                file.unlink()
            self._folder.rmdir()
            self._folder = None
        return super().read(size)


def test_a_result_is_stored_while_another_run_cleans_the_folder(tmp_path: Path) -> None:
    place = LocalFolder(tmp_path / "kept")
    place.write("1.partition", Tidied(b"a result", tmp_path / "kept"))
    assert [(one.name, one.read_bytes()) for one in (tmp_path / "kept").iterdir()] == [("1.partition", b"a result")]


def test_a_checkpoint_folder_given_by_url_is_private_to_its_owner(tmp_path: Path) -> None:
    place = folder_at(f"file://{tmp_path}/kept%20results")
    place.write("1.partition", io.BytesIO(b"a result"))
    folder = tmp_path / "kept results"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "1.partition").stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="does not name a folder of this host"):
        folder_at("file://other.example/kept")


def test_checkpointed_rejects_are_streamed_and_not_held_in_memory(tmp_path: Path) -> None:
    source = write_bson(tmp_path / "shop.bson", PARTS[0])
    (partition,) = open_source(source, Fields(), None).partitions
    ever = Window(-(2**62), 2**62, -(2**62), 2**62)
    plan = CountPlan(
        ReadOptions(Fields(), ever), LocalDays("Asia/Tehran"), RejectLimits(2**30, tmp_path / "rejects.jsonl")
    )
    megabytes = 24
    rejects = Rejects.of(plan.rejects, (bytes(1024 * 1024) for _ in range(megabytes)), ("_id",))
    result = PartitionResult(0, 1, rejects=rejects)
    checkpoint = Checkpoint(LocalFolder(tmp_path / "kept"), "")
    checkpoint.store(partition, plan, result, takes_rejects=True)
    checkpoint.begin([partition], plan)
    tracemalloc.start()
    try:
        found = checkpoint.load(partition, plan)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert (found.rejects.size, found.rejects.first_names) == (megabytes * 1024 * 1024, ("_id",))
    assert most < megabytes * 1024 * 1024 / 2
