"""Partitions of files: byte ranges, row groups, or the whole file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final, Self

from jobs.decode.decoder import BsonDecoder, CompiledDecoder, JsonDecoder
from jobs.sources.archive import ArchiveChunks
from jobs.sources.bson_file import BsonChunks
from jobs.sources.chunks import ChunkReader
from jobs.sources.json_text import JsonLineChunks, JsonStreamChunks
from jobs.sources.partition import Opened, Partition, ReadOptions
from jobs.sources.stored import Stored
from jobs.sources.streams import ByteStream

PARTITION_BYTES: Final = 128 * 1024 * 1024
"""The largest byte range of one partition."""
_SMALLEST_BYTES: Final = 8 * 1024 * 1024
_PARTITIONS: Final = 8
"""Number of partitions of a file, within the limits of a range's size."""


class FileFormat(StrEnum):
    """The formats of files, with the words that users see."""

    BSON = "BSON"
    ARCHIVE = "mongodump archive"
    JSON_LINES = "JSON lines"
    JSON_ARRAY = "JSON array"
    JSON_DOCUMENTS = "JSON documents"
    CSV = "CSV"
    PARQUET = "Parquet"


RANGES: Final = frozenset({FileFormat.BSON, FileFormat.JSON_LINES, FileFormat.CSV})
"""The formats that can be split into byte ranges."""


@dataclass(frozen=True, slots=True)
class FilePartition(Partition):
    """A partition of a file; see `Partition`.

    :param start: byte in the uncompressed content; for Parquet, the number of a row group.
    :param columns: for CSV, the columns of the header, which is before `start`.
    :param delimiter: for CSV, the field delimiter.
    :param first_row: for Parquet, the number of the first row in the file.
    """

    stored: Stored
    file_format: FileFormat
    size: int | None
    compressed: bool = False
    start: int = 0
    end: int | None = None
    guessed: bool = False
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    first_row: int = 1

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.stored.name

    @property
    def counts_rows(self) -> bool:  # type: ignore[override]
        return self.file_format is FileFormat.CSV

    counts_positions = counts_rows

    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        if self.file_format is FileFormat.PARQUET:
            return self._open_parquet(reading)
        # One byte earlier, so that a line that begins at `start` is found.
        before = 1 if self.guessed and self.file_format is not FileFormat.BSON else 0
        stream = self.stored.stream(self.compressed, 0 if self.compressed else self.start - before, self.end)
        began = 0 if self.compressed else stream.consumed_bytes
        try:
            _skip(stream, self.start - before)
            chunks, decoder = self._chunks_and_decoder(stream, reading)
        except BaseException:
            stream.close()
            raise
        return Opened(chunks, decoder, lambda: stream.consumed_bytes - began, stream.close)

    def _chunks_and_decoder(
        self, stream: ByteStream, reading: ReadOptions
    ) -> tuple[ChunkReader, Callable[[], CompiledDecoder[Any]]]:
        how = (reading.fields, reading.window)
        match self.file_format:
            case FileFormat.BSON:
                return BsonChunks(stream, reading.chunk_bytes, self.end, guess=self.guessed), partial(BsonDecoder, *how)
            case FileFormat.ARCHIVE:
                return ArchiveChunks(stream, reading.collection, reading.chunk_bytes), partial(BsonDecoder, *how)
            case FileFormat.JSON_LINES:
                lines = JsonLineChunks(stream, reading.chunk_bytes, self.end, guess=self.guessed)
                return lines, partial(JsonDecoder, *how, one_line=True)
            case FileFormat.CSV:
                from jobs.sources.csv_text import CsvChunks, CsvDecoder

                rows = CsvChunks(stream, reading.chunk_bytes, self.end, guess=self.guessed, delimiter=self.delimiter)
                return rows, partial(CsvDecoder, *how, self.columns, self.delimiter)
            case _:
                is_array = self.file_format is FileFormat.JSON_ARRAY
                documents = JsonStreamChunks(stream, reading.chunk_bytes, array=is_array)
                return documents, partial(JsonDecoder, *how, one_line=False)

    def _open_parquet(self, reading: ReadOptions) -> Opened:
        # Imported on demand, as that is slow.
        from jobs.sources.parquet_file import ParquetChunks, ParquetDecoder, ParquetTable, RowGroups

        stream = self.stored.stream(self.compressed) if self.is_copied else None
        table = ParquetTable(self.stored, stream, reading.fields.merchant)
        try:
            table.require(reading.fields)
            end = table.parquet.metadata.num_row_groups if self.end is None else self.end
            size = self.size or 0
            chunks = ParquetChunks(table, reading.fields, RowGroups(self.start, end, self.first_row, size))
        except BaseException:
            table.close()
            raise
        return Opened(chunks, partial(ParquetDecoder, reading.fields, reading.window), chunks.consumed, table.close)

    @property
    def is_copied(self) -> bool:
        """Whether its content must be copied for random access."""
        return self.compressed or self.stored.size is None

    def beginning_at(self, start: int) -> Self:
        return replace(self, start=start, guessed=False)

    def identity(self) -> tuple[object, ...] | None:
        stored = self.stored
        if stored.size is None or not stored.version:
            return None
        what = str(self.file_format), self.compressed, self.start, self.end, self.guessed, self.columns, self.first_row
        return *self.source_version(), *what, self.delimiter

    def source_version(self) -> tuple[object, ...]:
        return self.stored.key, self.stored.size, self.stored.version

    def require_unchanged(self) -> None:
        self.stored.require_unchanged()


def ranges_of(whole: FilePartition) -> tuple[FilePartition, ...]:
    """Split a partition that is a whole file into byte ranges that can be counted in parallel."""
    size = whole.stored.size
    if size is None or whole.compressed or whole.file_format not in RANGES:
        return (whole,)
    each = min(max((size - whole.start) // _PARTITIONS, _SMALLEST_BYTES), PARTITION_BYTES)
    starts = range(whole.start, size, each) if size > whole.start else range(whole.start, whole.start + 1)
    ends = [*starts[1:], None]
    return tuple(
        replace(whole, start=start, end=end, guessed=start > whole.start, size=(end or size) - start)
        for start, end in zip(starts, ends, strict=True)
    )


def _skip(stream: ByteStream, position: int) -> None:
    """Read up to `position`."""
    while stream.position < position and stream.readinto(bytearray(position - stream.position)):
        pass
