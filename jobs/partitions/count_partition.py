"""Counts one partition: a pure function of the partition and a plan, for any process."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import polars as pl

from core.calendar.days import LocalDays
from core.errors import ServiceError, WrongRow
from core.stores.runs import Counts
from jobs.aggregate.groups import MAX_ROWS
from jobs.aggregate.partial import PARTIAL_SCHEMA, Partial
from jobs.aggregate.summaries import merge
from jobs.decode.batch import LeadingRejects, Reject
from jobs.decode.decoder import CompiledDecoder
from jobs.runs.rejects import RejectLimits, Rejects
from jobs.sources.chunks import Buffer
from jobs.sources.partition import Opened, Partition, ReadOptions

KIND_SCHEMA: Final = pl.Schema([("merchant_id", pl.String()), ("kind", pl.UInt8())])
"""Every merchant seen, counted or not, once for each of its kinds (of `jobs.decode.merchants`)."""


@dataclass(frozen=True, slots=True)
class CountPlan:
    """Parameters of counting partitions; picklable.

    :param local_days: the local days of the time zone of summaries.
    :param rejects: limits of collected rejects.
    :param early_stop_after: stop if this many documents at the beginning are all rejected for one reason; None: never.
        Only the first partition of a run has this.
    """

    reading: ReadOptions
    local_days: LocalDays
    rejects: RejectLimits
    early_stop_after: int | None = None

    def stops_after(self, leading: LeadingRejects) -> bool:
        """Whether to stop reading a partition that begins with `leading`."""
        return self.early_stop_after is not None and leading.count >= self.early_stop_after


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """The result of one partition.

    :param first: the beginning of its first document; None if no document begins in it.
    :param last: the end of its last document, or the beginning of the next one.
    :param length: number of positions, if those of its rejects begin with 0 (`Partition.counts_positions`).
    :param daily: a frame of `jobs.aggregate.partial.PARTIAL_SCHEMA`, unique by merchant and day.
    :param kinds: a frame of `KIND_SCHEMA`.
    :param rejects: its first rejects, in order.
    :param failure: the error at which counting stopped, or None.
    """

    first: int | None
    last: int | None
    counts: Counts = field(default_factory=Counts)
    rejects_by_reason: dict[str, int] = field(default_factory=dict)
    leading: LeadingRejects = field(default_factory=LeadingRejects)
    length: int = 0
    daily: pl.DataFrame = field(default_factory=lambda: PARTIAL_SCHEMA.to_frame())
    kinds: pl.DataFrame = field(default_factory=lambda: KIND_SCHEMA.to_frame())
    rejects: Rejects = field(default_factory=lambda: Rejects(RejectLimits(0)))
    failure: ServiceError | None = None


class CountingState:
    """Progress and early end of counting partitions; shared by threads.

    It does not affect results that are used.

    :ivar stop: set to end soon; later results are discarded.
    :ivar takes_rejects: whether rejects are still collected.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.takes_rejects = True
        self._lock = threading.Lock()
        self._stored_bytes = 0
        self._documents = 0

    def read(self, stored_bytes: int, documents: int) -> None:
        """Add bytes and documents to the progress."""
        with self._lock:
            self._stored_bytes += stored_bytes
            self._documents += documents

    @property
    def so_far(self) -> tuple[int, int]:
        """Stored bytes and documents read so far."""
        with self._lock:
            return self._stored_bytes, self._documents


def count_partition(partition: Partition, plan: CountPlan, state: CountingState | None = None) -> PartitionResult:
    """Count `partition` without knowledge of the partitions before and after it.

    It has no side effects. Errors of the source are part of the result, as they are real only if the guess of the first
    document is confirmed.

    :raises Exception: a failure of the program, such as MemoryError.
    """
    count = PartitionCount(partition, plan, state or CountingState())
    count.work(Buffer(0))
    return count.result()


