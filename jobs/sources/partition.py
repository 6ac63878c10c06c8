"""Partitions: the parts of a source that can be counted each on its own; and sources, which list them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from jobs.decode.batch import Decoder
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.sources.chunks import CHUNK_BYTES, ChunkReader


@dataclass(frozen=True, slots=True)
class Reading:
    """How sources are read; picklable.

    :param fields: what is read of a document.
    :param window: the instants that are counted.
    :param collection: the collection wanted of a dump or server that holds several, or None for the default names.
    :param chunk_bytes: how much is read at a time unless a document needs more.
    """

    fields: Fields
    window: Window
    collection: str | None = None
    chunk_bytes: int = CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Opened:
    """A partition that is being read.

    :param chunks: what it holds, in order.
    :param decoder: makes a decoder for its chunks, one a thread.
    :param consumed: how many stored bytes have been read of it so far.
    :param close: releases what it holds open.
    """

    chunks: ChunkReader
    decoder: Callable[[], Decoder]
    consumed: Callable[[], int]
    close: Callable[[], None]


class Partition(ABC):
    """A part of a source; immutable and, unless the source can be read only once, picklable.

    :ivar name: what messages call its source, without a password.
    :ivar size: about how many stored bytes it has, or None when that is not known.
    :ivar start: where it begins, in bytes of the uncompressed source or another unit of its format. The documents that
        begin from `start` on and before `end` belong to it.
    :ivar end: where it ends; None: where the source does.
    :ivar guessed: whether `start` may lie within a document, so that the first border after it is guessed.
    :ivar counts_rows: whether positions of rejects are rows that are counted from each chunk's beginning.
    :ivar counts_positions: whether positions of rejects are counted from the partition's beginning, as what comes
        before it is not known to it; `PartitionResult.length` says how many positions it has.
    """

    name: str
    size: int | None
    start: int
    end: int | None
    guessed: bool = False
    counts_rows: bool = False
    counts_positions: bool = False

    @abstractmethod
    def open(self, reading: Reading, stop: threading.Event) -> Opened:
        """Open it; its reading ends early, without an error, when `stop` is set.

        :raises SourceError: it cannot be read, or is no longer what was listed.
        :raises SourceDamaged: its beginning is broken.
        """

    @abstractmethod
    def beginning_at(self, start: int) -> Self:
        """The part of it from `start` on, where a document begins."""

    def identity(self) -> tuple[object, ...] | None:
        """What tells it from every other partition and from the same one of changed content, as plain values.

        None: it is unknown, so that it has no checkpoint.
        """
        return None

    def source_version(self) -> tuple[object, ...]:
        """What tells its source from others, first where it is, then by its content: the beginning of `identity`."""
        return (self.name,)

    def require_unchanged(self) -> None:  # noqa: B027 - not every source can change
        """Raise where its source has changed while it was read.

        :raises SourceError: it has.
        """


def _no_warnings(documents: int) -> tuple[str, ...]:
    return ()


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """One source, recognised.

    :param name: what messages call it.
    :param form: what it was recognised as, such as ``mongodump archive, gzip``.
    :param partitions: its parts, in order; together they hold each of its documents once.
    :param readers: how many of them are worth reading at a time, whatever the number of threads.
    :param expected_bytes: about how many stored bytes it has in all, given (bytes, documents) read so far; or None.
    :param finish: called with the number of documents when all were read; what its user should know. It raises
        `core.errors.SourceError` where documents are missing.
    :param close: releases what it holds open.
    """

    name: str
    form: str
    partitions: tuple[Partition, ...]
    readers: int = 1
    expected_bytes: Callable[[int, int], int | None] = lambda done, documents: None
    finish: Callable[[int], tuple[str, ...]] = _no_warnings
    close: Callable[[], None] = _nothing
