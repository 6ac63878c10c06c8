"""Chunk readers: cut the content of a partition into chunks of whole documents for the decoders."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from core.errors import SourceDamaged
from jobs.decode.batch import Chunk
from jobs.decode.jit import PADDING, Bytes
from jobs.sources.streams import ByteStream

CHUNK_BYTES: Final = 2 * 1024 * 1024
"""Bytes per read, unless a document is larger."""
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024 + 16 * 1024
"""The largest BSON document of MongoDB, including its allowance for internal use."""
MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""The longest JSON document or CSV row: four times the largest BSON document."""
_STEP_BYTES: Final = 4096
"""Bytes of the first read beyond the end of a range, to complete its last document."""

_GUESS_BYTES: Final = 512 * 1024
"""How far the beginning of a document is searched; beyond that it is the end of the previous range."""


class Buffer:
    """Reusable memory for one chunk, plus `PADDING` bytes; belongs to one worker and grows on demand."""

    def __init__(self, capacity: int) -> None:
        self.data: Bytes = np.zeros(capacity + PADDING, np.uint8)

    @property
    def capacity(self) -> int:
        """Bytes of content that fit."""
        return self.data.size - PADDING

    @property
    def view(self) -> memoryview:
        """The memory as a writable buffer."""
        return self.data.data

    def grow(self, capacity: int, used: int) -> None:
        """Grow to at least `capacity` bytes of content; the first `used` bytes are preserved."""
        if capacity > self.capacity:
            larger = np.zeros(capacity + PADDING, np.uint8)
            larger[:used] = self.data[:used]
            self.data = larger

    def put(self, content: bytes) -> int:
        """Write `content` to the beginning; returns its length."""
        self.grow(len(content), 0)
        self.view[: len(content)] = content
        return len(content)


class ChunkReader(Protocol):
    """Returns the chunks of one partition in order; not thread-safe."""

    first: int | None
    """The beginning of the first document, in the unit of `jobs.sources.partition.Partition.start`; None if not yet
    known, or if no document begins in the partition."""
    last: int | None
    """The end of the last returned document."""

    def next(self, buffer: Buffer) -> Any | None:
        """The next chunk, perhaps in `buffer` and then valid until its next use; None after the last.

        :raises SourceDamaged: the content is invalid.
        :raises SourceError: reading failed.
        """


class WholeDocuments:
    """A chunk reader that cuts a stream at document borders, which subclasses find.

    :param stream: the bytes; unless `guess`, a document begins at its position.
    :param chunk_bytes: bytes per read.
    :param stop: read only documents that begin before this position; None: all.
    :param guess: the stream may begin within a document: find the beginning of the next one.
    """

    _unit = "document"
    """The word for a document in messages."""
    _max_document = MAX_TEXT_BYTES
    """The maximal size of a document in bytes."""

    def __init__(self, stream: ByteStream, chunk_bytes: int, stop: int | None = None, *, guess: bool = False) -> None:
        self._stream = stream
        self._chunk_bytes = chunk_bytes
        self._stop = stop
        self._guess = guess
        self.carried = b""
        """The bytes that were read after the last returned document."""
        self._position = stream.position
        self._ended = False
        self.first: int | None = None if guess else stream.position
        self.last: int | None = self.first

    def next(self, buffer: Buffer) -> Chunk | None:
        """The next chunk of whole documents; see `ChunkReader.next`."""
        if self._guess:
            self._guess = False
            self._find_first()
        if self._ended or (self._stop is not None and self._position >= self._stop):
            return None
        bound = None if self._stop is None else self._stop - self._position
        used, at_end = buffer.put(self.carried), False
        wanted = max(self._chunk_bytes, used + 1)
        while True:
            target = wanted if bound is None else min(wanted, bound)
            if used < target:
                used, at_end = self._fill(buffer, used, target)
            inside = used if bound is None else min(used, bound)
            end = self._last_border(buffer.data, inside, at_end)
            if inside == bound and end < inside and not at_end:
                end, used, at_end = self._complete(buffer, end, used)
            if end > 0 or at_end:
                break
            self._require_within_limit(used)
            wanted = min(2 * used, self._max_document + 1)
        self._ended = at_end
        if end == 0:
            return None
        self.carried = buffer.data[end:used].tobytes()
        chunk = Chunk(self._stream.name, buffer.data, end, self._position)
        self._position += end
        self.last = self._position
        return chunk

    def _fill(self, buffer: Buffer, used: int, wanted: int) -> tuple[int, bool]:
        """Read until `buffer` has `wanted` bytes: (how many it has, whether the stream ended)."""
        buffer.grow(wanted, used)
        count = self._stream.readinto(buffer.view[used:wanted])
        at_end = used + count < wanted
        used += count
        buffer.data[used : used + PADDING] = 0
        return used, at_end

    def _complete(self, buffer: Buffer, begin: int, used: int) -> tuple[int, int, bool]:
        """Read until the last document of the range, at `begin`, is whole: (its end, bytes in `buffer`, at the end)."""
        step, at_end = _STEP_BYTES, False
        while not (end := self._end_of_first(buffer.data, begin, used)):
            if at_end:
                return self._last_border(buffer.data, used, True), used, True
            self._require_within_limit(used - begin, begin)
            used, at_end = self._fill(buffer, used, used + step)
            step = min(2 * step, self._max_document)
        return end, used, at_end

    def _find_first(self) -> None:
        """Guess the beginning of the first document after the stream's position, and move there."""
        content, position = b"", self._position
        wanted = _STEP_BYTES
        while True:
            block = bytearray(wanted - len(content))
            count = self._stream.readinto(memoryview(block))
            at_end = count < len(block)
            content += block[:count]
            begin = self._first_border(content, at_end)
            if begin is not None and (self._stop is None or position + begin < self._stop):
                self.carried = content[begin:]
                self._position = position + begin
                self.first = self.last = self._position
                return
            if begin is not None or at_end or len(content) >= _GUESS_BYTES:
                self._ended = True
                return
            wanted = 2 * wanted

    def _require_within_limit(self, used: int, begin: int = 0) -> None:
        if used > self._max_document:
            limit = self._max_document // 2**20
            position = self._position + begin
            reason = f"the {self._unit} that begins here is longer than {limit} MiB"
            raise SourceDamaged(self._stream.name, position, reason)

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        """The end of the last whole document in the first `used` bytes.

        At the end of the stream, every document must be whole.

        :raises SourceDamaged: a document is invalid, or the last one is truncated.
        """
        raise NotImplementedError

    def _end_of_first(self, data: Bytes, begin: int, used: int) -> int:
        """The end of the document at `begin`, or 0 if it is not whole in the first `used` bytes.

        :raises SourceDamaged: see `_last_border`.
        """
        raise NotImplementedError

    def _first_border(self, content: bytes, at_end: bool) -> int | None:
        """The probable beginning of a document in `content`, whose first byte may be within a document.

        :param at_end: whether the stream ends with `content`.
        :returns: None if more content is needed.
        """
        raise NotImplementedError
