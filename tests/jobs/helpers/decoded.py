"""Reads sources with the real chunk readers and decoders, as plain Python values."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from core.errors import ServiceError, WrongRow
from core.stores.runs import Counts
from jobs.decode.batch import Batch, Reject
from jobs.decode.classify import Window
from jobs.decode.decoder import BsonDecoder, CompiledDecoder, JsonDecoder
from jobs.decode.plan import Fields
from jobs.sources.bson_file import BsonChunks
from jobs.sources.chunks import CHUNK_BYTES, Buffer, ChunkReader
from jobs.sources.json_text import JsonLineChunks, JsonStreamChunks
from jobs.sources.partition import Partition, ReadOptions, Source
from jobs.sources.recognise import open_source
from jobs.sources.streams import ByteStream

EVER: Final = Window(-(2**62), 2**62, -(2**62), 2**62)
"""Every instant can be named and is wanted."""


@dataclass
class Decoded:
    """The result of a source: rows of (merchant, amount, instant), counts, and rejects in the order of the source."""

    rows: list[tuple[str, int, int]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Field and reason of each reject."""
        return [(reject.field, reject.reason) for reject in self.rejects]


def drain(chunks: ChunkReader, decoder: CompiledDecoder[Any], *, counts_rows: bool = False) -> Decoded:
    """Decode all `chunks`; see `jobs.sources.partition.Partition.counts_rows`."""
    decoded = Decoded()
    buffer = Buffer(0)
    while (chunk := chunks.next(buffer)) is not None:
        before = decoded.counts.read if counts_rows else 0
        for batch in _batches(decoder, chunk, before):
            texts = decoder.merchants.texts()
            merchants = [texts[code] for code in batch.codes]
            decoded.rows += zip(merchants, batch.amounts.tolist(), batch.instants.tolist(), strict=True)
            decoded.counts += batch.counts
            decoded.rejects += [_read_at_once(one, before) for one in batch.rejects]
    decoded.counts.require_conservation()
    return decoded


def _read_at_once(reject: Reject, before: int) -> Reject:
    document = reject.document()
    return replace(reject, position=reject.position + before, document=lambda: document)


def _batches(decoder: CompiledDecoder[Any], chunk: Any, before: int) -> Iterator[Batch]:
    try:
        yield from decoder.batches(chunk)
    except WrongRow as error:
        raise error.after(before) from None


def read_partition(
    partition: Partition, fields: Fields, window: Window = EVER, collection: str | None = None, chunk_bytes: int = 2**21
) -> Decoded:
    """Decode `partition`."""
    opened = partition.open(ReadOptions(fields, window, collection, chunk_bytes), threading.Event())
    try:
        return drain(opened.chunks, opened.decoder(), counts_rows=partition.counts_rows)
    finally:
        opened.close()


def read_source(source: Source, fields: Fields, **options: Any) -> Decoded:
    """Decode the partitions of `source` in order; none may be guessed."""
    found = Decoded()
    for partition in source.partitions:
        decoded = read_partition(partition, fields, **options)
        found.rows += decoded.rows
        found.rejects += decoded.rejects
        found.counts += decoded.counts
    return found


def stream_of(content: bytes) -> ByteStream:
    """`content` as a stream."""
    return ByteStream("made up", io.BytesIO(content), len(content))


def read_bson(content: bytes, fields: Fields, window: Window = EVER, chunk_bytes: int = CHUNK_BYTES) -> Decoded:
    """BSON documents one after another."""
    return drain(BsonChunks(stream_of(content), chunk_bytes), BsonDecoder(fields, window))


def read_json_lines(content: bytes, fields: Fields, window: Window = EVER, chunk_bytes: int = CHUNK_BYTES) -> Decoded:
    """JSON documents, one a line."""
    return drain(JsonLineChunks(stream_of(content), chunk_bytes), JsonDecoder(fields, window, one_line=True))


def read_json_stream(
    content: bytes, fields: Fields, window: Window = EVER, chunk_bytes: int = CHUNK_BYTES, *, array: bool
) -> Decoded:
    """JSON documents that may spread over lines."""
    chunks = JsonStreamChunks(stream_of(content), chunk_bytes, array=array)
    return drain(chunks, JsonDecoder(fields, window, one_line=False))


def read_file(
    path: Path | str,
    fields: Fields | None = None,
    window: Window = EVER,
    collection: str | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Decoded:
    """A file or folder, recognised by its content."""
    fields = fields or Fields()
    source = open_source(str(path), fields, collection)
    return read_source(source, fields, window=window, collection=collection, chunk_bytes=chunk_bytes)


def read_as_file(content: bytes, fields: Fields | None = None, **options: Any) -> Decoded:
    """The same for `content`, put into a file without an ending."""
    with tempfile.NamedTemporaryFile(prefix="source-") as file:
        file.write(content)
        file.flush()
        return read_file(file.name, fields, **options)


def attempted(read: Callable[[], Decoded]) -> tuple[Decoded | None, str]:
    """The result of `read`, or None and the sentence of a `ServiceError`; other exceptions are raised."""
    try:
        return read(), ""
    except ServiceError as error:
        return None, error.sentence


def read_one_json(text: str, fields: Fields | None = None) -> Decoded:
    """One JSON document, or what stands in its place; by default of the fields m, a and t."""
    return read_json_lines(text.encode(errors="surrogateescape"), fields or Fields("m", "a", "t"))
