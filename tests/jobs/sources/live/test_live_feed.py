"""The queue between cursors and decoders: bounded, ended at once, and never silent about a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import bson
import numpy as np
import pytest
from command_line import wait_until
from decoded import EVER

from core.calendar.days import LocalDays
from core.errors import SourceError
from jobs.decode.decoder import BsonDecoder
from jobs.decode.jit import PADDING
from jobs.decode.plan import Fields
from jobs.reading import SourceReader, Totals
from jobs.sources.feed import Buffer, Source
from jobs.sources.live.cursors import Batch
from jobs.sources.live.feed import LiveFeed


def batch(number: int) -> Batch:
    content = bson.encode({"_id": number, "merchantId": "a", "amount": number, "createdAt": bson.DatetimeMS(0)})
    return Batch(np.frombuffer(bytearray(content + bytes(PADDING)), np.uint8), len(content), 1, 0)


class Parts:
    """Parts of so many batches each, and what became of them."""

    def __init__(self, *counts: int) -> None:
        self.counts = counts
        self.made = 0
        self._lock = threading.Lock()

    def read(self, number: int, stop: threading.Event) -> Generator[Batch]:
        """The batches of one part."""
        for i in range(self.counts[number]):
            with self._lock:
                self.made += 1
            yield batch(1000 * number + i)

    def feed(self, cursors: int) -> tuple[LiveFeed, list[int]]:
        """A feed of all parts, and a list that gets what was counted at the end."""
        ended: list[int] = []
        parts = [lambda stop, i=i: self.read(i, stop) for i in range(len(self.counts))]
        return LiveFeed("made up", parts, cursors, ended.append), ended


def numbers(feed: LiveFeed) -> list[int]:
    """What the feed still gives."""
    found = []
    while (chunk := feed.next(Buffer(0))) is not None:
        found.append(bson.decode(bytes(chunk.data[chunk.start : chunk.end]))["_id"])
    return found


@pytest.mark.parametrize("cursors", [1, 2, 9])
def test_all_parts_are_read_and_counted(cursors: int) -> None:
    feed, ended = Parts(5, 0, 3, 1).feed(cursors)
    assert sorted(numbers(feed)) == [0, 1, 2, 3, 4, 2000, 2001, 2002, 3000]
    assert ended == [9]
    assert feed.next(Buffer(0)) is None
    assert ended == [9]


def test_no_more_is_fetched_than_the_decoders_take() -> None:
    parts = Parts(100, 100, 100)
    feed, ended = parts.feed(2)
    feed.next(Buffer(0))
    wait_until(lambda: parts.made >= 5)
    time.sleep(0.3)
    assert parts.made == 1 + 2 + 2  # taken, in the queue, and one in the hands of each cursor
    feed.close()
    assert feed.next(Buffer(0)) is None
    assert ended == []


def test_closing_ends_the_threads() -> None:
    before = threading.active_count()
    feed, _ = Parts(100, 100, 100).feed(3)
    feed.next(Buffer(0))
    feed.close()
    wait_until(lambda: threading.active_count() <= before)


def test_a_failure_of_one_cursor_fails_the_source_and_ends_the_others() -> None:
    def broken(stop: threading.Event) -> Generator[Batch]:
        yield batch(1)
        raise SourceError("the server has gone")

    before = threading.active_count()
    ended: list[int] = []
    feed = LiveFeed("made up", [broken, lambda stop: Parts(10**9).read(0, stop)], 2, ended.append)
    with pytest.raises(SourceError, match="the server has gone"):
        numbers(feed)
    assert ended == []
    wait_until(lambda: threading.active_count() <= before)


def test_what_is_found_wrong_at_the_end_fails_the_source() -> None:
    def refuse(documents: int) -> None:
        raise SourceError(f"{documents} are not enough")

    feed = LiveFeed("made up", [lambda stop: Parts(3).read(0, stop)], 1, refuse)
    with pytest.raises(SourceError, match="3 are not enough"):
        numbers(feed)


def test_a_server_that_is_silent_does_not_hold_up_an_interruption() -> None:
    answers = threading.Event()

    def silent(stop: threading.Event) -> Generator[Batch]:
        answers.wait(60)
        yield from ()

    feed = LiveFeed("made up", [silent], 1, lambda documents: None)
    closed = threading.Event()
    source = Source("made up", "live", feed, BsonDecoder, lambda: (0, None), closed.set, feed.interrupt)
    reader = SourceReader(source, Fields(), EVER, LocalDays("UTC"), lambda rejects: None, 2, Totals())
    began = time.monotonic()

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.read(tick)
    reader.release()
    assert closed.wait(60)
    assert time.monotonic() - began < 30
    answers.set()
    feed.close()
