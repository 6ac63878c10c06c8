"""A full disk, a read-only file system and too few file descriptors are reported; reads continue where possible."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from examples import publication, run, uniform

from core.calendar.periods import Mode
from core.errors import StoreUnavailable, StoreUnwritable
from core.stores import Stores, open_stores


def url_at(folder: Path) -> str:
    return f"sqlite:///{folder / 'summaries.db'}"


def publish(stores: Stores) -> None:
    rows = uniform(1)
    stores.summaries.publish(publication(1, rows), rows)


def write_much(stores: Stores) -> None:
    """Write more than SQLite has already taken of the disk."""
    for user in range(100):
        stores.contacts.replace(f"u{user}", {"sms": "1" * 4000})


def fill(folder: Path, leaving: int) -> None:
    """Fill the disk of `folder` but for `leaving` bytes."""
    path = folder / "filling"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(path, path.stat().st_size - leaving)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_full_disk_is_reported_and_reads_still_work(small_disk: Path) -> None:
    with open_stores(url_at(small_disk), timeout_s=1) as stores:
        publish(stores)
        fill(small_disk, leaving=0)
        with pytest.raises(StoreUnwritable, match=r"the disk is full$"):
            write_much(stores)
        assert stores.summaries.series(Mode.DAILY, "amount", None)


def test_a_disk_too_small_for_the_wal_index_is_reported_as_full(small_disk: Path) -> None:
    """SQLite itself only says that there was an I/O error."""
    open_stores(url_at(small_disk), timeout_s=1).close()
    fill(small_disk, leaving=16_384)
    with pytest.raises(StoreUnavailable, match=r"the disk is full$"):
        open_stores(url_at(small_disk), timeout_s=1)


def test_a_read_only_file_system_is_reported(small_disk: Path) -> None:
    open_stores(url_at(small_disk), timeout_s=1).close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreUnavailable, match=r"its file system is read-only$"):
        open_stores(f"sqlite:///{small_disk / 'new.db'}", timeout_s=1)
    with (
        pytest.raises(StoreUnavailable, match=r"its file system is read-only$"),
        open_stores(url_at(small_disk), timeout_s=1) as stores,
    ):
        stores.runs.begin(run())


def test_too_few_file_descriptors_are_reported(tmp_path: Path) -> None:
    open_stores(url_at(tmp_path), timeout_s=1).close()
    with no_more_files(), pytest.raises(StoreUnavailable, match=r"this process may not open more files$") as caught:
        open_stores(url_at(tmp_path), timeout_s=1)
    assert "ulimit -n" in caught.value.hint
