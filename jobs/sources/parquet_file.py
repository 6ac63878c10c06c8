"""Parquet tables. Types are those of the columns; a column whose type can hold no such value is refused at once.

A null counts as null. A timestamp without a zone is UTC, as BSON dates are; what is below the millisecond is cut off
towards the past. An ObjectId is a binary of 12 bytes, as PyMongoArrow writes it. A dotted path leads into structs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import SourceDamaged, SourceError
from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.columns import TableChunk, read_text_amounts
from jobs.decode.documents import row_document
from jobs.decode.numbers import EXACT_DOUBLE
from jobs.decode.plan import Fields
from jobs.decode.slots import Slots, new_slots
from jobs.sources.csv_text import text_slots
from jobs.sources.feed import Buffer
from jobs.sources.streams import ByteStream

_ROWS: Final = 32_768
_COPY_BYTES: Final = 1024 * 1024
_MILLISECOND: Final = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_object_id(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == 12)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


_ACCEPTED: Final[dict[str, tuple[Callable[[pa.DataType], bool], str]]] = {
    "time": (pa.types.is_timestamp, "timestamp"),
    "merchant": (lambda t: _is_text(t) or _is_object_id(t) or pa.types.is_integer(t), "string, ObjectId or integer"),
    "amount": (_is_number, "integer, double or decimal"),
    "filter": (
        lambda t: _is_text(t) or _is_object_id(t) or _is_number(t) or pa.types.is_boolean(t),
        "string, ObjectId, number or boolean",
    ),
}


def _plain(column: pa.Array) -> pa.Array:
    """The column without dictionary encoding, extension type and string view."""
    if isinstance(column.type, pa.ExtensionType):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def _find(batch: pa.RecordBatch, path: str) -> pa.Array | None:
    if batch.schema.names.count(path) == 1:
        return _plain(batch.column(path))
    names = path.split(".")
    column = batch.column(names[0]) if batch.schema.names.count(names[0]) == 1 else None
    for name in names[1:]:
        if column is None or not pa.types.is_struct(column.type) or column.type.get_field_index(name) < 0:
            return None
        column = pc.struct_field(column, name)
    return None if column is None else _plain(column)


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


def _instants(column: pa.Array, slots: Slots) -> None:
    factor, divisor = _MILLISECOND[column.type.unit]
    stored = column.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    limit = 2**62 // factor
    slots.kind[:] = kinds.DATE
    slots.number[:] = np.clip(stored, -limit, limit) * factor // divisor


def _object_ids(column: pa.Array, slots: Slots) -> None:
    raw = np.frombuffer(b"".join(column.fill_null(bytes(12)).to_pylist()), np.uint8).reshape(-1, 12)
    slots.kind[:] = kinds.OBJECT_ID
    slots.number[:] = np.ascontiguousarray(raw[:, :8]).view(np.int64)[:, 0]
    slots.extra[:] = np.ascontiguousarray(raw[:, 8:]).view(np.uint32)[:, 0]


def _booleans(column: pa.Array, slots: Slots) -> None:
    slots.kind[:] = kinds.BOOLEAN
    slots.number[:] = column.fill_null(False).to_numpy(zero_copy_only=False)


def _slots_of(column: pa.Array) -> Slots | None:
    """The slots of a column that needs no text, or None for a string or decimal column."""
    kind = column.type
    readers: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, Slots], None]]] = [
        (pa.types.is_integer, _integers),
        (pa.types.is_floating, _doubles),
        (pa.types.is_timestamp, _instants),
        (_is_object_id, _object_ids),
        (pa.types.is_boolean, _booleans),
    ]
    for accepts, read in readers:
        if accepts(kind):
            slots = new_slots(len(column))
            read(column, slots)
            slots.kind[column.is_null().to_numpy(zero_copy_only=False)] = kinds.NULL
            return slots
    return None


class ParquetFeed:
    """Chunks of the rows of a Parquet file.

    :param fields: what is wanted; each must be a column of a fitting type.
    :raises SourceError: a wanted column is missing or of another type; names the columns that are there.
    :raises SourceDamaged: this is no whole Parquet file.
    """

    def __init__(self, stream: ByteStream, fields: Fields) -> None:
        self._name = stream.name
        self._paths = fields.paths()
        self._row = 1
        self._file = _seekable(stream)
        try:
            self._parquet = pq.ParquetFile(self._file, buffer_size=_COPY_BYTES, pre_buffer=False)
            self._check(fields)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            self._file.close()
            raise SourceDamaged(self._name, 0, f"this is no whole Parquet file ({error})") from None
        except SourceError:
            self.close()
            raise
        self._batches = self._parquet.iter_batches(batch_size=_ROWS)

    def _check(self, fields: Fields) -> None:
        roles = dict.fromkeys(self._paths, "filter")
        roles |= {fields.time: "time", fields.merchant: "merchant", fields.amount: "amount"}
        schema = self._parquet.schema_arrow
        empty = pa.RecordBatch.from_pylist([], schema=schema)
        for path, role in roles.items():
            column = _find(empty, path)
            accepts, wanted = _ACCEPTED[role]
            if column is None:
                raise SourceError(
                    f"{self._name} has no column {path}, or more than one: it has {', '.join(schema.names)}",
                    "Name the columns with --merchant-field, --amount-field, --time-field and --where.",
                )
            if not accepts(column.type):
                raise SourceError(
                    f"column {path} of {self._name} has type {column.type}; a {role} column is {wanted}",
                    "Convert the column, or name another one.",
                )

    def next(self, buffer: Buffer) -> TableChunk | None:
        """The next chunk; see `jobs.sources.feed.Feed.next`."""
        try:
            batch = next(self._batches, None)
        except (pa.ArrowException, OSError) as error:
            raise SourceDamaged(self._name, self._file.tell(), f"row {self._row} and on: {error}") from None
        if batch is None:
            return None
        columns: list[Any] = [_find(batch, path) for path in self._paths]
        slots = [_slots_of(column) for column in columns]
        texts = [i for i, found in enumerate(slots) if found is None]
        decimals = {i for i in texts if pa.types.is_decimal(columns[i].type)}
        found, text = text_slots([columns[i].cast(pa.large_string()) for i in texts])
        for i, column in zip(texts, found, strict=True):
            column.kind[columns[i].is_null().to_numpy(zero_copy_only=False)] = kinds.NULL
            if i in decimals:
                read_text_amounts(text, column, True)
            slots[i] = column
        complete = [column for column in slots if column is not None]
        chunk = TableChunk(self._name, complete, text, self._row, lambda row: row_document(batch, row))
        self._row += batch.num_rows
        return chunk

    def close(self) -> None:
        """Close the file, or remove the temporary one."""
        self._parquet.close()
        self._file.close()


def _seekable(stream: ByteStream) -> IO[bytes]:
    """The content as a file that can be read anywhere, as Parquet begins at its end: itself, or a temporary copy."""
    if stream.path is not None and stream.path.is_file() and not stream.compressed:
        return stream.path.open("rb")
    file = tempfile.TemporaryFile(prefix="parquet-")  # noqa: SIM115 - the feed closes it
    block = memoryview(bytearray(_COPY_BYTES))
    while count := stream.readinto(block):
        file.write(block[:count])
    file.seek(0)
    return file
