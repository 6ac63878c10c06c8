"""Counting one partition: a pure function of the partition and a plan, here or in any other process."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from core.calendar.days import LocalDays
from core.errors import ServiceError, WrongRow
from core.stores.runs import Counts
from jobs.aggregate.groups import MAX_ROWS
from jobs.aggregate.partial import PARTIAL_SCHEMA, Partial
from jobs.aggregate.summaries import merge
from jobs.decode.batch import Decoder, LeadingRejects, Reject
from jobs.runs.rejects import Limits, Rejects
from jobs.sources.chunks import Buffer
from jobs.sources.partition import Opened, Partition, Reading

KIND_SCHEMA: Final = pl.Schema([("merchant_id", pl.String()), ("kind", pl.UInt8())])
"""Every merchant met, whether counted or not, once for each kind (of `jobs.decode.merchants`) that it was met in."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How partitions are counted; picklable.

    :param local_days: the time zone whose days transactions belong to.
    :param rejects: how many rejects are kept.
    :param early_stop_after: when the first so many documents of a partition are all rejected for one reason, the rest
        of it is not read; None: all of it is. Only the first partition of a run is counted with this.
    """

    reading: Reading
    local_days: LocalDays
    rejects: Limits
    early_stop_after: int | None = None

    def stops_after(self, leading: LeadingRejects) -> bool:
        """Whether the rest of a partition that begins with `leading` is not read."""
        return self.early_stop_after is not None and leading.count >= self.early_stop_after


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """What one partition holds.

    :param first: where its first document begins; None: no document begins in it, as far as could be seen.
    :param last: where its last document ends, or the next one begins.
    :param length: how many positions it has, where those of its rejects begin with 0 (`Partition.counts_positions`).
    :param daily: a frame of `jobs.aggregate.partial.PARTIAL_SCHEMA`, in which no merchant and day occurs twice.
    :param kinds: a frame of `KIND_SCHEMA`.
    :param rejects: the first of its rejects, in order.
    :param failure: what is wrong with it from where the rest says nothing; None: nothing is.
    """

    first: int | None
    last: int | None
    counts: Counts = field(default_factory=Counts)
    rejects_by_reason: dict[str, int] = field(default_factory=dict)
    leading: LeadingRejects = field(default_factory=LeadingRejects)
    length: int = 0
    daily: pl.DataFrame = field(default_factory=lambda: PARTIAL_SCHEMA.to_frame())
    kinds: pl.DataFrame = field(default_factory=lambda: KIND_SCHEMA.to_frame())
    rejects: Rejects = field(default_factory=lambda: Rejects(Limits(0)))
    failure: ServiceError | None = None


class CountingState:
    """How far the counting of partitions has come, and how it is ended early; shared by threads.

    It changes nothing about the results that are used.

    :ivar stop: set: end soon; what comes then says nothing.
    :ivar takes_rejects: whether rejects are still of use.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.takes_rejects = True
        self._lock = threading.Lock()
        self._stored_bytes = 0
        self._documents = 0

    def read(self, stored_bytes: int, documents: int) -> None:
        """Some more has been read."""
        with self._lock:
            self._stored_bytes += stored_bytes
            self._documents += documents

    @property
    def so_far(self) -> tuple[int, int]:
        """How many stored bytes and documents have been read."""
        with self._lock:
            return self._stored_bytes, self._documents


def count_partition(partition: Partition, plan: Plan, state: CountingState | None = None) -> PartitionResult:
    """Count `partition`: whatever can be said about it without the partitions before and after it.

    It has no side effects. Errors of the source are part of the result: they count only once it is certain that a
    document begins where the partition took one to begin.

    :raises Exception: the program itself failed, as for want of memory.
    """
    count = PartitionCount(partition, plan, state or CountingState())
    count.work(Buffer(0))
    return count.result()


