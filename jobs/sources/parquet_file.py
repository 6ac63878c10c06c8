"""Parquet tables. A column of an unsuitable type is an error at once.

A null is null, and fields inside a null struct are missing. A timestamp without a zone is UTC, like BSON dates; digits
below the millisecond are truncated towards the past. A fixed-size binary of 12 bytes is an ObjectId, and an amount of
16 bytes a BSON decimal128, as PyMongoArrow writes them. With the options for formats, amounts may be text and decimals,
and times text and numbers. A dotted path leads into structs, not into lists and maps.

Values are converted before classification only without loss: INT96 timestamps, which Arrow would read as nanoseconds
and overflow, are read as milliseconds.

If all rows of a batch are counted, they are added as whole columns; otherwise each row is classified.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final, NamedTuple, Self, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import SourceDamaged, SourceError
from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.batch import Batch
from jobs.decode.classify import Window
from jobs.decode.columns import (
    NO_TEXT,
    TableChunk,
    TableDecoder,
    read_decimal128s,
    read_text_amounts,
    read_text_doubles,
)
from jobs.decode.documents import row_document
from jobs.decode.formats import EPOCH_MS, EPOCH_S, Formats
from jobs.decode.jit import Bytes, Int64s
from jobs.decode.numbers import EXACT_DOUBLE
from jobs.decode.plan import Fields
from jobs.decode.slots import Slots, new_slots
from jobs.sources.chunks import Buffer
from jobs.sources.csv_text import text_slots
from jobs.sources.stored import Stored
from jobs.sources.streams import ByteStream

_ROWS: Final = 65_536
_PARTITIONS: Final = 8
"""Number of partitions of a file, if it has enough row groups."""
_SMALLEST_BYTES: Final = 1024 * 1024
_COPY_BYTES: Final = 1024 * 1024
_MILLISECOND: Final = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
_AMOUNTS: Final = (kinds.INTEGER, kinds.DOUBLE, kinds.DECIMAL)
_EXTENSION_NAME: Final = b"ARROW:extension:name"
_BSON_EXTENSIONS: Final = ("pymongoarrow.objectid", "pymongoarrow.decimal128")
"""Extension types whose storage has the same encoding as in BSON. The storage of others is opaque."""


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_object_id(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == 12)


def _is_decimal128(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16)


def _is_number(kind: pa.DataType) -> bool:
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, _is_decimal128)
    return any(accepts(kind) for accepts in numeric)


class _Accepted(NamedTuple):
    """The column types of a role, and their name in messages."""

    takes: Callable[[pa.DataType], bool]
    words: str


_MERCHANT: Final = _Accepted(
    lambda t: _is_text(t) or _is_object_id(t) or pa.types.is_integer(t), "string, ObjectId or integer"
)
_FILTER: Final = _Accepted(
    lambda t: _is_text(t) or _is_object_id(t) or _is_number(t) or pa.types.is_boolean(t),
    "string, ObjectId, number or boolean",
)


def _accepted(role: str, formats: Formats) -> _Accepted:
    if role == "time":
        text = formats.time_format is not None
        number = formats.time_format in (EPOCH_S, EPOCH_MS)
        return _Accepted(
            lambda t: pa.types.is_timestamp(t) or (text and _is_text(t)) or (number and _is_number(t)),
            "timestamp" + (", string" if text else "") + (" or number" if number else ""),
        )
    if role == "amount":
        return _Accepted(
            lambda t: _is_number(t) or (formats.amount_text and _is_text(t)),
            "integer, double or decimal" + (" or string" if formats.amount_text else ""),
        )
    return _MERCHANT if role == "merchant" else _FILTER


@dataclass(frozen=True, slots=True)
class _Column:
    """A wanted column.

    :param values: without string views, known extension types and, unless noted, dictionary encoding.
    :param missing: the rows whose parent struct is null, so that they lack the field.
    :param extension: the name of an unknown extension type, or None.
    """

    values: pa.Array
    missing: npt.NDArray[np.bool_]
    extension: str | None


def _find(batch: pa.RecordBatch, path: str) -> _Column | None:
    """The column of that name, or the struct field of a dotted path."""
    found = _find_encoded(batch, path)
    if found is None or not pa.types.is_dictionary(found.values.type):
        return found
    return _Column(_without_views(found.values.dictionary_decode()), found.missing, found.extension)


def _find_encoded(batch: pa.RecordBatch, path: str) -> _Column | None:
    """`_find` that preserves dictionary encoding."""
    names = [path] if batch.schema.names.count(path) == 1 else path.split(".")
    if batch.schema.names.count(names[0]) != 1:
        return None
    field, values = batch.schema.field(names[0]), batch.column(names[0])
    missing = np.zeros(len(batch), np.bool_)
    for name in names[1:]:
        if not pa.types.is_struct(field.type) or field.type.get_field_index(name) < 0:
            return None
        missing |= _nulls(values)
        field, values = field.type.field(name), pc.struct_field(values, name)
    return _plain(field, values, missing)


def _plain(field: pa.Field, values: pa.Array, missing: npt.NDArray[np.bool_]) -> _Column:
    # An unregistered extension type is only visible in the metadata.
    extension = (field.metadata or {}).get(_EXTENSION_NAME, b"").decode(errors="replace") or None
    if isinstance(values.type, pa.BaseExtensionType):
        extension, values = values.type.extension_name, values.storage
    return _Column(_without_views(values), missing, None if extension in _BSON_EXTENSIONS else extension)


def _without_views(values: pa.Array) -> pa.Array:
    return values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values


def _nulls(values: pa.Array) -> npt.NDArray[np.bool_]:
    nulls: npt.NDArray[np.bool_] = values.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _integers(column: pa.Array, slots: Slots) -> None:
    slots.kind[:] = kinds.INTEGER
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    if pa.types.is_uint64(column.type):
        beyond = numbers > np.uint64(2**63 - 1)
        slots.kind[beyond] = kinds.DECIMAL
        slots.extra[beyond] = why.TOO_LARGE
        numbers = np.where(beyond, np.uint64(0), numbers)
    slots.number[:] = numbers.astype(np.int64)


def _doubles(column: pa.Array, slots: Slots) -> None:
    numbers: npt.NDArray[np.float64] = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
    finite = np.where(np.isfinite(numbers), numbers, 0.0)
    slots.kind[:] = kinds.DOUBLE
    slots.extra[:] = np.select(
        [np.isnan(numbers), np.isinf(numbers), np.abs(finite) > EXACT_DOUBLE, finite != np.trunc(finite)],
        [why.NAN, why.INFINITY, why.TOO_LARGE, why.FRACTION],
        0,
    )
    slots.number[:] = np.where(slots.extra == 0, finite, 0.0).astype(np.int64)


def _int64s(column: pa.Array) -> Int64s:
    """The values of an int64 column without nulls, zero-copy. The array of ``to_numpy`` would be read-only."""
    return np.frombuffer(column.buffers()[1] or b"", np.int64)[column.offset : column.offset + len(column)]


def _milliseconds(column: pa.Array) -> Int64s:
    """The instants of a timestamp column; arbitrary for nulls and for seconds outside of every calendar."""
    factor, divisor = _MILLISECOND[column.type.unit]
    numbers = column.view(pa.int64())
    stored = _int64s(numbers.fill_null(0) if numbers.null_count else numbers)
    if factor > 1:
        limit = 2**62 // factor
        return np.clip(stored, -limit, limit) * factor
    return stored if divisor == 1 else stored // divisor


def _instants(column: pa.Array, slots: Slots) -> None:
    slots.kind[:] = kinds.DATE
    slots.number[:] = _milliseconds(column)


def _raw(column: pa.Array) -> Bytes:
    """The bytes of a fixed-size binary column, with zeros for nulls: an array of shape (rows, size)."""
    size = column.type.byte_width
    return np.frombuffer(b"".join(column.fill_null(bytes(size)).to_pylist()), np.uint8).reshape(-1, size)


def _object_ids(column: pa.Array, slots: Slots) -> None:
    raw = _raw(column)
    slots.kind[:] = kinds.OBJECT_ID
    slots.number[:] = np.ascontiguousarray(raw[:, :8]).view(np.int64)[:, 0]
    slots.extra[:] = np.ascontiguousarray(raw[:, 8:]).view(np.uint32)[:, 0]


def _booleans(column: pa.Array, slots: Slots) -> None:
    slots.kind[:] = kinds.BOOLEAN
    slots.number[:] = column.fill_null(False).to_numpy(zero_copy_only=False)


def _nothing(column: pa.Array, slots: Slots) -> None:
    """For a column of nulls: `_set_nulls` does everything."""


def _slots_of(column: _Column, converts: bool = False) -> Slots | None:
    """The slots of a column, or None for a string or decimal column, which needs text.

    :param converts: fractions are converted, so doubles need their shortest text too.
    """
    values = column.values
    if converts and pa.types.is_floating(values.type):
        return None
    readers: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, Slots], None]]] = [
        (pa.types.is_integer, _integers),
        (pa.types.is_floating, _doubles),
        (pa.types.is_timestamp, _instants),
        (_is_object_id, _object_ids),
        (pa.types.is_boolean, _booleans),
        (pa.types.is_null, _nothing),
    ]
    for accepts, read in readers:
        if accepts(values.type):
            slots = new_slots(len(values))
            read(values, slots)
            _set_nulls(column, slots)
            return slots
    return None


def _set_nulls(column: _Column, slots: Slots) -> None:
    slots.kind[_nulls(column.values)] = kinds.NULL
    slots.kind[column.missing] = kinds.MISSING


class RowGroups(NamedTuple):
    """Consecutive row groups of a file.

    :param first: the index of the first; `end` is one after the last.
    :param first_row: the number of their first row in the file, from 1.
    :param size: approximate stored bytes.
    """

    first: int
    end: int
    first_row: int
    size: int


class ParquetTable:
    """An open Parquet file; a context manager.

    :param stream: its content, which is copied; None to open `stored`.
    :param encoded: the path of a column that is read as a dictionary, if possible.
    :raises SourceError: it has types that Arrow cannot read.
    :raises SourceDamaged: this is not a complete Parquet file.
    """

    def __init__(self, stored: Stored, stream: ByteStream | None, encoded: str | None = None) -> None:
        self.name = stored.name
        self._is_remote = stream is None and stored.path is None
        self._file: Any = _copied(stream) if stream is not None else stored.open()
        if stream is None and stored.path is not None:
            self._file.close()
            self._file = pa.OSFile(str(stored.path))  # Arrow reads it without the GIL
        try:
            self.parquet = self._parquet()
            if encoded is not None and _can_be_dictionary(self.parquet.metadata, encoded):
                self.parquet = self._parquet([encoded], self.parquet.metadata)
        except pa.ArrowNotImplementedError as error:
            self._file.close()
            raise SourceError(f"{self.name} cannot be read: {error}", "Write it with other types of columns.") from None
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            self._file.close()
            raise SourceDamaged(self.name, 0, f"this is not a complete Parquet file ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parquet(self, encoded: Sequence[str] = (), metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
        return pq.ParquetFile(
            # Request whole columns of a remote object at a time.
            self._file,
            metadata=metadata,
            buffer_size=_COPY_BYTES,
            pre_buffer=self._is_remote,
            coerce_int96_timestamp_unit="ms",
            read_dictionary=list(encoded),
        )

    @property
    def position(self) -> int:
        """The position of the last read."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file, and remove a temporary copy."""
        self.parquet.close()
        self._file.close()

    def require(self, fields: Fields) -> None:
        """Raise unless each of `fields` is a column of a suitable type.

        :raises SourceError: a wanted column is missing or of another type; lists the columns.
        """
        roles = dict.fromkeys(fields.paths(), "filter")
        roles |= {fields.time: "time", fields.merchant: "merchant", fields.amount: "amount"}
        schema = self.parquet.schema_arrow
        # Not from Python values, whose dictionaries would have other indexes.
        columns = [column.combine_chunks() for column in schema.empty_table().columns]
        empty = pa.RecordBatch.from_arrays(columns, schema=schema)
        for path, role in roles.items():
            column = _find(empty, path)
            accepted = _accepted(role, fields.formats)
            if column is None:
                raise SourceError(
                    f"{self.name} must have the column {path} once; it has {', '.join(schema.names)}",
                    "Name the columns with --merchant-field, --amount-field, --time-field and --where.",
                    fields.wrong(path, schema.names),
                )
            kind = column.values.type
            if column.extension is not None or not (accepted.takes(kind) or pa.types.is_null(kind)):
                named = kind if column.extension is None else f"{column.extension} ({kind})"
                raise SourceError(
                    f"column {path} of {self.name} has type {named}; {_a(role)} column is {accepted.words}",
                    "Convert the column, or name another one.",
                    fields.wrong(path, schema.names),
                )

    def row_groups(self, size: int) -> list[RowGroups]:
        """All row groups, combined to at least an eighth of the file or about `size` bytes."""
        metadata = self.parquet.metadata
        groups = list(map(metadata.row_group, range(metadata.num_row_groups)))
        sizes = [sum(group.column(i).total_compressed_size for i in range(group.num_columns)) for group in groups]
        size = min(max(sum(sizes) // _PARTITIONS, _SMALLEST_BYTES), size)
        found: list[RowGroups] = []
        first, row, first_row, stored = 0, 1, 1, 0
        for number, group in enumerate(groups):
            stored += sizes[number]
            row += group.num_rows
            if stored >= size or number == len(groups) - 1:
                found.append(RowGroups(first, number + 1, first_row, stored))
                first, first_row, stored = number + 1, row, 0
        return found or [RowGroups(0, 0, 1, 0)]


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _can_be_dictionary(metadata: pq.FileMetaData, path: str) -> bool:
    """Whether a column exists and Arrow can read it as a dictionary: not if pages have a delta encoding."""
    at = next((at for at in range(metadata.num_columns) if metadata.schema.column(at).path == path), None)
    if at is None:
        return False
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return not any(name.startswith("DELTA") for group in groups for name in group.column(at).encodings)


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """Consecutive rows of a Parquet file.

    :param batch: the wanted columns.
    :param first_row: the number of the first row in the file, from 1.
    :param document: returns a row of these (from 0) as a document with all columns.
    """

    source: str
    batch: pa.RecordBatch
    first_row: int
    document: Callable[[int], Any]


class ParquetChunks:
    """Chunks of the rows of `RowGroups`.

    :param fields: the columns to read; rejects are read whole.
    """

    def __init__(self, table: ParquetTable, fields: Fields, groups: RowGroups) -> None:
        self.first: int | None = groups.first
        self.last: int | None = groups.end
        self._table = table
        self._paths = list(fields.paths())
        self._groups = groups
        self._row = groups.first_row
        metadata = table.parquet.metadata
        self._rows = sum(metadata.row_group(number).num_rows for number in range(groups.first, groups.end))
        self._batches = self._read(self._paths)
        self._whole: _WholeRows | None = None
        self._lock = threading.Lock()

    def _read(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        # The pages of a row group can only be decoded in order, so one thread at a time asks for the next rows, and
        # meanwhile others convert theirs. Arrow's threads decode the columns in parallel only if the file has no other
        # partition: waiting for them costs more than it gains while other row groups are read.
        parquet, groups = self._table.parquet, range(self._groups.first, self._groups.end)
        is_whole = len(groups) == parquet.num_row_groups
        return parquet.iter_batches(_ROWS, groups, columns, use_threads=is_whole)  # type: ignore[no-any-return]

    def next(self, buffer: Buffer) -> ParquetRows | None:
        """The next chunk; see `jobs.sources.chunks.ChunkReader.next`."""
        batch = self._guarded(lambda: next(self._batches, None))
        if batch is None:
            return None
        first_row, self._row = self._row, self._row + batch.num_rows
        return ParquetRows(self._table.name, batch, first_row, lambda row: self._document(first_row + row))

    def _document(self, row: int) -> Any:
        """The row of that number; numbers must ascend from call to call, as rows are read forward."""
        if self._whole is None:
            self._whole = _WholeRows(self._read(None), self._groups.first_row)
        return self._guarded(partial(self._whole.document, row))

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            with self._lock:  # rejects are read in parallel with the next chunk
                return read()
        except (pa.ArrowException, OSError) as error:
            reason = f"row {self._row} and on: {error}"
            raise SourceDamaged(self._table.name, self._table.position, reason) from None

    def consumed(self) -> int:
        """Approximate stored bytes read so far."""
        rows = max(1, self._rows)
        return int(self._groups.size * (self._row - self._groups.first_row) // rows)


class _WholeRows:
    """A forward-only reader of rows with all columns.

    :param first_row: the number of the first row that can be read.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], first_row: int) -> None:
        self.first_row = first_row
        self._batches = batches
        self._batch: pa.RecordBatch | None = None

    def document(self, row: int) -> Any:
        """The row of that number."""
        while self._batch is None or row >= self.first_row + self._batch.num_rows:
            self.first_row += 0 if self._batch is None else self._batch.num_rows
            self._batch = next(self._batches)
        return row_document(self._batch, row - self.first_row)


class ParquetDecoder(TableDecoder):
    """Decodes chunks of the rows of a Parquet file."""

    def __init__(self, fields: Fields, window: Window) -> None:
        super().__init__(fields, window)
        self._fields = fields
        self._converts = fields.formats.converts

    def batches(self, chunk: ParquetRows) -> Iterator[Batch]:  # type: ignore[override]
        """The transactions of `chunk`; see `jobs.decode.decoder.CompiledDecoder.batches`."""
        whole = self._whole_batch(chunk.batch)
        if whole is not None:
            yield whole
            return
        columns: list[Any] = [_find(chunk.batch, path) for path in self._fields.paths()]
        slots = [_slots_of(column, self._converts) for column in columns]
        texts = [i for i, found in enumerate(slots) if found is None]
        found, text = text_slots([_as_text(columns[i].values) for i in texts])
        for i, column in zip(texts, found, strict=True):
            kind = columns[i].values.type
            if pa.types.is_decimal(kind):
                read_text_amounts(text, column, True)
            elif pa.types.is_floating(kind):
                read_text_doubles(text, column)
            elif _is_decimal128(kind):
                read_decimal128s(text, column)
            _set_nulls(columns[i], column)
            slots[i] = column
        complete = [column for column in slots if column is not None]
        yield from super().batches(TableChunk(chunk.source, complete, text, chunk.first_row, chunk.document))

    def _whole_batch(self, batch: pa.RecordBatch) -> Batch | None:
        """All rows as one batch, or None if a row might not be counted.

        Columns are checked as a whole: all instants are in range, all amounts are integers, and there are no nulls.
        """
        if self._fields.where or self._converts or not batch.num_rows:
            return None
        time, amount = (_find(batch, path) for path in (self._fields.time, self._fields.amount))
        merchant = _find_encoded(batch, self._fields.merchant)
        if not (_is_complete(time) and _is_complete(amount) and _is_complete(merchant)):
            return None
        instants, amounts = _milliseconds(time.values), _whole_amounts(amount)
        if amounts is None or not self.counts_all(instants):
            return None
        encoded = merchant.values
        if not pa.types.is_dictionary(encoded.type):
            encoded = encoded.dictionary_encode()
        values = _Column(_without_views(encoded.dictionary), np.zeros(len(encoded.dictionary), np.bool_), None)
        slots, text = _slots_of(values), NO_TEXT
        if slots is None:
            (slots,), text = text_slots([values.values.cast(pa.large_string())])
            _set_nulls(values, slots)
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        # Read-only arrays have another Numba type.
        codes = self.codes_of(np.require(indices, np.int32, "W"), slots, text)
        return None if codes is None else self.whole_batch(codes, amounts, instants)


def _is_complete(column: _Column | None) -> TypeGuard[_Column]:
    """Whether no row of a column is null or missing."""
    return column is not None and not column.values.null_count and not column.missing.any()


def _whole_amounts(column: _Column) -> Int64s | None:
    """The amounts of a column without nulls; None if one might be invalid."""
    values = column.values
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        return _int64s(values.cast(pa.int64()))
    slots = _slots_of(column)
    if _is_decimal128(values.type):
        (slots,), text = text_slots([values])
        read_decimal128s(text, slots)
    if slots is None or not np.isin(slots.kind, _AMOUNTS).all() or slots.extra.any():
        return None
    return slots.number


def _as_text(values: pa.Array) -> pa.Array:
    """Text and the bytes of BSON decimals unchanged; other numbers as text."""
    return values if _is_decimal128(values.type) else values.cast(pa.large_string())


def _copied(stream: ByteStream) -> IO[bytes]:
    """A temporary copy with random access, as Parquet's footer is at the end; closes `stream`."""
    file = tempfile.TemporaryFile(prefix="parquet-")  # noqa: SIM115 - the table closes it
    with stream:
        shutil.copyfileobj(stream, file, _COPY_BYTES)
    file.seek(0)
    return file
