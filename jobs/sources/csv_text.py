"""CSV as ``mongoexport --type=csv`` writes it: a header line, ``ObjectId(…)``, ISO 8601 instants.

CSV has lost the types: a merchant 42 and a merchant "42" look the same, an empty cell and a missing field too, and
nested values are text. Arrow splits rows into fields and guesses no type; `jobs.decode.columns` says how text is read.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from core.errors import SourceDamaged, SourceError
from jobs.decode import slots as kinds
from jobs.decode.columns import TableChunk, read_text_amounts, read_text_ids, read_text_times
from jobs.decode.csv_kernel import EVERY_ROW, end_of_rows
from jobs.decode.documents import row_document
from jobs.decode.jit import PADDING, Bytes
from jobs.decode.plan import Fields
from jobs.decode.slots import Slots, new_slots
from jobs.sources.feed import CHUNK_BYTES, MAX_TEXT_BYTES, Buffer, Stream, WholeDocuments

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_WRONG_ROW: Final = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
_PARSING: Final = pacsv.ParseOptions(newlines_in_values=True)


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


class _Rows(WholeDocuments):
    """Chunks of whole rows, the header among them."""

    _unit = "row"

    def __init__(self, stream: Stream, chunk_bytes: int) -> None:
        super().__init__(stream, chunk_bytes, MAX_TEXT_BYTES)

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        end, _, quoted = end_of_rows(data, 0, used, EVERY_ROW)
        if at_end and end < used:
            reason = "the last line has no end, so that it may have been cut short (mongoexport ends every line)"
            if quoted:
                reason = "the file ends inside quotation marks"
            raise SourceDamaged(self._stream.name, self._position + used, reason)
        return int(end)


class CsvFeed:
    """Chunks of the rows of a CSV file.

    :param fields: what is wanted; each must be a column of the header.
    :raises SourceError: a wanted column is missing; lists those that are there.
    :raises SourceDamaged: the first rows are broken.
    """

    def __init__(self, stream: Stream, fields: Fields, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._name = stream.name
        self._fields = fields
        self._row = 1
        self._rows = _Rows(stream, chunk_bytes)
        first = self._rows.next(Buffer(0))
        if first is None:
            raise SourceDamaged(self._name, 0, "this is no valid CSV (there is no header)")
        header_end, _, _ = end_of_rows(first.data, 0, first.end, 1)
        header = first.data[:header_end].tobytes()
        try:
            self._names: list[str] = pacsv.read_csv(pa.py_buffer(header), parse_options=_PARSING).schema.names
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise SourceDamaged(self._name, 0, f"this is no valid CSV ({error})") from None
        self._after_header: tuple[bytes, int] | None = (
            first.data[header_end : first.end].tobytes(),
            first.position + header_end,
        )
        missing = [path for path in fields.paths() if self._names.count(path) != 1]
        if missing:
            raise SourceError(
                f"{self._name} has no column {', '.join(missing)}, or more than one: it has {', '.join(self._names)}",
                "Name the columns with --merchant-field, --amount-field, --time-field and --where.",
            )

    def next(self, buffer: Buffer) -> TableChunk | None:
        """The next chunk; see `jobs.sources.feed.Feed.next`."""
        if self._after_header is not None:
            (rows, position), self._after_header = self._after_header, None
        else:
            chunk = self._rows.next(buffer)
            if chunk is None:
                return None
            rows, position = chunk.data[: chunk.end].tobytes(), chunk.position
        batch = self._parsed(rows, position)
        paths = self._fields.paths()
        columns, text = text_slots([batch.column(self._names.index(path)) for path in paths])
        words = np.zeros(2, np.uint64)
        for path, column in zip(paths, columns, strict=True):
            if path == self._fields.time:
                read_text_times(text, column)
            elif path == self._fields.amount:
                read_text_amounts(text, column, False)
            else:
                read_text_ids(text, column, words)
        table = TableChunk(self._name, columns, text, self._row, lambda row: row_document(batch, row))
        self._row += batch.num_rows
        return table

    def _parsed(self, rows: bytes, position: int) -> pa.RecordBatch:
        """The columns of whole `rows`, all of them text as it stands.

        :raises SourceDamaged: a row has more or fewer fields than the header.
        """
        schema = pa.schema([(name, pa.large_string()) for name in self._names])
        if not rows.strip(b"\r\n"):
            return pa.RecordBatch.from_pylist([], schema)
        if rows.startswith(_UTF8_MARK):
            rows = _UTF8_MARK + rows  # Arrow takes one away, which here belongs to a value
        # Columns go by number: Arrow would give those of one name the type of only one of them.
        numbers = [str(number) for number in range(len(self._names))]
        try:
            table = pacsv.read_csv(
                pa.py_buffer(rows),
                read_options=pacsv.ReadOptions(use_threads=False, block_size=len(rows) + 1, column_names=numbers),
                parse_options=_PARSING,
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(numbers, pa.large_string()), strings_can_be_null=False, check_utf8=False
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            reason = f"this is no valid CSV ({error})"
            # Arrow can hand such rows to a function, but fails to where they are not UTF-8.
            if wrong := _WRONG_ROW.search(str(error)):
                number, expected, found = wrong.groups()
                row = self._row - 1 + int(number)
                reason = f"this is no valid CSV: row {row} has {found} fields, and the header {expected}"
            raise SourceDamaged(self._name, position, reason) from None
        (batch,) = table.combine_chunks().to_batches()
        return pa.RecordBatch.from_arrays(batch.columns, schema=schema)
