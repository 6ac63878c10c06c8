"""Feeds: the sequential half of reading. One thread at a time asks for the next chunk; decoding goes on in parallel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from core.errors import SourceDamaged
from jobs.decode.batch import Chunk, Decoder
from jobs.decode.jit import PADDING, Bytes
from jobs.decode.judge import Window
from jobs.decode.plan import Fields

CHUNK_BYTES: Final = 2 * 1024 * 1024
"""How much is read at a time unless a document needs more."""
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024 + 16 * 1024
"""The largest BSON document that MongoDB stores, with what it allows for internal use."""
MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""The longest JSON document or row of a CSV file that is read: four times the BSON it can stand for."""


class Buffer:
    """Memory for one chunk at a time, with `PADDING` bytes more; belongs to one worker and grows on demand."""

    def __init__(self, capacity: int) -> None:
        self.data: Bytes = np.zeros(capacity + PADDING, np.uint8)

    @property
    def capacity(self) -> int:
        """How many bytes of content it can hold."""
        return self.data.size - PADDING

    @property
    def view(self) -> memoryview:
        """The memory as bytes that can be read into."""
        return self.data.data

    def grow(self, capacity: int, used: int) -> None:
        """Make room for `capacity` bytes of content, keeping the first `used`."""
        if capacity > self.capacity:
            larger = np.zeros(capacity + PADDING, np.uint8)
            larger[:used] = self.data[:used]
            self.data = larger

    def put(self, content: bytes) -> int:
        """Place `content` at the beginning; its length."""
        self.grow(len(content), 0)
        self.view[: len(content)] = content
        return len(content)


class Stream(Protocol):
    """What feeds need of `jobs.sources.streams.ByteStream`."""

    name: str
    position: int
    """How many bytes have been read."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` as far as the content goes; 0 at the end."""


class Feed(Protocol):
    """Hands out the chunks of one source in order; not safe to call from two threads at once."""

    def next(self, buffer: Buffer) -> Any | None:
        """The next chunk, which may lie in `buffer` until it is used for another; None after the last.

        :raises SourceDamaged: the content breaks the format's rules.
        :raises SourceError: it cannot be read.
        """


class WholeDocuments:
    """A feed over a stream of documents that are cut at document borders; formats say where those are.

    :param stream: where bytes come from.
    :param chunk_bytes: how much to read at a time.
    :param max_document: the most bytes that one document may have.
    """

    _unit = "document"
    """What messages call a document."""

    def __init__(self, stream: Stream, chunk_bytes: int, max_document: int) -> None:
        self._stream = stream
        self._chunk_bytes = chunk_bytes
        self._max_document = max_document
        self._carried = b""
        self._position = stream.position

    def next(self, buffer: Buffer) -> Chunk | None:
        """The next chunk of whole documents; see `Feed.next`."""
        used = buffer.put(self._carried)
        wanted = max(self._chunk_bytes, used + 1)
        while True:
            buffer.grow(wanted, used)
            count = self._stream.readinto(buffer.view[used:wanted])
            at_end = used + count < wanted
            used += count
            buffer.data[used : used + PADDING] = 0
            end = self._last_border(buffer.data, used, at_end)
            if end > 0 or at_end:
                break
            if used > self._max_document:
                limit = self._max_document // 2**20
                raise SourceDamaged(
                    self._stream.name, self._position, f"the {self._unit} that begins here is longer than {limit} MiB"
                )
            wanted = min(2 * used, self._max_document + 1)
        if end == 0:
            return None
        self._carried = buffer.data[end:used].tobytes()
        chunk = Chunk(self._stream.name, buffer.data, 0, end, self._position)
        self._position += end
        return chunk

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        """Where the last whole document in the first `used` bytes ends.

        At the end of the stream everything must be whole.

        :raises SourceDamaged: a border cannot be where the content says, or the last document is cut short.
        """
        raise NotImplementedError


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """One source, opened and recognised.

    :param name: what messages call it.
    :param form: what it was recognised as, such as ``mongodump archive, gzip``.
    :param feed: its chunks.
    :param decoder: makes a decoder for its chunks, one a thread.
    :param progress: (stored bytes read so far, stored bytes in all or None).
    :param close: releases its files.
    :param interrupt: lets a thread that waits for the next chunk go, with None, where that can be done.
    :param warnings: what its user should know, once it was read to its end.
    """

    name: str
    form: str
    feed: Feed
    decoder: Callable[[Fields, Window], Decoder]
    progress: Callable[[], tuple[int, int | None]]
    close: Callable[[], None]
    interrupt: Callable[[], None] = _nothing
    warnings: Callable[[], tuple[str, ...]] = tuple
