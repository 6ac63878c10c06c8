"""Reads the first documents of any source as Python values."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import bson
from bson import CodecOptions, Decimal128, ObjectId
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError

from core.errors import SourceDamaged, SourceError
from jobs.decode.formats import DELIMITERS
from jobs.sources.chunks import CHUNK_BYTES, MAX_DOCUMENT_BYTES, MAX_TEXT_BYTES, Buffer
from jobs.sources.file_partition import FileFormat
from jobs.sources.live.options import LiveOptions
from jobs.sources.recognise import open_recognised
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.stored import SinglePass, Stored
from jobs.sources.streams import ByteStream
from jobs.sources.url import is_live

if TYPE_CHECKING:
    import _csv

Document: TypeAlias = Mapping[str, Any]

_AS_STORED: Final[CodecOptions[Document]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS, unicode_decode_error_handler="surrogateescape"
)
_BLOCK: Final = 256 * 1024
"""Characters of JSON per read, unless a document is longer."""
_SMALLEST_DOCUMENT: Final = 5
_BETWEEN: Final = re.compile(r"[ \t\r\n,\[\]]*")
"""Characters between documents: brackets and commas of an array, and white space."""
_MOST_DIGITS: Final = 4000


class Cell(str):
    """A cell of a CSV file, which has no type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """The first documents of a source.

    :param name: the source in messages, without a password.
    :param file_format: the detected format.
    :param documents: its first documents. Dates are `bson.DatetimeMS` or `datetime`, the cells of a CSV file `Cell`
        without empty ones.
    :param has_more: whether the source has more documents.
    :param is_flat: whether names with dots are column names instead of paths.
    :param damage: the error that stopped reading early, or None.
    """

    name: str
    file_format: str
    documents: tuple[Document, ...]
    has_more: bool
    is_flat: bool = False
    damage: str | None = None


def read_first(
    argument: str,
    collection: str | None,
    live: LiveOptions,
    wanted: int,
    remote: RemoteOptions | None = None,
    delimiter: str | None = None,
) -> Sample:
    """Read the first `wanted` documents of any source.

    :param collection: the collection of a dump or server, or None for the default names.
    :param delimiter: the field delimiter of CSV; None: the one with which the header has the most names.
    :raises UsageError: the URL of a server is invalid.
    :raises SourceError: it cannot be read, is empty, or lacks the collection.
    :raises SourceDamaged: it is damaged before the end of its first document.
    """
    if is_live(argument):
        from jobs.sources.live.collection import open_collection

        with open_collection(argument, collection, live) as opened:
            raw = io.BytesIO(opened.first_documents(wanted + 1))
            return _taken(opened.name, "live collection", _bson_documents(opened.name, raw), wanted)
    stored, stream, file_format = open_recognised(argument, collection, remote, delimiter)
    try:
        shown = file_format + (", gzip" if stream.compressed else "")
        documents = documents_in(stored, stream, file_format, collection, delimiter)
        return _taken(stream.name, shown, documents, wanted, is_flat=file_format == FileFormat.CSV)
    finally:
        stream.close()


def _taken(name: str, file_format: str, documents: Iterator[Document], wanted: int, is_flat: bool = False) -> Sample:
    found: list[Document] = []
    damage = None
    try:
        found.extend(islice(documents, wanted))
        has_more = len(found) == wanted and next(documents, None) is not None
    except SourceDamaged as error:
        if not found:
            raise
        has_more, damage = True, error.sentence
    return Sample(name, file_format, tuple(found), has_more, is_flat, damage)


def documents_in(
    stored: Stored, stream: ByteStream, file_format: FileFormat, collection: str | None, delimiter: str | None
) -> Iterator[Document]:
    """All documents of a result of `jobs.sources.recognise.open_recognised`, as in `Sample`.

    :raises SourceError: it cannot be read, or lacks the collection.
    :raises SourceDamaged: it is damaged.
    """
    match file_format:
        case FileFormat.ARCHIVE:
            return _archive_documents(stream, collection)
        case FileFormat.BSON:
            return _bson_documents(stream.name, io.BufferedReader(stream))
        case FileFormat.JSON_LINES | FileFormat.JSON_ARRAY | FileFormat.JSON_DOCUMENTS:
            return _json_documents(stream)
        case FileFormat.CSV:
            return _csv_documents(stream, delimiter)
        case FileFormat.PARQUET:
            return _parquet_rows(stored, stream)


def _archive_documents(stream: ByteStream, collection: str | None) -> Iterator[Document]:
    from jobs.sources.archive import ArchiveChunks

    chunks = ArchiveChunks(stream, collection)
    buffer = Buffer(CHUNK_BYTES)
    while chunk := chunks.next(buffer):
        yield from _bson_documents(stream.name, io.BytesIO(chunk.data[: chunk.end].tobytes()))


def _bson_documents(name: str, content: io.BufferedReader | io.BytesIO) -> Iterator[Document]:
    """Concatenated BSON documents; one with invalid content becomes an empty document."""
    position = 0
    while head := content.read(4):
        length = int.from_bytes(head, "little", signed=True)
        if len(head) == 4 and not _SMALLEST_DOCUMENT <= length <= MAX_DOCUMENT_BYTES:
            reason = f"the document that begins here has the impossible length {length}"
            raise SourceDamaged(name, position, reason)
        raw = head + content.read(max(0, length - 4))
        if len(head) < 4 or len(raw) < length:
            raise SourceDamaged(name, position, "the file ends in the middle of this document")
        position += length
        try:
            yield bson.decode(raw, _AS_STORED)
        except (BSONError, ValueError, OverflowError, RecursionError):
            yield {}