def merge_daily(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames of `PARTIAL_SCHEMA` as one, in which no merchant and day occurs twice; associative.

    :param frames: none of them has a merchant and day twice.
    """
    if len(frames) == 1:
        return frames[0]
    return merge(frames) if frames else PARTIAL_SCHEMA.to_frame()


def merge_kinds(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames of `KIND_SCHEMA` as one; associative."""
    return pl.concat(frames).unique() if frames else KIND_SCHEMA.to_frame()


@dataclass(slots=True)
class _Decoded:
    """What one chunk gave."""

    counts: Counts = field(default_factory=Counts)
    rejects: list[Reject] = field(default_factory=list)
    rejects_by_reason: Counter[str] = field(default_factory=Counter)
    leading: LeadingRejects = field(default_factory=LeadingRejects)


class PartitionCount:
    """The counting of one partition, which any number of threads can share.

    The decoders release the GIL. One thread at a time takes the next chunk; each holds one, which bounds memory.
    """

    def __init__(self, partition: Partition, plan: Plan, state: CountingState) -> None:
        self._partition = partition
        self._plan = plan
        self._state = state
        self._reading = threading.Lock()
        self._delivering = threading.Lock()
        self._opened: Opened | None = None
        self._ended = False
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

    @property
    def is_open(self) -> bool:
        """Whether another thread would find chunks to decode, as far as can be seen."""
        return not self._ended

    def work(self, buffer: Buffer) -> bool:
        """Decode chunks until there are no more; True for the one thread after which the `result` is complete.

        :param buffer: the thread's memory for chunks.
        """
        with self._delivering:
            if self._ended:
                return False
            self._at_work += 1
        number = -1
        try:
            decoder, partial = None, None
            while (found := self._take(buffer)) is not None:
                number, chunk = found
                if decoder is None or partial is None:
                    decoder = self._decoder()
                    partial = Partial(decoder.merchants, self._plan.local_days)
                self._deliver(number, self._decode(chunk, decoder, partial))
            if partial is not None:
                with self._delivering:
                    self._daily.append(partial.frame())
                    self._kinds.append(partial.merchant_kinds())
        except BaseException as error:
            self._fail(self._next_chunk if number < 0 else number, error)
        with self._delivering:
            self._ended = True
            self._at_work -= 1
            is_last = self._at_work == 0
        if is_last and self._opened is not None:
            self._opened.chunks.close()
            self._opened.close()
        return is_last

    def _take(self, buffer: Buffer) -> tuple[int, Any] | None:
        """The next chunk and its number; None after the last."""
        with self._reading:
            if self._ended or self._state.stop.is_set():
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
                self._ended = True
                return None
            self._next_chunk += 1
            return number, chunk

    def _decoder(self) -> Decoder:
        assert self._opened is not None, "a chunk was taken, so that it is open"
        return self._opened.decoder()

    def _decode(self, chunk: Any, decoder: Decoder, partial: Partial) -> _Decoded:
        decoded = _Decoded()
        # What is delivered later comes later in the source, so that it is not wanted either.
        keep_rejects = self._state.takes_rejects
        for batch in decoder.batches(chunk):
            partial.add(batch)
            decoded.counts += batch.counts
            decoded.rejects_by_reason.update(batch.rejects_by_reason)
            decoded.leading = decoded.leading.then(batch.leading)
            if keep_rejects:
                decoded.rejects += batch.rejects
        return decoded

    def _deliver(self, number: int, decoded: _Decoded) -> None:
        """Add what chunk `number` gave as soon as all chunks before it have been added."""
        self._state.read(self._newly_consumed(), decoded.counts.read)
        with self._delivering:
            self._finished[number] = decoded
            while self._next_delivery in self._finished and not self._plan.stops_after(self._leading):
                following = self._finished.pop(self._next_delivery)
                if following.rejects:
                    rows_before = self._counts.read if self._partition.counts_rows else 0
                    self._rejects.add(following.rejects, rows_before)
                self._counts += following.counts
                self._rejects_by_reason += following.rejects_by_reason
                self._leading = self._leading.then(following.leading)
                self._next_delivery += 1
            self._ended = self._ended or self._plan.stops_after(self._leading)

    def _newly_consumed(self) -> int:
        """How many stored bytes have been read since this was last asked."""
        with self._reading:
            consumed = 0 if self._opened is None else self._opened.consumed()
            newly, self._consumed = consumed - self._consumed, consumed
            return newly

    def _fail(self, number: int, error: BaseException) -> None:
        with self._delivering:
            self._ended = True
            if self._failure is None or number < self._failure[0]:
                self._failure = (number, error)

    def _daily_sums(self) -> pl.DataFrame:
        # One thread alone gives a merchant twice where it has several kinds, such as 42 and "42", or where a `Partial`
        # began a second table.
        one_kind = all(kinds["kind"].n_unique() <= 1 for kinds in self._kinds)
        is_unique = len(self._daily) == 1 and one_kind and self._counts.counted <= MAX_ROWS
        return merge_daily(self._daily) if is_unique or not self._daily else merge(self._daily)

    def result(self) -> PartitionResult:
        """What was counted.

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
