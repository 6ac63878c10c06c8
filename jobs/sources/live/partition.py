"""Partitions of a live collection: each is read by a cursor of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
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
from jobs.sources.live.cursors import Batch, batches_of
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.partitions import Part
from jobs.sources.partition import Opened, Partition, Reading


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is reached; picklable.

    :param url: with its password.
    """

    url: str
    options: LiveOptions

    def __repr__(self) -> str:
        return "Server(…)"


_CLIENTS: Final[WeakValueDictionary[Server, MongoClient[Document]]] = WeakValueDictionary()
"""The clients of this process that are open, so that partitions share one."""


def share(server: Server, client: MongoClient[Document]) -> None:
    """Let partitions that are read in this process use `client` as long as that is there; it is closed by others."""
    _CLIENTS[server] = client


def unshare(server: Server, client: MongoClient[Document]) -> None:
    """Let partitions use `client` no longer, as it will be closed."""
    if _CLIENTS.get(server) is client:
        del _CLIENTS[server]


@dataclass(frozen=True, slots=True)
class LivePartition(Partition):
    """The documents that one cursor reads; see `jobs.sources.partition.Partition`.

    Its positions count the bytes received before them: they tell rejects apart, but nothing can be found there.
    """

    server: Server
    namespace: Namespace
    part: Part
    name: str
    start: int = 0
    end: int | None = None
    size: int | None = None

    counts_positions = True

    def open(self, reading: Reading, stop: threading.Event) -> Opened:
        """See `jobs.sources.partition.Partition.open`."""
        options = self.server.options
        shared = _CLIENTS.get(self.server)
        client = connect(self.server.url, options)[0] if shared is None else shared
        database = client[self.namespace.database]
        collection = database.get_collection(self.namespace.collection, codec_options=AS_STORED)
        batches = batches_of(self.name, collection, self.part, reading.fields, options, stop)
        chunks = LiveChunks(self.name, batches)

        def close() -> None:
            chunks.close()
            if shared is None:
                client.close()

        return Opened(chunks, partial(BsonDecoder, reading.fields, reading.window), lambda: chunks.received, close)

    def beginning_at(self, start: int) -> Self:
        """See `jobs.sources.partition.Partition.beginning_at`; its beginning is always known."""
        raise AssertionError(f"a cursor of {self.name} cannot begin at byte {start}")


class LiveChunks:
    """Hands out the batches of a cursor; see `jobs.sources.chunks.ChunkReader`."""

    def __init__(self, name: str, batches: Generator[Batch]) -> None:
        self.first: int | None = 0
        self.last: int | None = 0
        self.received = 0
        self._name = name
        self._batches = batches

    def next(self, buffer: Buffer) -> Chunk | None:
        """The next chunk, which has memory of its own; see `jobs.sources.chunks.ChunkReader.next`."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        chunk = Chunk(self._name, batch.data, 0, batch.size, self.received)
        self.received += batch.size
        self.last = self.received
        return chunk

    def close(self) -> None:
        """End the cursor."""
        with closing(self._batches):
            pass
