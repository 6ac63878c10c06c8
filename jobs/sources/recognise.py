"""Detects the format of a source by its content; names matter only for choosing the file of a folder."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from core.errors import SourceError, UnknownFormat
from jobs.decode.classify import Window
from jobs.decode.formats import DELIMITERS
from jobs.decode.jit import PADDING
from jobs.decode.json_kernel import BEFORE_FIRST, end_of_json_documents
from jobs.decode.plan import Fields
from jobs.sources.archive import MAGIC, ArchiveChunks
from jobs.sources.chunks import MAX_DOCUMENT_BYTES
from jobs.sources.dump_folder import only_file_in
from jobs.sources.file_partition import PARTITION_BYTES, FileFormat, FilePartition, ranges_of
from jobs.sources.live.options import LiveOptions
from jobs.sources.partition import Source
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.url import is_glob, is_remote
from jobs.sources.stored import SinglePass, Stored, stored_at
from jobs.sources.streams import STANDARD_INPUT, ByteStream
from jobs.sources.url import is_live

_PARQUET_MAGIC: Final = b"PAR1"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BYTE_ORDER_MARKS: Final = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte order marks, longer ones first: the one of UTF-32-LE begins like that of UTF-16-LE."""
_WITHOUT_END: Final = frozenset(FileFormat) - {FileFormat.ARCHIVE, FileFormat.JSON_ARRAY, FileFormat.PARQUET}
_CODE_UNITS: Final = {"<u4": "UTF-32LE", ">u4": "UTF-32BE", "<u2": "UTF-16LE", ">u2": "UTF-16BE"}
_CHARACTERS_CHECKED: Final = 8
_FORMATS: Final = "BSON, mongodump archive, mongoexport JSON or CSV, Parquet; each plain or gzipped"


def open_source(
    argument: str,
    fields: Fields,
    collection: str | None,
    live: LiveOptions | None = None,
    window: Window | None = None,
    remote: RemoteOptions | None = None,
) -> Source:
    """Open a file, a folder with one source, standard input (``-``), a URL, or a live collection.

    Detects its format, and lists its partitions without reading them.

    :param collection: the collection of a dump or server, or None for the default names.
    :param live: options for a live collection.
    :param window: read only documents of a live collection in the requested range, and those that are rejected for
        their time; None: all.
    :param remote: options for ``s3://``, ``gs://`` and ``https://``.
    :raises UsageError: a URL is invalid.
    :raises SourceError: it cannot be read, or lacks the collection or a column.
    :raises UnknownFormat: the content has no supported format.
    :raises SourceDamaged: its beginning is damaged.
    """
    if is_live(argument):
        # Like the formats below, imported on demand.
        from jobs.sources.live.collection import open_live

        return open_live(argument, fields, collection, live, window)
    stored, stream, file_format = open_recognised(argument, collection, remote, fields.formats.csv_delimiter)
    try:
        return _source(stored, stream, file_format, fields, collection)
    finally:
        if not isinstance(stored, SinglePass):
            stream.close()


def open_recognised(
    argument: str, collection: str | None, remote: RemoteOptions | None, delimiter: str | None
) -> tuple[Stored, ByteStream, FileFormat]:
    """Open a file, the only source of a folder, standard input, or a URL, and detect its format.

    :param delimiter: the field delimiter of CSV, if known.
    :returns: the stored content, a stream after any UTF-8 byte order mark, and the format.
    :raises SourceError: it cannot be read, is empty, or lacks the collection.
    :raises UnknownFormat: the content has no supported format.
    :raises SourceDamaged: its beginning is damaged.
    """
    stored, inside_dump = _stored(argument, collection, remote or RemoteOptions())
    stream = stored.stream()
    try:
        return stored, stream, _format_at(stream, inside_dump, delimiter)
    except BaseException:
        if not isinstance(stored, SinglePass):
            stream.close()
        raise


def expanded(arguments: Sequence[str], collection: str | None, remote: RemoteOptions) -> tuple[str, ...]:
    """`arguments` with the wildcards of remote URLs, and remote folders (``…/``), expanded.

    :param collection: the collection of a dump, or None for the default names.
    :raises UsageError: such a URL is not supported.
    :raises SourceError: no object matches; which objects of a folder to read is ambiguous; the storage does not answer,
        or refuses.
    """
    found: list[str] = []
    for argument in arguments:
        if is_remote(argument) and is_glob(argument):
            from jobs.sources.remote.stored import matching

            found += matching(argument, remote)
        elif is_remote(argument) and argument.endswith("/"):
            from jobs.sources.remote.stored import sources_below

            found += sources_below(argument, collection, remote)
        else:
            found.append(argument)
    return tuple(found)


def _stored(argument: str, collection: str | None, remote: RemoteOptions) -> tuple[Stored, bool]:
    """The stored content of `argument`, and whether it is a dump's folder."""
    if is_remote(argument):
        from jobs.sources.remote.stored import stored_object

        return stored_object(argument, collection, remote)
    if argument == STANDARD_INPUT or not os.path.isdir(argument):  # noqa: PTH112 - Path raises for long names
        return stored_at(argument), False
    path, inside_dump = only_file_in(Path(argument), collection)
    return stored_at(str(path)), inside_dump


def _format_at(stream: ByteStream, inside_dump: bool, delimiter: str | None) -> FileFormat:
    """The format of `stream`, which is moved past a UTF-8 byte order mark."""
    head = stream.peek()
    if not head and not (inside_dump and stream.compressed):
        raise SourceError(f"{stream.name} is empty (0 bytes)", "Export the data again.")
    if head.startswith(_UTF8_MARK):
        stream.readinto(bytearray(len(_UTF8_MARK)))
        head = head[len(_UTF8_MARK) :]
    return _format_of(stream.name, head, inside_dump, delimiter)


