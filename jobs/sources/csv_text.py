"""CSV as ``mongoexport --type=csv`` writes it: a header line, ``ObjectId(…)``, ISO 8601 instants.

The delimiter may differ, and amounts may have a decimal comma.

CSV has no types: merchants 42 and "42" look the same, as do an empty cell and a missing field, and nested values are
text. Arrow only splits rows into text fields; `jobs.decode.columns` parses the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from core.errors import SourceDamaged, SourceError, WrongRow
from jobs.decode import slots as kinds
from jobs.decode.batch import Batch, Chunk, Reject
from jobs.decode.classify import Window
from jobs.decode.columns import TableChunk, TableDecoder, read_text_amounts, read_text_ids, read_text_times
from jobs.decode.csv_kernel import (
    AS_AMOUNT,
    AS_ID,
    AS_TIME,
    EVERY_ROW,
    decode_plain_rows,
    end_of_plain_rows,
    end_of_rows,
)
from jobs.decode.decoder import CompiledDecoder
from jobs.decode.documents import row_document
from jobs.decode.formats import DELIMITERS
from jobs.decode.jit import PADDING, Bytes, Int64s
from jobs.decode.merchants import MerchantTable
from jobs.decode.numbers import new_day
from jobs.decode.outputs import Outputs
from jobs.decode.plan import NO_SLOT, Fields
from jobs.decode.reasons import describe
from jobs.decode.slots import Slots, new_slots
from jobs.sources.chunks import Buffer, WholeDocuments
from jobs.sources.streams import ByteStream

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_WRONG_ROW: Final = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
_HEADER_BYTES: Final = 64 * 1024
_RETURN: Final = 0x0D


def text_slots(columns: list[pa.StringArray]) -> tuple[list[Slots], Bytes]:
    """String slots for text columns, and the buffer that they point into. A null is a missing value."""
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


class CsvChunks(WholeDocuments):
    """Chunks of whole rows of a CSV file, or of a range of its bytes.

    :param guess: the stream begins one byte before the range; assume that a row begins after the next newline, which is
        wrong inside quotation marks.
    :param delimiter: the character between two fields.
    """

    _unit = "row"

    def __init__(
        self,
        stream: ByteStream,
        chunk_bytes: int,
        stop: int | None = None,
        *,
        guess: bool = False,
        delimiter: str = DELIMITERS[0],
    ) -> None:
        super().__init__(stream, chunk_bytes, stop, guess=guess)
        self._delimiter = ord(delimiter)

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        plain_end = end_of_plain_rows(data, 0, used)
        if plain_end >= 0 and (plain_end == used or not at_end):
            return int(plain_end)
        # The carriage return may be the first half of a CRLF.
        known = used if at_end or not used or data[used - 1] != _RETURN else used - 1
        end, _, quoted, followed = end_of_rows(data, 0, known, EVERY_ROW, self._delimiter)
        if at_end and end < used:
            reason = "the last line has no newline, so it may be truncated (mongoexport ends every line with a newline)"
            if quoted:
                reason = "the file ends inside quotation marks"
            raise SourceDamaged(self._stream.name, self._position + used, reason)
        self._require_quotation(followed, end)
        return int(end)

    def _end_of_first(self, data: Bytes, begin: int, used: int) -> int:
        end, followed = _end_of_first(data, begin, used, self._delimiter, at_end=False)
        self._require_quotation(followed, end)
        return end

    def _require_quotation(self, followed: int, end: int) -> None:
        """Raise if text follows the quoted field at `followed`, as with quotation marks escaped by a backslash.

        :param end: the end of the whole rows.
        :raises SourceDamaged: Arrow would join the text with the value.
        """
        if 0 <= followed < end:
            raise SourceDamaged(
                self._stream.name,
                self._position + followed,
                "text follows the closing quotation mark of this field (a quotation mark inside must be doubled)",
            )

    def _first_border(self, content: bytes, at_end: bool) -> int | None:
        return content.find(b"\n") + 1 or None


def _end_of_first(data: Bytes, begin: int, used: int, delimiter: int, at_end: bool) -> tuple[int, int]:
    """The end of the first row, and where its first quoted field begins that text follows, or -1.

    The end is 0 if not known yet: a last carriage return may be the first half of a CRLF.
    """
    end, rows, _, followed = end_of_rows(data, begin, used, 1, delimiter)
    is_whole = rows and (at_end or end < used or data[end - 1] != _RETURN)
    return int(end) if is_whole else 0, int(followed)


class _FirstRow(CsvChunks):
    """The first row of a CSV file, by the delimiter that makes it longest: quoted fields may contain newlines."""

    def __init__(self, stream: ByteStream, delimiters: Sequence[str]) -> None:
        super().__init__(stream, _HEADER_BYTES, delimiter=delimiters[0])
        self._delimiters = tuple(map(ord, delimiters))

    def _last_border(self, data: Bytes, used: int, at_end: bool) -> int:
        ends = [_end_of_first(data, 0, used, one, at_end)[0] for one in self._delimiters]
        return max(ends) or super()._last_border(data, used, at_end)

    def _require_quotation(self, followed: int, end: int) -> None:
        """Nothing, as the delimiter is not known yet."""


def read_header(stream: ByteStream, fields: Fields) -> tuple[tuple[str, ...], str]:
    """Read the names of the columns and the delimiter, and leave `stream` after the header.

    Without a named delimiter it is the one with which the header has the wanted columns.

    :param fields: the wanted fields; each must be a column.
    :raises SourceError: a wanted column is missing; lists the columns.
    :raises SourceDamaged: the first rows are damaged.
    """
    named = fields.formats.csv_delimiter
    delimiters = DELIMITERS if named is None else (named,)
    rows = _FirstRow(stream, delimiters)
    first = rows.next(Buffer(0))
    if first is None:
        raise SourceDamaged(stream.name, 0, "this is not valid CSV (there is no header)")
    content = first.data[: first.end].tobytes()
    headers = {one: _header(stream.name, content, one) for one in delimiters}
    paths = fields.paths()
    found = [one for one, (names, _) in headers.items() if all(names.count(path) == 1 for path in paths)]
    delimiter = found[0] if found else max(headers, key=lambda one: len(headers[one][0]))
    names, end = headers[delimiter]
    stream.push_back(content[end:] + rows.carried)
    if not found:
        missing = [path for path in paths if names.count(path) != 1]
        raise SourceError(
            f"{stream.name} must have each of these columns once: {', '.join(missing)}; it has {', '.join(names)}",
            "Name the columns with --merchant-field, --amount-field, --time-field and --where, and the field separator "
            "with --csv-delimiter.",
            fields.wrong(missing[0], names),
        )
    return names, delimiter


def _header(name: str, content: bytes, delimiter: str) -> tuple[tuple[str, ...], int]:
    """The column names by that delimiter and the end of the header; no names if it does not end in `content`.

    :raises SourceDamaged: it is damaged.
    """
    data = np.frombuffer(content + bytes(PADDING), np.uint8)
    end, rows, _, _ = end_of_rows(data, 0, len(content), 1, ord(delimiter))
    if not rows:
        return (), 0
    try:
        schema = pacsv.read_csv(pa.py_buffer(content[:end]), parse_options=_parsing(delimiter)).schema
        return tuple(schema.names), int(end)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise SourceDamaged(name, 0, f"this is not valid CSV ({error})") from None


def _parsing(delimiter: str) -> pacsv.ParseOptions:
    return pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)


class _PlainDecoder(CompiledDecoder[Chunk]):
    """Decodes chunks of plain rows; see `jobs.decode.csv_kernel`.

    :param merchants: the table of the decoder that calls this one.
    """

    def __init__(self, fields: Fields, window: Window, names: Sequence[str], merchants: MerchantTable) -> None:
        super().__init__(fields, window)
        self.merchants = merchants
        self._names = names
        slots = {path: slot for slot, path in enumerate(self._paths)}
        readers = {fields.amount: AS_AMOUNT, fields.time: AS_TIME}
        self._slot_of_column = np.array([slots.get(name, NO_SLOT) for name in names], np.int64)
        self._readers = np.array([readers.get(path, AS_ID) for path in self._paths], np.uint8)
        self._day = new_day()
        self._rows_before = np.zeros(1, np.int64)
        self._rows: _Rows | None = None

    def batches(self, chunk: Chunk) -> Iterator[Batch]:
        """The transactions of `chunk`; see `jobs.decode.decoder.CompiledDecoder.batches`."""
        self._rows_before[0], self._rows = 0, None
        yield from super().batches(chunk)

    def _run(self, chunk: Chunk, at: int, end: int, outputs: Outputs) -> tuple[int, int]:
        status, at = decode_plain_rows(
            chunk.data,
            at,
            end,
            self._slot_of_column,
            self._readers,
            self._rules,
            self._day,
            self._rows_before,
            self._slots,
            self.merchants.state,
            outputs,
        )
        return status, at

    def _reject(self, chunk: Chunk, row: Int64s) -> Reject:
        outcome, number = int(row[0]), int(row[1])
        rows = self._rows = self._rows or _Rows(chunk, self._names)
        return Reject(chunk.source, 1 + number, "row", *describe(outcome), lambda: rows.document(number))

    def _raise_damage(self, chunk: Chunk, at: int) -> None:
        _Rows(chunk, self._names).columns([0])  # raises with the number of the row
        raise SourceDamaged(chunk.source, chunk.position + at, "this row has more or fewer fields than the header")


class CsvDecoder(TableDecoder):
    """Decodes chunks of whole rows. Rows are numbered from 1 in each chunk.

    :param names: the columns of the file.
    :param delimiter: the character between two fields.
    """

    def __init__(self, fields: Fields, window: Window, names: Sequence[str], delimiter: str) -> None:
        super().__init__(fields, window)
        self._fields = fields
        self._names = names
        self._delimiter = delimiter
        self._day = new_day()
        self._plain = _PlainDecoder(fields, window, names, self.merchants)
        formats = fields.formats
        self._is_plain = delimiter == DELIMITERS[0] and not (formats.converts or formats.csv_decimal_comma)

    def batches(self, chunk: Chunk) -> Iterator[Batch]:  # type: ignore[override]
        """The transactions of `chunk`; see `jobs.decode.decoder.CompiledDecoder.batches`.

        :raises SourceDamaged: a row has more or fewer fields than the header.
        """
        if self._is_plain and end_of_plain_rows(chunk.data, 0, chunk.end) == chunk.end:
            yield from self._plain.batches(chunk)
            return
        rows = _Rows(chunk, self._names, self._delimiter)
        paths, formats = self._fields.paths(), self._fields.formats
        values = rows.columns([self._names.index(path) for path in paths])
        if formats.csv_decimal_comma:
            amount = paths.index(self._fields.amount)
            values[amount] = _with_points(values[amount])
        columns, text = text_slots(values)
        for path, column in zip(paths, columns, strict=True):
            if path == self._fields.time and formats.time_format is None:
                read_text_times(text, column, self._day)
            elif path == self._fields.time:
                column.kind[(column.kind == kinds.STRING) & (column.length == 0)] = kinds.MISSING
            elif path == self._fields.amount:
                read_text_amounts(text, column, False)
            else:
                read_text_ids(text, column)
        yield from super().batches(TableChunk(chunk.source, columns, text, 1, rows.document))


def _with_points(amounts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Replace the decimal comma of amounts by a point; an amount with a point becomes invalid."""
    unreadable = pc.replace_substring(amounts.cast(pa.large_binary()), b".", b"\x01")
    return pc.replace_substring(unreadable, b",", b".")