def merge_daily(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Sum frames of `PARTIAL_SCHEMA` to one, unique by merchant and day; associative.

    :param frames: each unique by merchant and day.
    """
    if len(frames) == 1:
        return frames[0]
    return merge(frames) if frames else PARTIAL_SCHEMA.to_frame()


def merge_kinds(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Merge frames of `KIND_SCHEMA`, each without duplicates; associative."""
    if len(frames) == 1:
        return frames[0]
    return pl.concat(frames).unique() if frames else KIND_SCHEMA.to_frame()


@dataclass(slots=True)
class _Decoded:
    """The result of one chunk."""

    counts: Counts = field(default_factory=Counts)
    rejects: list[Reject] = field(default_factory=list)
    rejects_by_reason: Counter[str] = field(default_factory=Counter)
    leading: LeadingRejects = field(default_factory=LeadingRejects)


class _Taken(NamedTuple):
    """A chunk, its number in the partition, and the stored bytes read for it."""

    number: int
    stored_bytes: int
    chunk: Any


class PartitionCount:
    """The counting of one partition by any number of threads.

    The decoders release the GIL. One thread at a time reads. While others wait for a chunk, it continues to read and
    gives them its chunks, so that decompression does not wait until another thread wakes up. Each thread has at most
    one chunk, which bounds memory.
    """

    def __init__(self, partition: Partition, plan: CountPlan, state: CountingState) -> None:
        self._partition = partition
        self._plan = plan
        self._state = state
        self._reading = threading.Lock()
        self._is_read = False
        self._waiting: list[tuple[Buffer, Future[_Taken | None]]] = []
        self._delivering = threading.Lock()
        self._opened: Opened | None = None
        self.ended = False
        """Whether there are no more chunks for another thread."""
        self._at_work = 0
        self._next_chunk = 0
        self._next_delivery = 0
        self._finished: dict[int, _Decoded] = {}
        self._failure: tuple[int, BaseException] | None = None
        self._consumed = 0
        self._counts = Counts()
        self._rejects_by_reason: Counter[str] = Counter()
        self._leading = LeadingRejects()
        self._rejects = Rejects(plan.rejects)
        self._daily: list[pl.DataFrame] = []
        self._kinds: list[pl.DataFrame] = []

    def work(self, buffer: Buffer) -> bool:
        """Decode chunks until there are no more; True for the last thread, after which the `result` is complete.

        :param buffer: the thread's chunk memory.
        """
        with self._delivering:
            if self.ended:
                return False
            self._at_work += 1
        number = -1
        try:
            decoder, partial = None, None
            while (taken := self._take(buffer)) is not None:
                number = taken.number
                if decoder is None or partial is None:
                    decoder = self._opened.decoder()  # type: ignore[union-attr]  # open, as a chunk was taken
                    partial = Partial(decoder.merchants, self._plan.local_days)
                self._deliver(taken, self._decode(taken.chunk, decoder, partial))
            if partial is not None:
                with self._delivering:
                    self._daily.append(partial.frame())
                    self._kinds.append(partial.merchant_kinds())
        except BaseException as error:
            self._fail(self._next_chunk if number < 0 else number, error)
        with self._delivering:
            self.ended = True
            self._at_work -= 1
            is_last = self._at_work == 0
        if is_last and self._opened is not None:
            self._opened.close()
        return is_last

    def _take(self, buffer: Buffer) -> _Taken | None:
        """The next chunk, in `buffer`; None after the last."""
        given: Future[_Taken | None] | None = None
        with self._reading:
            if self._is_read:
                given = Future()
                self._waiting.append((buffer, given))
            self._is_read = True
        if given is not None:
            return given.result()
        while (taken := self._read(buffer)) is not None:
            with self._reading:
                if not self._waiting:
                    self._is_read = False
                    return taken
                other, given = self._waiting.pop()
            other.data, buffer.data = buffer.data, other.data
            given.set_result(taken)
        with self._reading:
            self._is_read = False
            while self._waiting:
                self._waiting.pop()[1].set_result(None)
        return None

    def _read(self, buffer: Buffer) -> _Taken | None:
        if self.ended or self._state.stop.is_set():
            return None
        number = self._next_chunk
        try:
            if self._opened is None:
                self._opened = self._partition.open(self._plan.reading, self._state.stop)
            chunk = self._opened.chunks.next(buffer)
        except BaseException as error:
            self._fail(number, error)
            return None
        if chunk is None:
            self.ended = True
            return None
        self._next_chunk += 1
        before, self._consumed = self._consumed, self._opened.consumed()
        return _Taken(number, self._consumed - before, chunk)

    def _decode(self, chunk: Any, decoder: CompiledDecoder[Any], partial: Partial) -> _Decoded:
        decoded = _Decoded()
        # Chunks that are delivered later are later in the source, so they are not wanted either.
        keep_rejects = self._state.takes_rejects
        for batch in decoder.batches(chunk):
            partial.add(batch)
            decoded.counts += batch.counts
            decoded.rejects_by_reason.update(batch.rejects_by_reason)
            decoded.leading = decoded.leading.then(batch.leading)
            if keep_rejects:
                decoded.rejects += batch.rejects
        return decoded

    def _deliver(self, taken: _Taken, decoded: _Decoded) -> None:
        """Add the result of a chunk after those of all previous chunks."""
        self._state.read(taken.stored_bytes, decoded.counts.read)
        with self._delivering:
            self._finished[taken.number] = decoded
            while self._next_delivery in self._finished and not self._plan.stops_after(self._leading):
                following = self._finished.pop(self._next_delivery)
                if following.rejects:
                    rows_before = self._counts.read if self._partition.counts_rows else 0
                    self._rejects.add(following.rejects, rows_before)
                self._counts += following.counts
                self._rejects_by_reason += following.rejects_by_reason
                self._leading = self._leading.then(following.leading)
                self._next_delivery += 1
            self.ended = self.ended or self._plan.stops_after(self._leading)

    def _fail(self, number: int, error: BaseException) -> None:
        with self._delivering:
            self.ended = True
            if self._failure is None or number < self._failure[0]:
                self._failure = (number, error)

    def _daily_sums(self) -> pl.DataFrame:
        # Even a single thread has duplicates: merchants of several kinds, such as 42 and "42", or a second table of
        # `Partial`.
        one_kind = all(kinds["kind"].n_unique() <= 1 for kinds in self._kinds)
        is_unique = len(self._daily) == 1 and one_kind and self._counts.counted <= MAX_ROWS
        return merge_daily(self._daily) if is_unique or not self._daily else merge(self._daily)

    def result(self) -> PartitionResult:
        """The result of the partition.

        :raises Exception: see `count_partition`.
        """
        failure = None if self._failure is None else self._failure[1]
        if failure is not None and not isinstance(failure, ServiceError):
            raise failure
        if isinstance(failure, WrongRow):
            failure = failure.after(self._counts.read)
        chunks = None if self._opened is None else self._opened.chunks
        last = None if chunks is None else chunks.last
        return PartitionResult(
            first=None if chunks is None else chunks.first,
            last=last,
            counts=self._counts,
            rejects_by_reason=dict(self._rejects_by_reason),
            leading=self._leading,
            length=self._counts.read if self._partition.counts_rows else last or 0,
            daily=self._daily_sums(),
            kinds=merge_kinds(self._kinds),
            rejects=self._rejects,
            failure=failure,
        )
