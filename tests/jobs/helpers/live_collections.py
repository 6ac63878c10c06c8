"""Live collections for tests, and a proxy whose connections break."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bson import DatetimeMS
from decoded import Decoded, read_source
from mongo_ways import with_address
from pymongo import MongoClient
from pymongo.collection import Collection

from core.retrying import Backoff
from jobs.decode.plan import Fields
from jobs.sources.live.collection import LiveCollection, open_collection
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.times import TimeRange

Document = dict[str, Any]

START_MS = 1_700_000_000_000
EAGER = LiveOptions(
    cursors=3, batch_documents=50, timeout_s=10, answer_timeout_s=20, backoff=Backoff(8, 0.02, 0.2), split_from=1
)
"""Several cursors and small batches whatever the size of the collection."""


def transaction(number: int, **changes: Any) -> Document:
    """A document without ``_id``, identified by its amount and its time, one per second."""
    return {"merchantId": number % 7, "amount": number, "createdAt": DatetimeMS(START_MS + 1000 * number)} | changes


@contextmanager
def collection_at(url: str, name: str = "transaction") -> Iterator[Collection[Document]]:
    """A collection for the test to write to."""
    client: MongoClient[Document]
    with MongoClient(url) as client:
        yield client.get_default_database()[name]


def fill(url: str, documents: Iterable[Document], name: str = "transaction") -> None:
    """Insert `documents`."""
    with collection_at(url, name) as collection:
        collection.insert_many(documents, ordered=False)


def read(
    live: LiveCollection, fields: Fields | None = None, times: Sequence[TimeRange] | None = None
) -> tuple[Decoded, tuple[str, ...]]:
    """Read the collection: the result and the warnings."""
    fields = fields or Fields()
    source = live.source(fields, times)
    try:
        found = read_source(source, fields)
        return found, source.finish(found.counts.read)
    finally:
        source.close()


def read_at(
    url: str,
    fields: Fields | None = None,
    times: Sequence[TimeRange] | None = None,
    options: LiveOptions = EAGER,
) -> Decoded:
    """Read the collection at `url`; requires no warnings."""
    with open_collection(url, None, options) as live:
        decoded, warnings = read(live, fields, times)
    assert warnings == ()
    return decoded


def amounts(decoded: Decoded) -> list[int]:
    """The amounts of counted documents, ascending, to detect missing and duplicate ones."""
    return sorted(amount for _, amount, _ in decoded.rows)


def instant(*parts: int) -> datetime:
    """A UTC instant."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


class BreakingNetwork:
    """A proxy for a server whose connections break after so many bytes of answers.

    :param url: the server's.
    :param after_bytes: how many; connections that carry less, such as those that only watch the server, stay whole.
    :param breaks: how often; then it is a good network.
    """

    def __init__(self, url: str, after_bytes: int, breaks: int) -> None:
        client: MongoClient[Document]
        with MongoClient(url) as client:
            client.admin.command("ping")
            address = client.address
        assert address is not None
        self._target = address
        self._after_bytes = after_bytes
        self._lock = threading.Lock()
        self.left = breaks
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = with_address(url, f"127.0.0.1:{self._listener.getsockname()[1]}")
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> BreakingNetwork:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for one in self._open:
            _cut(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for source, target, counted in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=(source, target, counted), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while block := source.recv(4096):
                carried += len(block)
                if counted and carried > self._after_bytes and self._may_break():
                    target.sendall(block[: len(block) // 2])
                    break
                target.sendall(block)
        _cut(source)
        _cut(target)

    def _may_break(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