class _Rows:
    """Whole rows as text, split into fields by Arrow."""

    def __init__(self, chunk: Chunk, names: Sequence[str], delimiter: str = DELIMITERS[0]) -> None:
        self._name = chunk.source
        self._position = chunk.position
        self._content = chunk.data[: chunk.end].tobytes()
        self._names = names
        self._parsing = _parsing(delimiter)

    def columns(self, wanted: Sequence[int]) -> list[pa.Array]:
        """The columns with these indexes as unchanged text.

        :raises SourceDamaged: a row has more or fewer fields than the header.
        """
        rows = self._content
        if not rows.strip(b"\r\n"):
            return [pa.array([], pa.large_string()) for _ in wanted]
        if rows.startswith(_UTF8_MARK):
            rows = _UTF8_MARK + rows  # Arrow strips a byte order mark, which here is part of a value
        # Columns by number: of columns with the same name Arrow would apply the type to only one.
        numbers = [str(number) for number in range(len(self._names))]
        chosen = [str(number) for number in wanted]
        try:
            table = pacsv.read_csv(
                pa.py_buffer(rows),
                read_options=pacsv.ReadOptions(use_threads=False, block_size=len(rows) + 1, column_names=numbers),
                parse_options=self._parsing,
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(chosen, pa.large_string()),
                    include_columns=chosen,
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            # Arrow's callback for invalid rows fails if they are not UTF-8.
            if wrong := _WRONG_ROW.search(str(error)):
                number, expected, found = map(int, wrong.groups())
                raise WrongRow(self._name, self._position, number, expected, found) from None
            raise SourceDamaged(self._name, self._position, f"this is not valid CSV ({error})") from None
        (batch,) = table.combine_chunks().to_batches()
        return list(batch.columns)

    @cached_property
    def _batch(self) -> pa.RecordBatch:
        schema = pa.schema([(name, pa.large_string()) for name in self._names])
        return pa.RecordBatch.from_arrays(self.columns(range(len(self._names))), schema=schema)

    def document(self, row: int) -> dict[str, Any]:
        """A row, from 0, with all its columns."""
        return row_document(self._batch, row)
