"""Partitions of files: byte ranges, row groups, or the whole file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, Self

from jobs.decode.batch import Decoder
from jobs.decode.decoder import BsonDecoder, JsonDecoder
from jobs.sources.archive import ArchiveChunks
from jobs.sources.bson_file import BsonChunks
from jobs.sources.chunks import ChunkReader
from jobs.sources.json_text import JsonLineChunks, JsonStreamChunks
from jobs.sources.partition import Opened, Partition, ReadOptions
from jobs.sources.stored import Stored
from jobs.sources.streams import ByteStream

PARTITION_BYTES: Final = 64 * 1024 * 1024
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


_TEXT_LINES: Final = frozenset({FileFormat.JSON_LINES, FileFormat.CSV})
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
        """See `Partition`."""
        return self.stored.name

    @property
    def counts_rows(self) -> bool:  # type: ignore[override]
        """See `Partition`."""
        return self.file_format is FileFormat.CSV

    @property
    def counts_positions(self) -> bool:  # type: ignore[override]
        """See `Partition`."""
        return self.file_format is FileFormat.CSV

    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        """See `Partition.open`."""
        if self.file_format is FileFormat.PARQUET:
            return self._open_parquet(reading)
        # One byte earlier, so that a line that begins at `start` is found.
        before = 1 if self.guessed and self.file_format in _TEXT_LINES else 0
        stream = self.stored.stream(self.compressed, 0 if self.compressed else self.start - before, self.end)
        began = 0 if self.compressed else stream.consumed_bytes
        try:
            _skip(stream, self.start - before)
            chunks, decoder = _READERS[self.file_format](self, stream, reading)
        except BaseException:
            stream.close()
            raise
        return Opened(chunks, decoder, lambda: stream.consumed_bytes - began, stream.close)

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

        def close() -> None:
            table.close()
            if stream is not None:
                stream.close()

        return Opened(chunks, partial(ParquetDecoder, reading.fields, reading.window), chunks.consumed, close)

    @property
    def is_copied(self) -> bool:
        """Whether its content must be copied for random access."""
        return self.compressed or self.stored.size is None

    def beginning_at(self, start: int) -> Self:
        """See `Partition.beginning_at`."""
        return replace(self, start=start, guessed=False)

    def identity(self) -> tuple[object, ...] | None:
        """See `Partition.identity`."""
        stored = self.stored
        if stored.size is None or not stored.version:
            return None
        what = str(self.file_format), self.compressed, self.start, self.end, self.guessed, self.columns, self.first_row
        return *self.source_version(), *what, self.delimiter

    def source_version(self) -> tuple[object, ...]:
        """See `Partition.source_version`."""
        return self.stored.key, self.stored.size, self.stored.version

    def require_unchanged(self) -> None:
        """See `Partition.require_unchanged`."""
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


_Readers = Callable[[FilePartition, ByteStream, ReadOptions], tuple[ChunkReader, Callable[[], Decoder]]]


def _bson(part: FilePartition, stream: ByteStream, reading: ReadOptions) -> tuple[ChunkReader, Callable[[], Decoder]]:
    chunks = BsonChunks(stream, reading.chunk_bytes, part.end, guess=part.guessed)
    return chunks, partial(BsonDecoder, reading.fields, reading.window)


def _archive(
    part: FilePartition, stream: ByteStream, reading: ReadOptions
) -> tuple[ChunkReader, Callable[[], Decoder]]:
    chunks = ArchiveChunks(stream, reading.collection, reading.chunk_bytes)
    return chunks, partial(BsonDecoder, reading.fields, reading.window)


def _json_lines(
    part: FilePartition, stream: ByteStream, reading: ReadOptions
) -> tuple[ChunkReader, Callable[[], Decoder]]:
    chunks = JsonLineChunks(stream, reading.chunk_bytes, part.end, guess=part.guessed)
    return chunks, partial(JsonDecoder, reading.fields, reading.window, one_line=True)


def _json_stream(
    part: FilePartition, stream: ByteStream, reading: ReadOptions
) -> tuple[ChunkReader, Callable[[], Decoder]]:
    chunks = JsonStreamChunks(stream, reading.chunk_bytes, array=part.file_format is FileFormat.JSON_ARRAY)
    return chunks, partial(JsonDecoder, reading.fields, reading.window, one_line=False)


def _csv(part: FilePartition, stream: ByteStream, reading: ReadOptions) -> tuple[ChunkReader, Callable[[], Decoder]]:
    from jobs.sources.csv_text import CsvChunks, CsvDecoder

    chunks = CsvChunks(stream, reading.chunk_bytes, part.end, guess=part.guessed, delimiter=part.delimiter)
    return chunks, partial(CsvDecoder, reading.fields, reading.window, part.columns, part.delimiter)


_READERS: Final[dict[FileFormat, _Readers]] = {
    FileFormat.BSON: _bson,
    FileFormat.ARCHIVE: _archive,
    FileFormat.JSON_LINES: _json_lines,
    FileFormat.JSON_ARRAY: _json_stream,
    FileFormat.JSON_DOCUMENTS: _json_stream,
    FileFormat.CSV: _csv,
}
