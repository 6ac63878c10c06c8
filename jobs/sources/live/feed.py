"""Chunks of a live collection: a thread for each cursor waits for the server, a bounded queue takes what comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Final

from jobs.decode.batch import Chunk
from jobs.sources.feed import Buffer
from jobs.sources.live.cursors import Batch

_TICK_S: Final = 0.1
_STOP_S: Final = 1.0

ReadPart = Callable[[threading.Event], Generator[Batch]]
"""Reads one part of a collection; ends early when the event is set."""


class LiveFeed:
    """Hands out the batches of several cursors as they come; see `jobs.sources.feed.Feed`.

    Memory: each cursor has one batch on its way and one in the queue.

    :param name: what chunks call their source. Their positions count the bytes received before them: they tell rejects
        apart, but nothing can be found there.
    :param parts: what is to be read.
    :param cursors: how many are read at the same time.
    :param at_end: called once with the number of documents, after the last; what it raises fails the source.
    """

    def __init__(
        self,
        name: str,
        parts: Sequence[ReadPart],
        cursors: int,
        at_end: Callable[[int], None],
    ) -> None:
        self._name = name
        self._waiting = list(reversed(parts))
        self._cursors = max(1, min(cursors, len(parts)))
        self._at_end = at_end
        self._arrived: queue.Queue[Batch | None] = queue.Queue(self._cursors)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._at_work = 0
        self._ended = False
        self.received_bytes = 0
        self.documents = 0

    def next(self, buffer: Buffer) -> Chunk | None:
        """The next chunk, which has memory of its own; see `jobs.sources.feed.Feed.next`."""
        if not self._threads:
            self._start()
        while not self._ended and not self._stop.is_set():
            with self._lock:
                none_at_work = self._at_work == 0
            try:
                batch = self._arrived.get(timeout=_TICK_S, block=not none_at_work)
            except queue.Empty:
                batch = None
                if none_at_work:
                    self._end()
            if self._failure is not None:
                self._stop.set()
                raise self._failure
            if batch is not None:
                chunk = Chunk(self._name, batch.data, 0, batch.size, self.received_bytes)
                self.received_bytes += batch.size
                self.documents += batch.count
                return chunk
        return None

    def interrupt(self) -> None:
        """Let whoever waits in `next` go soon, with None."""
        self._stop.set()

    def close(self) -> None:
        """End the cursors; one that waits for a silent server ends when that answers, or with the program."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_STOP_S / len(self._threads))

    def _start(self) -> None:
        self._at_work = self._cursors
        # Daemon threads: one that waits for a silent server must not hold up the end of the program.
        self._threads = [
            threading.Thread(target=self._read, name=f"cursor-{i}", daemon=True) for i in range(self._cursors)
        ]
        for thread in self._threads:
            thread.start()

    def _end(self) -> None:
        self._ended = True
        if self._failure is None and not self._stop.is_set():
            self._at_end(self.documents)

    def _read(self) -> None:
        try:
            while (part := self._next_part()) is not None:
                with closing(part(self._stop)) as batches:
                    for batch in batches:
                        self._put(batch)
                        if self._stop.is_set():
                            return
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
        finally:
            with self._lock:
                self._at_work -= 1
            self._put(None)  # wakes whoever waits

    def _next_part(self) -> ReadPart | None:
        with self._lock:
            return self._waiting.pop() if self._waiting and not self._stop.is_set() else None

    def _put(self, batch: Batch | None) -> None:
        while not self._stop.is_set():
            try:
                return self._arrived.put(batch, timeout=_TICK_S)
            except queue.Full:
                if batch is None:
                    return None
        return None
