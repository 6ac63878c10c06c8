"""How far the reading of a part has come, and how it goes on after a cursor broke: nothing twice, nothing left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import bson
from bson import DatetimeMS
from bson.raw_bson import RawBSONDocument

from core.errors import SourceError
from jobs.sources.live.connecting import AS_STORED, Document
from jobs.sources.live.id_order import after, after_value
from jobs.sources.live.partitions import Order, Part

_RAW: Final = AS_STORED.with_options(document_class=RawBSONDocument)
_MAX_HELD_BYTES: Final = 32 * 1024 * 1024
"""How much is held of documents that do not differ in what they are sorted by."""


class Progress(Protocol):
    """How far one part has been read."""

    sort: list[tuple[str, int]] | None

    def query(self) -> Document:
        """What finds the documents still to be read, and perhaps some that were.

        :raises SourceError: too many documents would have to be told apart from those that were read.
        """

    def unread(self, raw: bytes) -> bytes:
        """Of the documents in `raw`, an answer to the `query`, those that have not been read."""

    def read(self, raw: bytes, last: int) -> None:
        """Note that the documents in `raw`, of which the last begins at `last`, have been read."""


def progress_of(part: Part, time_field: str) -> Progress:
    """The progress of a part of which nothing has been read."""
    return _ById(part) if part.order is Order.ID else _ByTime(part, time_field)


class _ById:
    """A part sorted by ``_id``: goes on after the last one."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._last: bytes | None = None
        self.sort: list[tuple[str, int]] | None = [("_id", 1)]

    def query(self) -> Document:
        part = self._part
        if self._last is None:
            return ({"_id": part.id_condition} if part.id_condition else {}) | part.rest
        if not part.id_condition:
            return {"$and": [after(self._last, names_all_types=part.names_all_types), part.rest]}
        within = {name: value for name, value in part.id_condition.items() if name != "$gte"}
        return {"_id": within | after_value(bson.decode(self._last, AS_STORED)["_id"])} | part.rest

    def unread(self, raw: bytes) -> bytes:
        return raw

    def read(self, raw: bytes, last: int) -> None:
        self._last = raw[last:]


class _ByTime:
    """A part sorted by time or by nothing: goes on at the last time, and leaves out what was read of that.

    Of a part sorted by nothing all is left out that was read, and too much of that cannot be told apart.
    """

    def __init__(self, part: Part, time_field: str) -> None:
        self._part = part
        self._path = time_field.split(".")
        self._sorted = part.order is Order.TIME
        self._time_field = time_field
        self._time_ms: int | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._known: set[bytes] = set()
        self.sort: list[tuple[str, int]] | None = [(time_field, 1)] if self._sorted else None

    def query(self) -> Document:
        if self._held_bytes > _MAX_HELD_BYTES:
            what = "of the same time" if self._sorted else "with unusual types of _id"
            raise SourceError(
                f"the reading was interrupted among more than {_MAX_HELD_BYTES // 2**20} MiB of documents {what}, and "
                "cannot tell which of them it had read",
                "Run it again; it starts afresh.",
            )
        self._known = {
            _id_of(document) for raw in self._held for document in _documents(raw) if self._is_at_last_time(document)
        }
        condition = self._part.id_condition
        query = ({"_id": condition} if condition else {}) | self._part.rest
        if self._time_ms is not None:
            query[self._time_field] = query[self._time_field] | {"$gte": DatetimeMS(self._time_ms)}
        return query

    def unread(self, raw: bytes) -> bytes:
        if not self._known:
            return raw
        return b"".join(document.raw for document in _documents(raw) if _id_of(document) not in self._known)

    def read(self, raw: bytes, last: int) -> None:
        time_ms = self._time_of(bson.decode(raw[last:], AS_STORED)) if self._sorted else None
        if time_ms is not None and time_ms != self._time_ms:
            self._time_ms = time_ms
            self._held.clear()
            self._held_bytes = 0
            self._known.clear()
        if self._held_bytes <= _MAX_HELD_BYTES:
            self._held.append(raw)
            self._held_bytes += len(raw)
        if self._held_bytes > _MAX_HELD_BYTES:
            self._held.clear()

    def _is_at_last_time(self, document: RawBSONDocument) -> bool:
        # One whose time cannot be told, as inside an array, may be found again at any time.
        return not self._sorted or self._time_of(document) in (None, self._time_ms)

    def _time_of(self, document: Any) -> int | None:
        value = document
        for name in self._path:
            value = value.get(name) if hasattr(value, "get") else None
        return int(value) if isinstance(value, DatetimeMS) else None


def _documents(raw: bytes) -> Iterator[RawBSONDocument]:
    at = 0
    while at < len(raw):
        end = at + int.from_bytes(raw[at : at + 4], "little")
        yield RawBSONDocument(raw[at:end], _RAW)
        at = end


def _id_of(document: RawBSONDocument) -> bytes:
    """The ``_id`` as the server wrote it: type and value."""
    return bson.encode({"_id": document.get("_id")}, codec_options=_RAW)
