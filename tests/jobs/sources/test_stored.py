"""A file that changed after it was listed is detected, even if its modification time is set back."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from core.errors import SourceError
from jobs.sources.stored import Stored, stored_at


def rewritten(path: Path, content: bytes) -> None:
    """Write `content` to an existing file, and set back the time of its content."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system is a coarse one
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_changed_file_of_the_same_size_and_time_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "x.bson"
    path.write_bytes(b"before")
    stored = stored_at(str(path))
    stored.require_unchanged()
    rewritten(path, b"after!")
    for read in (stored.require_unchanged, stored.open):
        with pytest.raises(SourceError, match=r"x\.bson was changed while it was read"):
            read()


def test_a_disk_failure_at_the_first_bytes_is_a_source_error() -> None:
    with pytest.raises(SourceError, match=r"mem cannot be read: Input/output error"):
        stored_at("/proc/self/mem").stream()


def test_another_host_may_have_a_copy_of_the_same_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "x.bson"
    path.write_bytes(b"before")
    there: Stored = pickle.loads(pickle.dumps(stored_at(str(path))))
    rewritten(path, b"a copy")
    with there.open() as opened:
        assert opened.read() == b"a copy"
    os.utime(path, (1, 1))
    with pytest.raises(SourceError, match="was changed"):
        there.open()
