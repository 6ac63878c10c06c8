"""CSV as ``mongoexport --type=csv`` writes it: a header line, ``ObjectId(…)``, ISO 8601 instants.

CSV has lost the types: a merchant 42 and a merchant "42" look the same, an empty cell and a missing field too, and
nested values are text. What is written is taken as it stands: `jobs.decode.columns` says how.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from core.errors import SourceDamaged, SourceError
from jobs.decode import slots as kinds
from jobs.decode.columns import TableChunk, read_text_amounts, read_text_ids, read_text_times
from jobs.decode.documents import row_document
from jobs.decode.jit import PADDING, Bytes
from jobs.decode.plan import Fields
from jobs.decode.slots import Slots, new_slots
from jobs.sources.feed import CHUNK_BYTES, Buffer
from jobs.sources.streams import ByteStream

_HEADER_STEP_BYTES: Final = 4096
_LONGEST_HEADER_BYTES: Final = 1024 * 1024


def text_slots(columns: list[pa.StringArray]) -> tuple[list[Slots], Bytes]:
    """String slots for text columns, and the one buffer that all of them point into. A null is a missing value."""
    parts: list[bytes] = []
    slots = []
    base = 0
    for column in columns:
        column = column.cast(pa.large_binary())
        _, offset_buffer, data = column.buffers()
        offsets = np.frombuffer(offset_buffer, np.int64)[column.offset : column.offset + len(column) + 1]
        first, last = (int(offsets[0]), int(offsets[-1])) if len(column) else (0, 0)
        values = new_slots(len(column))
        values.kind[:] = np.where(column.is_valid().to_numpy(zero_copy_only=False), kinds.STRING, kinds.MISSING)
        values.start[:] = offsets[:-1] - first + base
        values.length[:] = np.diff(offsets)
        slots.append(values)
        parts.append(b"" if data is None else memoryview(data)[first:last].tobytes())
        base += last - first
    return slots, np.frombuffer(b"".join(parts) + bytes(PADDING), np.uint8)


class _Text(io.RawIOBase):
    """The bytes of a CSV file as Arrow reads them, with what can be told about the whole by looking at each of them.

    ``header`` is the first line, without its end.
    """

    def __init__(self, stream: ByteStream) -> None:
        super().__init__()
        self._stream = stream
        self._ahead = b""
        block = bytearray(_HEADER_STEP_BYTES)
        while b"\n" not in self._ahead and len(self._ahead) < _LONGEST_HEADER_BYTES:
            count = stream.readinto(block)
            if not count:
                break
            self._ahead += block[:count]
        self.header = self._ahead.split(b"\n", 1)[0]
        self.last_byte: int | None = None
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._ahead:
            count = min(len(view), len(self._ahead))
            view[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
        else:
            count = self._stream.readinto(view)
        if count:
            self.last_byte = view[count - 1]
            self.quotes += bytes(view[:count]).count(b'"')
        return count


class CsvFeed:
    """Chunks of the rows of a CSV file.

    :param fields: what is wanted; each must be a column of the header.
    :raises SourceError: a wanted column is missing; lists those that are there.
    """

    def __init__(self, stream: ByteStream, fields: Fields, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._stream = stream
        self._fields = fields
        self._row = 1
        self._text = _Text(stream)
        self._reader = self._guarded(lambda: self._open(max(chunk_bytes, len(self._text.header) + 1024)))
        names = self._reader.schema.names
        missing = [path for path in fields.paths() if names.count(path) != 1]
        if missing:
            raise SourceError(
                f"{stream.name} has no column {', '.join(missing)}, or more than one: it has {', '.join(names)}",
                "Name the columns with --merchant-field, --amount-field, --time-field and --where.",
            )

    def _open(self, block: int) -> pacsv.CSVStreamingReader:
        names = pacsv.read_csv(pa.py_buffer(self._text.header + b"\n")).schema.names
        return pacsv.open_csv(
            self._text,
            read_options=pacsv.ReadOptions(use_threads=False, block_size=block),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False, check_utf8=False
            ),
        )

    def next(self, buffer: Buffer) -> TableChunk | None:
        """The next chunk; see `jobs.sources.feed.Feed.next`."""
        try:
            batch = self._guarded(self._reader.read_next_batch)
        except StopIteration:
            self._require_whole()
            return None
        paths = self._fields.paths()
        columns, text = text_slots([batch.column(path) for path in paths])
        words = np.zeros(2, np.uint64)
        for path, column in zip(paths, columns, strict=True):
            if path == self._fields.time:
                read_text_times(text, column)
            elif path == self._fields.amount:
                read_text_amounts(text, column, False)
            else:
                read_text_ids(text, column, words)
        chunk = TableChunk(self._stream.name, columns, text, self._row, lambda row: row_document(batch, row))
        self._row += batch.num_rows
        return chunk

    def _require_whole(self) -> None:
        reason = ""
        if self._text.quotes % 2:
            reason = "the file ends inside quotation marks"
        elif self._text.last_byte not in (0x0A, 0x0D):
            reason = "the last line has no end, so that it may have been cut short (mongoexport ends every line)"
        if reason:
            raise SourceDamaged(self._stream.name, self._stream.position, reason)

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise SourceDamaged(self._stream.name, self._stream.position, f"this is no valid CSV ({error})") from None
