"""Standard input and other pipes as sources."""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from transactions import bson_of, published_rows, spread, summaries_of

from core.stores import open_stores
from jobs.sources.streams import ByteStream

TRANSACTIONS = spread(["a", "b"], days=100)


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def drip(path_or_descriptor: Path | int, content: bytes) -> threading.Thread:
    """Write the first bytes one by one and slowly, then the rest."""

    def write() -> None:
        descriptor = os.open(path_or_descriptor, os.O_WRONLY) if isinstance(path_or_descriptor, Path) else None
        out = path_or_descriptor if descriptor is None else descriptor
        assert isinstance(out, int)
        for i in range(6):
            os.write(out, content[i : i + 1])
            time.sleep(0.01)
        rest = memoryview(content)[6:]
        while rest:
            rest = rest[os.write(out, rest) :]
        os.close(out)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("compressed", [False, True])
def test_the_format_of_a_slow_pipe_is_detected(jobs: CommandLine, compressed: bool) -> None:
    content = bson_of(TRANSACTIONS)
    read_end, write_end = os.pipe()
    running = jobs.start("rebuild", "-", stdin=read_end)
    os.close(read_end)
    writer = drip(write_end, gzip.compress(content) if compressed else content)
    assert running.wait().code == 0
    writer.join()
    with open_stores(f"sqlite:///{jobs.folder}/summaries.db", timeout_s=10) as stores:
        assert published_rows(stores) == summaries_of(TRANSACTIONS)


class Watched(io.FileIO):
    """A file that signals when there is nothing to read."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.was_empty = threading.Event()

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if count is None:
            self.was_empty.set()
        return count


def test_an_empty_non_blocking_pipe_is_not_the_end_of_input() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    pipe = Watched(read_end)

    def write() -> None:
        os.write(write_end, b"a" * 5000)
        assert pipe.was_empty.wait(60)
        os.write(write_end, b"b")
        os.close(write_end)

    thread = threading.Thread(target=write)
    thread.start()
    with ByteStream("standard input", pipe, None) as stream:
        assert stream.read() == b"a" * 5000 + b"b"
    thread.join()


def test_a_named_pipe_can_be_a_source(jobs: CommandLine) -> None:
    os.mkfifo(jobs.folder / "fifo")
    running = jobs.start("rebuild", "fifo")
    writer = drip(jobs.folder / "fifo", gzip.compress(bson_of(TRANSACTIONS)))
    result = running.wait()
    writer.join()
    assert result.code == 0
    assert "source(s): BSON, gzip." in result.out


def test_truncated_standard_input_is_an_error(jobs: CommandLine) -> None:
    content = bson_of(TRANSACTIONS)
    jobs("rebuild", "-", stdin=content[:-1]).require_failure(1, "standard input is damaged at byte ")


def test_standard_input_in_an_unknown_format_is_an_error(jobs: CommandLine) -> None:
    jobs("rebuild", "-", stdin=b"hello\n").require_failure(1, "standard input has an unsupported format")


def test_unreadable_standard_input_is_an_error(jobs: CommandLine) -> None:
    descriptor = os.open(jobs.folder / "written", os.O_WRONLY | os.O_CREAT)
    jobs("rebuild", "-", stdin=descriptor).require_failure(1, "standard input cannot be read: Bad file descriptor")
    os.close(descriptor)
