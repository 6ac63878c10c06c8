"""BSON documents one after another, as ``mongodump`` writes a collection (`.bson`)."""

from __future__ import annotations

from core.errors import SourceDamaged
from jobs.decode.bson_kernel import IMPOSSIBLE_LENGTH, NO_TERMINATOR, end_of_documents
from jobs.decode.jit import Bytes
from jobs.sources.feed import CHUNK_BYTES, MAX_DOCUMENT_BYTES, Stream, WholeDocuments


def describe_trouble(data: Bytes, at: int, trouble: int) -> str:
    """In words, what `end_of_documents` found wrong with the document at `at`."""
    length = int.from_bytes(data[at : at + 4].tobytes(), "little", signed=True)
    if trouble == IMPOSSIBLE_LENGTH:
        return f"the document that begins here says it has {length} bytes; 5 to {MAX_DOCUMENT_BYTES} are possible"
    if trouble == NO_TERMINATOR:
        return f"the document that begins here says it has {length} bytes, but there is no end after so many"
    raise AssertionError(f"end_of_documents knows no trouble {trouble}")


class BsonFeed(WholeDocuments):
    """Chunks of a `.bson` file."""

    def __init__(self, stream: Stream, chunk_bytes: int = CHUNK_BYTES) -> None:
        super().__init__(stream, chunk_bytes, MAX_DOCUMENT_BYTES)

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        end, _, trouble = end_of_documents(data, 0, used, MAX_DOCUMENT_BYTES)
        if trouble:
            raise SourceDamaged(self._stream.name, self._position + end, describe_trouble(data, end, trouble))
        if at_end and end < used:
            reason = f"the file ends in the middle of a document, {used - end} bytes after it begins"
            raise SourceDamaged(self._stream.name, self._position + end, reason)
        return int(end)
