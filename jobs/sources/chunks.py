"""Chunk readers: they cut what a partition holds into chunks of whole documents for the decoders, one after another."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from core.errors import SourceDamaged
from jobs.decode.batch import Chunk
from jobs.decode.jit import PADDING, Bytes

CHUNK_BYTES: Final = 2 * 1024 * 1024
"""How much is read at a time unless a document needs more."""
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024 + 16 * 1024
"""The largest BSON document that MongoDB stores, with what it allows for internal use."""
MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""The longest JSON document or row of a CSV file that is read: four times the BSON it can stand for."""
_STEP_BYTES: Final = 4096
"""How much is read at first beyond the end of a range, where its last document goes on."""

_GUESS_BYTES: Final = 512 * 1024
"""How far the beginning of a document is looked for; beyond that the range before says where it is."""


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
    """What chunk readers need of `jobs.sources.streams.ByteStream`."""

    name: str
    position: int
    """The position in the uncompressed source of the next byte."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` as far as the content goes; 0 at the end."""


class ChunkReader(Protocol):
    """Hands out the chunks of one partition in order; not safe to call from two threads at once."""

    first: int | None
    """Where the first document begins, in the unit of `jobs.sources.partition.Partition.start`; None while that is not
    known, and where no document begins in the partition."""
    last: int | None
    """Where the last document that was handed out ends."""

    def next(self, buffer: Buffer) -> Any | None:
        """The next chunk, which may lie in `buffer` until it is used for another; None after the last.

        :raises SourceDamaged: the content breaks the format's rules.
        :raises SourceError: it cannot be read.
        """

    def close(self) -> None:
        """Release what only this reader holds; its stream is closed by others."""


class WholeDocuments:
    """A chunk reader over a stream of documents that are cut at document borders; formats say where those are.

    :param stream: where bytes come from; a document begins at its position unless `guess`.
    :param chunk_bytes: how much to read at a time.
    :param max_document: the most bytes that one document may have.
    :param stop: only documents that begin before this position are read; None: all.
    :param guess: the stream begins somewhere in a document: find where the next one begins.
    """

    _unit = "document"
    """What messages call a document."""

    def __init__(
        self, stream: Stream, chunk_bytes: int, max_document: int, stop: int | None = None, *, guess: bool = False
    ) -> None:
        self._stream = stream
        self._chunk_bytes = chunk_bytes
        self._max_document = max_document
        self._stop = stop
        self._guess = guess
        self._carried = b""
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
        used, at_end = buffer.put(self._carried), False
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
        self._carried = buffer.data[end:used].tobytes()
        chunk = Chunk(self._stream.name, buffer.data, 0, end, self._position)
        self._position += end
        self.last = self._position
        return chunk

    @property
    def carried(self) -> bytes:
        """What was read after the last document that was handed out."""
        return self._carried

    def close(self) -> None:
        """See `ChunkReader.close`."""

    def _fill(self, buffer: Buffer, used: int, wanted: int) -> tuple[int, bool]:
        """Read until `wanted` bytes are in `buffer`: (how many there are, whether the stream has ended)."""
        buffer.grow(wanted, used)
        count = self._stream.readinto(buffer.view[used:wanted])
        at_end = used + count < wanted
        used += count
        buffer.data[used : used + PADDING] = 0
        return used, at_end

    def _complete(self, buffer: Buffer, begin: int, used: int) -> tuple[int, int, bool]:
        """Read on until the document at `begin`, the last of the range, is whole: (its end, bytes read, at the end)."""
        step, at_end = _STEP_BYTES, False
        while not (end := self._end_of_first(buffer.data, begin, used)):
            if at_end:
                return self._last_border(buffer.data, used, True), used, True
            self._require_within_limit(used - begin, begin)
            used, at_end = self._fill(buffer, used, used + step)
            step = min(2 * step, self._max_document)
        return end, used, at_end

    def _find_first(self) -> None:
        """Guess where the first document after the stream's position begins, and move there."""
        content, position = b"", self._position
        wanted = _STEP_BYTES
        while True:
            block = bytearray(wanted - len(content))
            count = self._stream.readinto(memoryview(block))
            at_end = count < len(block)
            content += block[:count]
            begin = self._first_border(content, at_end)
            if begin is not None and (self._stop is None or position + begin < self._stop):
                self._carried = content[begin:]
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
        """Where the last whole document in the first `used` bytes ends.

        At the end of the stream everything must be whole.

        :raises SourceDamaged: a border cannot be where the content says, or the last document is cut short.
        """
        raise NotImplementedError

    def _end_of_first(self, data: Bytes, begin: int, used: int) -> int:
        """Where the document that begins at `begin` ends, or 0 where it is not whole in the first `used` bytes.

        :raises SourceDamaged: as `_last_border`.
        """
        raise NotImplementedError

    def _first_border(self, content: bytes, at_end: bool) -> int | None:
        """Where in `content`, the first byte of which may be anywhere in a document, probably a document begins.

        :param at_end: whether the stream ends with `content`.
        :returns: None where that takes more content.
        """
        raise NotImplementedError
