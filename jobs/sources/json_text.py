"""JSON as ``mongoexport`` writes it: one document per line, or an array (also ``--pretty``), relaxed or canonical."""

from __future__ import annotations

import numpy as np

from core.errors import SourceDamaged
from jobs.decode.jit import Bytes
from jobs.decode.json_kernel import BEFORE_FIRST, CLOSED, end_of_json_documents
from jobs.sources.chunks import WholeDocuments
from jobs.sources.streams import ByteStream

_NEWLINE = b"\n"
_TAIL_BYTES = 4096


class JsonLineChunks(WholeDocuments):
    """Chunks of whole lines; the last line needs no newline.

    :param guess: the stream begins one byte before the range; a document certainly begins after a newline.
    """

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        if at_end:
            return used
        for tail_bytes in (_TAIL_BYTES, used):
            first = max(0, used - tail_bytes)
            newline = data[first:used].tobytes().rfind(_NEWLINE)
            if newline >= 0:
                return first + newline + 1
        return 0

    def _end_of_first(self, data: Bytes, begin: int, used: int) -> int:
        newline = data[begin:used].tobytes().find(_NEWLINE)
        return 0 if newline < 0 else begin + newline + 1

    def _first_border(self, content: bytes, at_end: bool) -> int | None:
        return content.find(_NEWLINE) + 1 or None


class JsonStreamChunks(WholeDocuments):
    """Chunks of documents over several lines: the elements of an array, or concatenated documents.

    :param array: the first character is the opening bracket of the array.
    """

    def __init__(self, stream: ByteStream, chunk_bytes: int, *, array: bool) -> None:
        super().__init__(stream, chunk_bytes)
        self._array = array
        self._state = np.array([BEFORE_FIRST], np.int64)
        self._opened = not array

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        if not self._opened:
            # Overwrite the bracket with white space, so that chunks have only documents, commas and white space.
            bracket = data[:used].tobytes().find(b"[")
            if bracket < 0 and not at_end:
                return 0
            data[bracket] = 0x20
            self._opened = True
        end = int(end_of_json_documents(data, 0, used, self._array, self._state))
        if end < 0:
            self._damaged(-1 - end, "expected the next document or the end of the array")
        if at_end and end < used and data[end:used].tobytes().strip():
            self._damaged(used, "the file ends in the middle of a JSON document")
        if at_end and self._array and self._state[0] != CLOSED:
            self._damaged(used, "the file ends before the end of the array")
        if self._state[0] == CLOSED and end > 0 and data[end - 1] == 0x5D:
            data[end - 1] = 0x20
        return used if at_end else end

    def _damaged(self, at: int, reason: str) -> None:
        raise SourceDamaged(self._stream.name, self._position + at, reason)
