"""What a source is, told by its content; the name only chooses the file of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import SourceError, UnknownFormat
from jobs.decode.decoder import BsonDecoder, JsonDecoder
from jobs.decode.jit import PADDING
from jobs.decode.json_kernel import BEFORE_FIRST, end_of_json_documents
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.sources.archive import MAGIC, ArchiveFeed
from jobs.sources.bson_file import BsonFeed
from jobs.sources.dump_folder import collection_file
from jobs.sources.feed import CHUNK_BYTES, MAX_DOCUMENT_BYTES, Source
from jobs.sources.json_text import JsonLinesFeed, JsonStreamFeed
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.url import is_live
from jobs.sources.streams import STANDARD_INPUT, ByteStream, open_stream

_PARQUET_MAGIC: Final = b"PAR1"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BYTE_ORDER_MARKS: Final = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte order marks; the longer ones first, as one of them begins like a shorter one."""
_CODE_UNITS: Final = {"<u4": "UTF-32LE", ">u4": "UTF-32BE", "<u2": "UTF-16LE", ">u2": "UTF-16BE"}
_CHARACTERS_CHECKED: Final = 8
_FORMATS: Final = "BSON, mongodump archive, mongoexport JSON or CSV, Parquet; each plain or gzipped"


def open_source(
    argument: str,
    fields: Fields,
    collection: str | None,
    chunk_bytes: int = CHUNK_BYTES,
    live: LiveOptions | None = None,
    window: Window | None = None,
) -> Source:
    """Open a file, a mongodump folder, or standard input (``-``) and recognise what it holds; or a live collection.

    :param collection: the collection wanted of a dump or server that holds several, or None for the default names.
    :param live: how a live collection is read.
    :param window: of a live collection, read only what it counts and what it rejects for its time; None: all of it.
    :raises UsageError: the URL of a server is not valid.
    :raises SourceError: it cannot be read, or lacks the collection or a column.
    :raises UnknownFormat: the content is nothing that is read.
    :raises SourceDamaged: its beginning is broken already.
    """
    if is_live(argument):
        # Like the formats below, imported when it is met.
        from jobs.sources.live.collection import open_live

        return open_live(argument, fields, collection, live, window)
    inside_dump = argument != STANDARD_INPUT and os.path.isdir(argument)  # noqa: PTH112 - Path raises for long names
    stream = open_stream(str(collection_file(Path(argument), collection)) if inside_dump else argument)
    try:
        return _recognise(stream, fields, collection, chunk_bytes, inside_dump)
    except BaseException:
        stream.close()
        raise


def _recognise(
    stream: ByteStream, fields: Fields, collection: str | None, chunk_bytes: int, inside_dump: bool
) -> Source:
    head = stream.peek()
    if not head and not (inside_dump and stream.compressed):
        raise SourceError(f"{stream.name} is empty (0 bytes)", "Export the data again.")
    if head.startswith(_UTF8_MARK):
        stream.readinto(bytearray(len(_UTF8_MARK)))
        head = head[len(_UTF8_MARK) :]
    if head.startswith(MAGIC):
        archive = ArchiveFeed(stream, collection, chunk_bytes)
        return _source(stream, "mongodump archive", archive, BsonDecoder)
    if head.startswith(_PARQUET_MAGIC):
        return _parquet(stream, fields)
    encoding = None if inside_dump else _utf_16_or_32(head)
    if encoding is not None:
        raise UnknownFormat(
            f"{stream.name} is {encoding} text, and only UTF-8 is read",
            f"Convert it, such as with: iconv -f {encoding} -t UTF-8 FILE > CONVERTED. mongoexport writes UTF-8, of "
            "which the > of PowerShell makes UTF-16: use its --out.",
        )
    if inside_dump or _looks_like_bson(head):
        return _source(stream, "BSON", BsonFeed(stream, chunk_bytes), BsonDecoder)
    text = head.lstrip()
    if text[:1] in (b"{", b"["):
        return _json(stream, head, chunk_bytes)
    if _looks_like_csv(head):
        return _csv(stream, fields, chunk_bytes)
    raise UnknownFormat(
        f"{stream.name} is in no format that is read; it begins with {head[:16]!r}", f"These are read: {_FORMATS}."
    )


# The two formats whose readers take a while to import do so when they are met.


def _parquet(stream: ByteStream, fields: Fields) -> Source:
    from jobs.decode.columns import TableDecoder
    from jobs.sources.parquet_file import ParquetFeed

    feed = ParquetFeed(stream, fields)
    return _source(stream, "Parquet", feed, TableDecoder, feed.close)


def _csv(stream: ByteStream, fields: Fields, chunk_bytes: int) -> Source:
    from jobs.decode.columns import TableDecoder
    from jobs.sources.csv_text import CsvFeed

    return _source(stream, "CSV", CsvFeed(stream, fields, chunk_bytes), TableDecoder)


def _source(
    stream: ByteStream, form: str, feed: Any, decoder: Any, close_feed: Callable[[], None] | None = None
) -> Source:
    def close() -> None:
        if close_feed is not None:
            close_feed()
        stream.close()

    return Source(
        stream.name,
        form + (", gzip" if stream.compressed else ""),
        feed,
        decoder,
        lambda: (stream.consumed_bytes, stream.stored_bytes),
        close,
    )


def _utf_16_or_32(head: bytes) -> str | None:
    """UTF-16 or UTF-32 where `head` begins with a byte order mark, or like JSON or CSV in one of them.

    No BSON document looks like that: its length would have to be followed by elements without names.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            text = head.decode(encoding, "ignore").encode()
            return encoding if text.lstrip()[:1] in (b"{", b"[") or _looks_like_csv(text) else None
    for form, encoding in _CODE_UNITS.items():
        size = np.dtype(form).itemsize
        characters = np.frombuffer(head[: min(len(head) // size, _CHARACTERS_CHECKED) * size], form)
        printable = (characters >= 0x20) & (characters < 0x7F) | np.isin(characters, (0x09, 0x0A, 0x0D))
        if len(characters) > 3 and printable.all():
            return encoding
    return None


def _looks_like_bson(head: bytes) -> bool:
    length = int.from_bytes(head[:4], "little", signed=True)
    return b"\0" in head[:4] and 5 <= length <= MAX_DOCUMENT_BYTES and len(head) > 4


def _looks_like_csv(head: bytes) -> bool:
    first_line = head.split(b"\n", 1)[0]
    return b"\0" not in first_line and b"," in first_line


def _json(stream: ByteStream, head: bytes, chunk_bytes: int) -> Source:
    array = head.lstrip().startswith(b"[")
    if not array and _is_one_line(head):

        def decode_lines(fields: Fields, window: Window) -> JsonDecoder:
            return JsonDecoder(fields, window, one_line=True)

        return _source(stream, "JSON lines", JsonLinesFeed(stream, chunk_bytes), decode_lines)

    def decode_stream(fields: Fields, window: Window) -> JsonDecoder:
        return JsonDecoder(fields, window, one_line=False)

    form = "JSON array" if array else "JSON documents"
    return _source(stream, form, JsonStreamFeed(stream, array=array, chunk_bytes=chunk_bytes), decode_stream)


def _is_one_line(head: bytes) -> bool:
    """Whether the first document stands on one line, as far as can be seen."""
    data = np.frombuffer(head + bytes(PADDING), np.uint8)
    end = int(end_of_json_documents(data, 0, len(head), False, np.array([BEFORE_FIRST], np.int64)))
    first = head.lstrip()
    if end <= 0:
        return b"\n" not in first
    newline = first.find(b"\n")
    return newline < 0 or first[:newline].rstrip().endswith(b"}")
