"""mongodump archives (``--archive``): collections interleaved in segments, each with an end marker and a checksum.

The format (mongo-tools, ``common/archive``): a magic number; a *prelude* of BSON documents, the first about the
archive, then one for each collection; the terminator (an int32 of -1). Then *segments*: a header document that names a
collection, its documents, the terminator. A header with ``EOF: true`` marks the end of its collection and has the
CRC-64/XZ of all its documents, as a signed integer; no documents follow it. For a time series collection, the prelude
has the name that users see, but its segments and end marker have the name of its buckets collection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import bson
from bson.errors import BSONError
from fastcrc import crc64

from core.errors import SourceDamaged
from jobs.decode.batch import Chunk
from jobs.decode.bson_kernel import IMPOSSIBLE_LENGTH, SMALLEST_DOCUMENT, end_of_documents
from jobs.decode.jit import PADDING
from jobs.sources.bson_file import describe_trouble
from jobs.sources.chunks import CHUNK_BYTES, MAX_DOCUMENT_BYTES, Buffer
from jobs.sources.collections import TIME_SERIES, VIEW, Namespace, choose_collection, refuse_without_documents
from jobs.sources.streams import ByteStream

MAGIC: Final = bytes.fromhex("6de29981")
_TERMINATOR: Final = b"\xff\xff\xff\xff"
_VERSION: Final = "0.1"
_BUCKETS: Final = "system.buckets."


@dataclass(slots=True)
class _Collection:
    """The state of a collection while the archive is read.

    :param has_documents: whether the archive must have documents of it, or at least an end marker.
    :param about: its document in the prelude.
    """

    has_documents: bool
    about: Mapping[str, Any] = field(default_factory=dict)
    checksum: int = 0
    ended: bool = False


class ArchiveChunks:
    """Chunks of one collection of an archive; other collections are skipped, but their checksums are verified.

    :param collection: its name, or None for ``transaction`` or ``transactions``.
    :raises SourceDamaged: the beginning of the archive is damaged.
    :raises SourceError: the archive lacks the collection (lists the others) or its documents (a view).
    """

    def __init__(self, stream: ByteStream, collection: str | None, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.first: int | None = stream.position
        self.last: int | None = stream.position
        self._stream = stream
        self._window = Buffer(chunk_bytes)
        self._position = stream.position
        self._start = 0
        self._end = 0
        self._collections: dict[Namespace, _Collection] = {}
        self._current: Namespace | None = None
        self._read_prelude()
        self.namespace = choose_collection(stream.name, self._named(), collection)
        about = self._collections[self.namespace].about
        if about.get("type") == TIME_SERIES or _view_on(about) is not None:
            self._refuse()

    def next(self, buffer: Buffer) -> Chunk | None:
        """The next chunk of the wanted collection; see `jobs.sources.chunks.ChunkReader.next`."""
        while True:
            if self._current is None:
                if not self._open_segment():
                    return None
                continue
            size = self._step_over_documents(self._current)
            if self._current == self.namespace and size:
                start = self._start - size
                buffer.grow(size, 0)
                buffer.data[:size] = self._window.data[start : self._start]
                buffer.data[size : size + PADDING] = 0
                self.last = self._position + self._start
                return Chunk(self._stream.name, buffer.data, size, self._position + start)

    def _read_prelude(self) -> None:
        if self._take(4, "the archive's magic number") != MAGIC:
            self._damaged("this is not a mongodump archive", 4)
        header = self._document("the archive's header")
        if header.get("version") != _VERSION:
            self._damaged(f"the archive has version {header.get('version')!r}, but only {_VERSION!r} is supported", 0)
        while not self._at_terminator():
            entry = self._document("a collection of the archive's prelude")
            namespace = self._namespace(entry)
            kind = entry.get("type")
            self._collections[namespace] = _Collection(has_documents=kind not in (VIEW, TIME_SERIES), about=entry)
            if kind == TIME_SERIES:
                buckets = Namespace(namespace.database, _BUCKETS + namespace.collection)
                self._collections[buckets] = _Collection(has_documents=True)

    def _open_segment(self) -> bool:
        """Read the next segment's header; False at the end of the archive."""
        if self._available(1) == 0:
            self._require_all_ended()
            if not self._collections[self.namespace].has_documents:
                self._refuse()
            return False
        header = self._document("a segment's header")
        namespace = self._namespace(header)
        known = self._collections.setdefault(namespace, _Collection(has_documents=True))
        if known.ended:
            self._damaged(f"{namespace} continues after its end marker", 0)
        if not header.get("EOF"):
            # With mongodump --viewsAsCollections also for a view: it has the type of a view, but no `viewOn`.
            known.has_documents = True
            self._current = namespace
            return True
        known.ended = True
        if header.get("CRC") != to_signed(known.checksum):
            self._damaged(f"the checksum of {namespace} does not match its documents", 0)
        if not self._at_terminator():
            self._damaged(f"documents follow the end marker of {namespace}", 0)
        return True

    def _named(self) -> list[Namespace]:
        """The collections without the server's own buckets of time series."""
        return [name for name in self._collections if not name.collection.startswith(_BUCKETS)]

    def _refuse(self) -> NoReturn:
        about = self._collections[self.namespace].about
        others = [name.collection for name in self._named() if self._collections[name].has_documents]
        refuse_without_documents(self._stream.name, self.namespace, str(about.get("type")), _view_on(about), others)

    def _step_over_documents(self, current: Namespace) -> int:
        """Move past the whole documents in the window and update the checksum; their bytes, or 0 at the end."""
        if self._at_terminator():
            self._current = None
            return 0
        window = self._window
        end, count, trouble = end_of_documents(window.data, self._start, self._end, MAX_DOCUMENT_BYTES)
        if trouble == IMPOSSIBLE_LENGTH and window.data[end : end + 4].tobytes() == _TERMINATOR:
            trouble = 0
        if trouble:
            self._damaged(describe_trouble(window.data, end, trouble), end - self._start, ahead=True)
        if count == 0:
            self._length("a document")
            return 0
        known = self._collections[current]
        start, self._start = self._start, int(end)
        known.checksum = crc64.xz(window.view[start : self._start], known.checksum)
        return self._start - start

    def _require_all_ended(self) -> None:
        open_ = [str(name) for name, known in self._collections.items() if known.has_documents and not known.ended]
        if open_:
            self._damaged(f"the archive is truncated: there is no end marker of {', '.join(open_)}", 0)

    def _available(self, wanted: int) -> int:
        """Read until the window has `wanted` bytes, or all up to the end; returns how many it has."""
        if self._end - self._start < wanted:
            window = self._window
            left = self._end - self._start
            window.data[:left] = window.data[self._start : self._end].copy()
            self._position += self._start
            self._start, self._end = 0, left
            window.grow(wanted, left)
            self._end += self._stream.readinto(window.view[left : window.capacity])
            window.data[self._end : self._end + PADDING] = 0
        return self._end - self._start

    def _take(self, size: int, what: str) -> bytes:
        left = self._available(size)
        if left < size:
            self._damaged(f"the archive is truncated in {what}", left, ahead=True)
        taken = self._window.data[self._start : self._start + size].tobytes()
        self._start += size
        return taken

    def _at_terminator(self) -> bool:
        """Whether the terminator is next; if so, moves past it."""
        if self._available(4) >= 4 and self._window.data[self._start : self._start + 4].tobytes() != _TERMINATOR:
            return False
        self._take(4, "a terminator")
        return True

    def _length(self, what: str) -> int:
        if self._available(4) < 4:
            self._take(4, what)
        length = int.from_bytes(self._window.data[self._start : self._start + 4].tobytes(), "little", signed=True)
        if not SMALLEST_DOCUMENT <= length <= MAX_DOCUMENT_BYTES:
            self._damaged(describe_trouble(self._window.data, self._start, IMPOSSIBLE_LENGTH), 0, ahead=True)
        if self._available(length) < length:
            self._take(length, what)
        return length

    def _document(self, what: str) -> dict[str, Any]:
        length = self._length(what)
        try:
            return bson.decode(self._take(length, what))
        except (BSONError, ValueError, OverflowError) as error:
            self._damaged(f"{what} is not valid BSON ({error})", length)

    def _namespace(self, header: dict[str, Any]) -> Namespace:
        database, collection = header.get("db"), header.get("collection")
        if not isinstance(database, str) or not isinstance(collection, str):
            self._damaged("a header has no collection", 0)
        return Namespace(database, collection)

    def _damaged(self, reason: str, distance: int, *, ahead: bool = False) -> NoReturn:
        """Raise `SourceDamaged` for `distance` bytes before (with `ahead`, after) the position."""
        position = self._position + self._start + (distance if ahead else -distance)
        raise SourceDamaged(self._stream.name, position, reason)


def to_signed(checksum: int) -> int:
    """An unsigned 64-bit checksum as a signed integer, as in archives."""
    return checksum - (checksum >> 63 << 64)


def _view_on(about: Mapping[str, Any]) -> str | None:
    """The collection of a view, if the prelude names it."""
    with suppress(KeyError, TypeError, ValueError):
        return str(json.loads(about["metadata"])["options"]["viewOn"])
    return None