def _source(
    stored: Stored, stream: ByteStream, file_format: FileFormat, fields: Fields, collection: str | None
) -> Source:
    columns: tuple[str, ...] = ()
    delimiter = ","
    if file_format is FileFormat.CSV:
        from jobs.sources.csv_text import read_header

        columns, delimiter = read_header(stream, fields)
    elif file_format is FileFormat.ARCHIVE and stored.size is not None:
        ArchiveChunks(stream, collection)  # raises if the collection is missing
    start = 0 if file_format in (FileFormat.ARCHIVE, FileFormat.PARQUET) else stream.position
    whole = FilePartition(
        stored, file_format, stored.size, stream.compressed, start, columns=columns, delimiter=delimiter
    )
    partitions = (
        _row_groups(whole, fields) if file_format is FileFormat.PARQUET and not whole.is_copied else ranges_of(whole)
    )
    return Source(
        stream.name,
        file_format + (", gzip" if stream.compressed else ""),
        partitions,
        expected_bytes=lambda done, documents: stored.size,
        finish=lambda documents: _end_warning(stored, stream, file_format),
    )


def _end_warning(stored: Stored, stream: ByteStream, file_format: FileFormat) -> tuple[str, ...]:
    """A warning if the end of `stored` may be missing without an error."""
    if stored.has_end or stream.compressed or file_format not in _WITHOUT_END:
        return ()
    return (
        f"the server of {stored.name} sends neither its size nor its end: if the connection was broken between two "
        "documents, the rest is missing",
    )


def _format_of(name: str, head: bytes, inside_dump: bool, delimiter: str | None) -> FileFormat:
    """The format of content that begins with `head`."""
    if head.startswith(MAGIC):
        return FileFormat.ARCHIVE
    if head.startswith(_PARQUET_MAGIC):
        return FileFormat.PARQUET
    encoding = None if inside_dump else _utf_16_or_32(head)
    if encoding is not None:
        raise UnknownFormat(
            f"{name} is {encoding} text, but only UTF-8 is supported",
            f"Convert it, for example with: iconv -f {encoding} -t UTF-8 FILE > CONVERTED. In PowerShell, > converts "
            "the output of mongoexport to UTF-16: use the option --out of mongoexport.",
        )
    if inside_dump or _looks_like_bson(head):
        return FileFormat.BSON
    text = head.lstrip()
    if text.startswith(b"["):
        return FileFormat.JSON_ARRAY
    if text.startswith(b"{"):
        return FileFormat.JSON_LINES if _is_one_line(head) else FileFormat.JSON_DOCUMENTS
    if _looks_like_csv(head, delimiter):
        return FileFormat.CSV
    raise UnknownFormat(
        f"{name} has an unsupported format; it begins with {head[:16]!r}", f"Supported formats: {_FORMATS}."
    )


def _row_groups(whole: FilePartition, fields: Fields) -> tuple[FilePartition, ...]:
    from jobs.sources.parquet_file import ParquetTable

    with ParquetTable(whole.stored, None) as table:
        table.require(fields)
        groups = table.row_groups(PARTITION_BYTES)
    return tuple(replace(whole, start=one.first, end=one.end, first_row=one.first_row, size=one.size) for one in groups)


def _utf_16_or_32(head: bytes) -> str | None:
    """The name of the encoding if `head` is UTF-16 or UTF-32, by a byte order mark or as JSON or CSV.

    No BSON document begins like that: its elements would have no names.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            text = head.decode(encoding, "ignore").encode()
            return encoding if text.lstrip()[:1] in (b"{", b"[") or _looks_like_csv(text) else None
    for code_unit, encoding in _CODE_UNITS.items():
        size = np.dtype(code_unit).itemsize
        characters = np.frombuffer(head[: min(len(head) // size, _CHARACTERS_CHECKED) * size], code_unit)
        printable = (characters >= 0x20) & (characters < 0x7F) | np.isin(characters, (0x09, 0x0A, 0x0D))
        if len(characters) > 3 and printable.all():
            return encoding
    return None


def _looks_like_bson(head: bytes) -> bool:
    length = int.from_bytes(head[:4], "little", signed=True)
    return b"\0" in head[:4] and 5 <= length <= MAX_DOCUMENT_BYTES and len(head) > 4


def _looks_like_csv(head: bytes, delimiter: str | None = None) -> bool:
    first_line = head.split(b"\n", 1)[0]
    if b"\0" in first_line or b"," in first_line:
        return b"\0" not in first_line
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(first_line)  # whose last character may be truncated
    except UnicodeDecodeError:
        return False
    return any(one in text for one in (*DELIMITERS, *(delimiter or "")))


def _is_one_line(head: bytes) -> bool:
    """Whether the first document is on one line, as far as `head` shows."""
    with suppress(ValueError, RecursionError):
        # Mostly the first line is a document, and then no kernel must be compiled or loaded for this.
        json.loads(head.lstrip().partition(b"\n")[0])
        return True
    # A read-only array has another Numba type, for which the kernel would be compiled again.
    data = np.frombuffer(bytearray(head + bytes(PADDING)), np.uint8)
    end = int(end_of_json_documents(data, 0, len(head), False, np.array([BEFORE_FIRST], np.int64)))
    first = head.lstrip()
    if end <= 0:
        return b"\n" not in first
    newline = first.find(b"\n")
    return newline < 0 or first[:newline].rstrip().endswith(b"}")
