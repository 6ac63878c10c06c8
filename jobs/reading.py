"""Reading a source with several threads: one hands out chunks at a time, all decode and add up.

The decoders release the GIL, so that threads run side by side. Every thread holds one chunk, which bounds memory
whatever the size of the source.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, TypeVar

import polars as pl

from core.calendar.days import LocalDays
from core.stores.runs import Counts
from jobs.aggregate.partial import PARTIAL_SCHEMA, Partial
from jobs.aggregate.summaries import merge
from jobs.decode.batch import LeadingRejects, Reject
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.sources.feed import Buffer, Source

_TICK_S: Final = 0.1
_STOP_S: Final = 1.0


T = TypeVar("T")


def in_background(call: Callable[[], T]) -> T:
    """What `call` returns or raises, called on another thread.

    A signal is thus heard at once also while `call` waits for a pipe that says nothing.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=work, name="opening", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_TICK_S)
    return outcome.result()


@dataclass(slots=True)
class Totals:
    """What was read so far, over all sources of a run.

    :param partials: frames of `jobs.aggregate.partial.PARTIAL_SCHEMA`.
    :param kinds: frames of ``merchant_id`` and ``kind``.
    :param rejects_by_reason: number of rejects for each ``field: reason``.
    :param leading: how the documents of the first source begin.
    :param warnings: what the sources say that a user should know.
    """

    counts: Counts = field(default_factory=Counts)
    rejects_by_reason: Counter[str] = field(default_factory=Counter)
    leading: LeadingRejects = field(default_factory=LeadingRejects)
    partials: list[pl.DataFrame] = field(default_factory=list)
    kinds: list[pl.DataFrame] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def fold(self) -> None:
        """Merge what several workers or sources gave, so that memory does not grow with their number."""
        self.partials = [merge(self.partials).cast(PARTIAL_SCHEMA)]
        self.kinds = [pl.concat(self.kinds).unique()]


@dataclass(slots=True)
class _Decoded:
    """What one chunk gave."""

    counts: Counts = field(default_factory=Counts)
    rejects: list[Reject] = field(default_factory=list)
    rejects_by_reason: Counter[str] = field(default_factory=Counter)
    leading: LeadingRejects = field(default_factory=LeadingRejects)


class SourceReader:
    """Reads one source to its end.

    :param rejected: takes the rejects, in the order of the source, from one thread at a time.
    :param threads: how many threads decode.
    :param totals: what is read is added to it.
    :param takes_more: whether `rejected` still wants rejects; once it does not, they are only counted.
    :param check: called, also from one thread at a time, when the next documents in the order of the source have been
        added to `totals`; what it raises ends the reading.
    """

    def __init__(
        self,
        source: Source,
        fields: Fields,
        window: Window,
        local_days: LocalDays,
        rejected: Callable[[list[Reject]], None],
        threads: int,
        totals: Totals,
        takes_more: Callable[[], bool] = lambda: True,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._fields = fields
        self._window = window
        self._local_days = local_days
        self._rejected = rejected
        self._threads = threads
        self._totals = totals
        self._takes_more = takes_more
        self._check = check
        self._reading = threading.Lock()
        self._delivering = threading.Lock()
        self._stop = threading.Event()
        self._next_chunk = 0
        self._next_delivery = 0
        self._finished: dict[int, _Decoded] = {}
        self._failure: tuple[int, BaseException] | None = None
        self._at_work = threads
        self._released = False

    def release(self) -> None:
        """Close the source: now, or when the last thread that still waits for it has come back.

        Threads are counted here, because a signal during `Thread.join` makes `Thread.is_alive` wrong (bpo-45274).
        """
        with self._delivering:
            self._released = True
            is_idle = self._at_work == 0
        if is_idle:
            self._source.close()

    def read(self, tick: Callable[[], None]) -> None:
        """Read everything.

        :param tick: called on the calling thread some times a second; what it raises ends the reading.
        :raises SourceDamaged: the earliest damage of the source.
        :raises SourceError: it cannot be read.
        """
        workers = [threading.Thread(target=self._work, name=f"decode-{i}", daemon=True) for i in range(self._threads)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join(_TICK_S)
                while worker.is_alive():
                    tick()
                    worker.join(_TICK_S)
        except BaseException:
            self._stop.set()
            self._source.interrupt()
            # Daemon threads: one that waits for a silent pipe must not hold up the end of the program.
            for worker in workers:
                worker.join(_STOP_S / len(workers))
            raise
        tick()
        if self._failure is not None:
            raise self._failure[1]
        self._totals.warnings += self._source.warnings()

    def _work(self) -> None:
        number = -1
        try:
            decoder = self._source.decoder(self._fields, self._window)
            partial = Partial(decoder.merchants, self._local_days)
            buffer = Buffer(0)
            while True:
                with self._reading:
                    number = self._next_chunk
                    if self._stop.is_set():
                        break
                    chunk = self._source.feed.next(buffer)
                    if chunk is None:
                        self._stop.set()
                        break
                    self._next_chunk += 1
                decoded = _Decoded()
                # What is delivered later comes later in the source, so that it is not wanted either.
                keep_rejects = self._takes_more()
                for batch in decoder.batches(chunk):
                    partial.add(batch)
                    decoded.counts += batch.counts
                    decoded.rejects_by_reason.update(batch.rejects_by_reason)
                    decoded.leading = decoded.leading.then(batch.leading)
                    if keep_rejects:
                        decoded.rejects += batch.rejects
                self._deliver(number, decoded)
            with self._delivering:
                self._totals.partials.append(partial.frame())
                self._totals.kinds.append(partial.merchant_kinds())
        except BaseException as error:
            self._fail(number, error)
        finally:
            with self._delivering:
                self._at_work -= 1
                is_last = self._released and self._at_work == 0
            if is_last:
                self._source.close()

    def _deliver(self, number: int, decoded: _Decoded) -> None:
        """Hand on what chunk `number` gave as soon as all chunks before it have been handed on."""
        with self._delivering:
            self._finished[number] = decoded
            while self._next_delivery in self._finished:
                following = self._finished.pop(self._next_delivery)
                self._totals.counts += following.counts
                self._totals.rejects_by_reason += following.rejects_by_reason
                self._totals.leading = self._totals.leading.then(following.leading)
                if following.rejects:
                    self._rejected(following.rejects)
                self._check()
                self._next_delivery += 1

    def _fail(self, number: int, error: BaseException) -> None:
        self._stop.set()
        with self._delivering:
            if self._failure is None or number < self._failure[0]:
                self._failure = (number, error)
