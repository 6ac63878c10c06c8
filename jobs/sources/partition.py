"""Partitions, the independently countable parts of a source; and sources, which list them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from jobs.decode.classify import Window
from jobs.decode.decoder import CompiledDecoder
from jobs.decode.plan import Fields
from jobs.sources.chunks import CHUNK_BYTES, ChunkReader


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options for reading sources; picklable.

    :param fields: the fields to read.
    :param window: the instants to count.
    :param collection: the collection of a dump or server, or None for the default names.
    :param chunk_bytes: bytes per read, unless a document is larger.
    """

    fields: Fields
    window: Window
    collection: str | None = None
    chunk_bytes: int = CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Opened:
    """An open partition.

    :param chunks: its content, in order.
    :param decoder: creates a decoder for its chunks, one per thread.
    :param consumed: returns the stored bytes read so far.
    :param close: releases its resources.
    """

    chunks: ChunkReader
    decoder: Callable[[], CompiledDecoder[Any]]
    consumed: Callable[[], int]
    close: Callable[[], None]


class Partition(ABC):
    """A part of a source; immutable and, except for streams, picklable.

    :ivar name: its source in messages, without a password.
    :ivar size: approximate stored bytes, or None if unknown.
    :ivar start: its beginning, in bytes of the uncompressed source or another unit of the format. It has the documents
        that begin in ``[start, end)``.
    :ivar end: its end; None: the end of the source.
    :ivar guessed: whether `start` may be inside a document, so that the next border is guessed.
    :ivar counts_rows: whether positions of rejects are row numbers within a chunk.
    :ivar counts_positions: whether positions of rejects are relative to the partition, as the number of positions
        before it is unknown to it; `PartitionResult.length` is its number of positions.
    """

    name: str
    size: int | None
    start: int
    end: int | None
    guessed: bool = False
    counts_rows: bool = False
    counts_positions: bool = False

    @abstractmethod
    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        """Open it. Reading ends early, without an error, when `stop` is set.

        :raises SourceError: it cannot be read, or its source has changed.
        :raises SourceDamaged: its beginning is damaged.
        """

    @abstractmethod
    def beginning_at(self, start: int) -> Self:
        """The same partition with another `start`, at which a document begins."""

    def identity(self) -> tuple[object, ...] | None:
        """A unique identity of the partition and its content, as plain values.

        None: unknown, so that it has no checkpoint.
        """
        return None

    def source_version(self) -> tuple[object, ...]:
        """The identity of its source: the location, then the version of the content. A prefix of `identity`."""
        return (self.name,)

    def require_unchanged(self) -> None:  # noqa: B027 - not every source can change
        """Raise if the source has changed while it was read.

        :raises SourceError: it has changed.
        """


@dataclass(frozen=True, slots=True)
class Source:
    """A source of a detected format.

    :param name: its name in messages.
    :param file_format: the detected format, such as ``mongodump archive, gzip``.
    :param partitions: its parts, in order; disjoint, and together all documents.
    :param readers: maximal number of partitions read at a time, regardless of the number of threads.
    :param expected_bytes: estimates the total stored bytes from (bytes, documents) read so far; or None.
    :param finish: called with the number of documents after all were read; returns warnings. Raises
        `core.errors.SourceError` if documents are missing.
    :param close: releases its resources.
    """

    name: str
    file_format: str
    partitions: tuple[Partition, ...]
    readers: int = 1
    expected_bytes: Callable[[int, int], int | None] = lambda done, documents: None
    finish: Callable[[int], tuple[str, ...]] = lambda documents: ()
    close: Callable[[], None] = lambda: None
