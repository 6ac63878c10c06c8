"""BSON documents one after another, as ``mongodump`` writes a collection (`.bson`)."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.errors import SourceDamaged
from jobs.decode.bson_kernel import IMPOSSIBLE_LENGTH, NO_TERMINATOR, SMALLEST_DOCUMENT, end_of_documents
from jobs.decode.jit import PADDING, Bytes, Int64s
from jobs.sources.chunks import MAX_DOCUMENT_BYTES, WholeDocuments

_CHAIN: Final = 8
"""This many consecutive candidates are taken for real documents."""
_SHORT_CHAIN: Final = 2
"""The same if documents are so large that `_FAR_BYTES` have no more."""
_FAR_BYTES: Final = 256 * 1024
_ELEMENT_TYPES: Final = np.isin(np.arange(256), [*range(0x01, 0x14), 0x7F, 0xFF])
"""Whether a byte is the type of an element (bsonspec.org, version 1.1)."""


def describe_trouble(data: Bytes, at: int, trouble: int) -> str:
    """The error of `end_of_documents` for the document at `at`, in words."""
    length = int.from_bytes(data[at : at + 4].tobytes(), "little", signed=True)
    if trouble == IMPOSSIBLE_LENGTH:
        return f"the document that begins here has the length {length}, but must have 5 to {MAX_DOCUMENT_BYTES} bytes"
    if trouble == NO_TERMINATOR:
        return f"the document that begins here has the length {length}, but does not end there"
    raise AssertionError(f"end_of_documents knows no trouble {trouble}")


class BsonChunks(WholeDocuments):
    """Chunks of a `.bson` file, or of a range of its bytes."""

    _max_document = MAX_DOCUMENT_BYTES

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        end, _, trouble = end_of_documents(data, 0, used, MAX_DOCUMENT_BYTES)
        if trouble:
            raise SourceDamaged(self._stream.name, self._position + end, describe_trouble(data, end, trouble))
        if at_end and end < used:
            reason = f"the file ends in the middle of a document, {used - end} bytes after it begins"
            raise SourceDamaged(self._stream.name, self._position + end, reason)
        return int(end)

    def _end_of_first(self, data: Bytes, begin: int, used: int) -> int:
        if used - begin < 4:
            return 0
        end = begin + max(4, int.from_bytes(data[begin : begin + 4].tobytes(), "little", signed=True))
        at, _, trouble = end_of_documents(data, begin, min(end, used), MAX_DOCUMENT_BYTES)
        if trouble:
            raise SourceDamaged(self._stream.name, self._position + int(at), describe_trouble(data, int(at), trouble))
        return int(at) if at > begin else 0

    def _first_border(self, content: bytes, at_end: bool) -> int | None:
        """See `WholeDocuments._first_border`: a guess, as BSON has no separator."""
        data = np.frombuffer(content + bytes(PADDING), np.uint8)
        enough = _CHAIN if len(content) < _FAR_BYTES else _SHORT_CHAIN
        starts, ends = _plausible_documents(data, len(content))
        # For each position the end of the candidate document there, or -1 (also the last entry).
        following = np.full(len(content) + 2, -1)
        following[starts] = ends
        if at_end:
            following[len(content)] = len(content)
        # All chains at once, each no longer than needed: crafted content could have a long chain at every position.
        at = starts
        for _ in range(enough):
            at = following[at]
        found = starts[at >= 0]
        return int(found[0]) if found.size else None


def _plausible_documents(data: Bytes, used: int) -> tuple[Int64s, Int64s]:
    """Candidates for whole documents in the first `used` bytes of `data`, by length, first element and terminator.

    :returns: their starts and their ends.
    """
    starts = np.arange(max(0, used - 4))
    words = np.lib.stride_tricks.sliding_window_view(data, 4)[: starts.size]
    lengths = words.copy().view("<i4")[:, 0].astype(np.int64)
    ends = starts + lengths
    first_type = data[4:used]
    plausible = (lengths >= SMALLEST_DOCUMENT) & (ends <= used)
    plausible &= np.where(lengths == SMALLEST_DOCUMENT, first_type == 0, _ELEMENT_TYPES[first_type])
    plausible &= data[np.clip(ends - 1, 0, used)] == 0
    return starts[plausible], ends[plausible]