def _json_documents(stream: ByteStream) -> Iterator[Document]:
    decoder = json.JSONDecoder(parse_int=_integer)
    content = _text_of(stream)
    text, at, position, wanted, at_end = "", 0, 0, _BLOCK, False
    while True:
        start = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        try:
            document, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            end = None
        if end is not None and (end < len(text) or at_end):
            yield json_document(text[start:end], document)
            position += len(text[at:end].encode("utf-8", "surrogateescape"))
            at, wanted = end, _BLOCK
            continue
        if at_end:
            if text[start:].strip():
                raise SourceDamaged(stream.name, position, "this is not valid JSON")
            return
        if len(text) - at > MAX_TEXT_BYTES:
            raise SourceDamaged(stream.name, position, "the document that begins here is too long")
        block = content.read(wanted)
        at_end, wanted = len(block) < wanted, 2 * wanted
        text, at = text[at:] + block, 0


def _integer(digits: str) -> int:
    """An integer; for more digits than Python parses, one that is out of range for all fields."""
    return int(digits) if len(digits) < _MOST_DIGITS else 1 << 64


def _text_of(stream: ByteStream) -> io.TextIOWrapper:
    """The content as text, which encodes to the same bytes again also where it is not UTF-8."""
    return io.TextIOWrapper(io.BufferedReader(stream), "utf-8", "surrogateescape", newline="")


def json_document(text: str, document: Any) -> Document:
    """The document of the Extended JSON `text`, else `document` unchanged; empty if that is not a document."""
    from bson.json_util import JSONOptions, loads

    options = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
    with suppress(BSONError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        document = loads(text, json_options=options)
    return document if isinstance(document, dict) else {}


@contextmanager
def csv_rows(stream: ByteStream, delimiter: str | None) -> Iterator[_csv.Reader]:
    """The rows of CSV, the first of which has the column names; raises `csv.Error` for invalid CSV.

    :param delimiter: the field delimiter; None: the one with which the header has the most names.
    """
    if delimiter is None:
        header = stream.peek().split(b"\n", 1)[0].decode("utf-8", "surrogateescape")
        delimiter = max(DELIMITERS, key=header.count)
    text = _text_of(stream)
    before = csv.field_size_limit(MAX_TEXT_BYTES)
    try:
        yield csv.reader(text, delimiter=delimiter, strict=True)
    finally:
        csv.field_size_limit(before)


def _csv_documents(stream: ByteStream, delimiter: str | None) -> Iterator[Document]:
    try:
        with csv_rows(stream, delimiter) as rows:
            names = next(rows, [])
            for number, row in enumerate(filter(None, rows), start=1):
                if len(row) != len(names):
                    found = f"row {number} has {len(row)} fields, and the header {len(names)}"
                    raise SourceDamaged(stream.name, stream.position, found)
                yield csv_document(names, row)
    except csv.Error as error:
        raise SourceDamaged(stream.name, stream.position, f"this is not valid CSV ({error})") from None


def csv_document(names: Sequence[str], row: Sequence[str]) -> Document:
    """The cells of a row by column, without empty cells and duplicate columns."""
    return {name: Cell(cell) for name, cell in zip(names, row, strict=True) if cell and names.count(name) == 1}


def _parquet_rows(stored: Stored, stream: ByteStream) -> Iterator[Document]:
    import pyarrow as pa

    from jobs.decode.documents import row_document
    from jobs.sources.parquet_file import ParquetTable

    # Without random access it is copied, as its footer is at the end.
    is_copied = stream.compressed or isinstance(stored, SinglePass)
    with ParquetTable(stored, stream if is_copied else None) as table:
        try:
            for batch in table.parquet.iter_batches(batch_size=1000):
                names = batch.schema.names
                types = {name: batch.schema.field(name).type for name in names if names.count(name) == 1}
                for row in range(batch.num_rows):
                    document = row_document(batch, row)
                    yield {name: _as_bson(kind, document[name]) for name, kind in types.items()}
        except (pa.ArrowException, OSError) as error:  # OSError also for damaged pages
            raise SourceError(f"{stream.name} cannot be read: {error}", "Export the data again.") from None


def _as_bson(kind: Any, value: Any) -> Any:
    """The BSON equivalent of a `value` of that column type; see `jobs.sources.parquet_file`."""
    import pyarrow as pa

    if isinstance(value, bytes) and pa.types.is_fixed_size_binary(kind):
        if kind.byte_width == 12:
            return ObjectId(value)
        if kind.byte_width == 16:
            return Decimal128.from_bid(value)
    if isinstance(value, str) and not (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ):
        return value if pa.types.is_dictionary(kind) else OtherType(str(kind))
    return value


@dataclass(frozen=True, slots=True)
class OtherType:
    """A value of a type without BSON equivalent.

    :param kind: the name of the type, such as ``date32[day]``.
    """

    kind: str
