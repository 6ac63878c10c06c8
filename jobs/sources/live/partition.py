"""Partitions of a live collection, each read by its own cursor."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Final, Self
from weakref import WeakValueDictionary

from pymongo import MongoClient

from jobs.decode.batch import Chunk
from jobs.decode.decoder import BsonDecoder
from jobs.sources.chunks import Buffer
from jobs.sources.collections import Namespace
from jobs.sources.live.connecting import AS_STORED, Document, connect
from jobs.sources.live.cursors import CursorBatch, batches_of
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.partitions import Part
from jobs.sources.partition import Opened, Partition, ReadOptions


@dataclass(frozen=True, slots=True)
class Server:
    """The address of a server and the options of its connection; picklable.

    :param url: including its password.
    """

    url: str
    options: LiveOptions

    def __repr__(self) -> str:
        return "Server(…)"


_CLIENTS: Final[WeakValueDictionary[Server, MongoClient[Document]]] = WeakValueDictionary()
"""The open clients of this process, shared by partitions."""


def share(server: Server, client: MongoClient[Document]) -> None:
    """Let partitions in this process use `client` while it exists; the caller closes it."""
    _CLIENTS[server] = client


def unshare(server: Server, client: MongoClient[Document]) -> None:
    """Stop partitions from using `client` before it is closed."""
    if _CLIENTS.get(server) is client:
        del _CLIENTS[server]


@dataclass(frozen=True, slots=True)
class LivePartition(Partition):
    """The documents of one cursor; see `jobs.sources.partition.Partition`.

    Positions are the number of bytes received before a document: they identify rejects, but cannot be seeked to.
    """

    server: Server
    namespace: Namespace
    part: Part
    name: str
    start: int = 0
    end: int | None = None
    size: int | None = None

    counts_positions = True

    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        options = self.server.options
        shared = _CLIENTS.get(self.server)
        client = connect(self.server.url, options)[0] if shared is None else shared
        database = client[self.namespace.database]
        collection = database.get_collection(self.namespace.collection, codec_options=AS_STORED)
        batches = batches_of(self.name, collection, self.part, reading.fields, options, stop)
        chunks = LiveChunks(self.name, batches)

        def close() -> None:
            batches.close()
            if shared is None:
                client.close()

        return Opened(chunks, partial(BsonDecoder, reading.fields, reading.window), lambda: chunks.received, close)

    def beginning_at(self, start: int) -> Self:
        raise AssertionError(f"a cursor of {self.name} cannot begin at byte {start}: this is never guessed")


class LiveChunks:
    """The batches of a cursor as chunks; see `jobs.sources.chunks.ChunkReader`."""

    def __init__(self, name: str, batches: Generator[CursorBatch]) -> None:
        self.first: int | None = 0
        self.last: int | None = 0
        self.received = 0
        self._name = name
        self._batches = batches

    def next(self, buffer: Buffer) -> Chunk | None:
        """The next chunk, which does not use the buffer; see `jobs.sources.chunks.ChunkReader.next`."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        chunk = Chunk(self._name, batch.data, batch.size, self.received)
        self.received += batch.size
        self.last = self.received
        return chunk
