"""The position in a part from which a new cursor resumes a broken one, without duplicates or gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import bson
from bson import DatetimeMS
from bson.errors import InvalidBSON

from core.errors import SourceError
from jobs.sources.live.connecting import AS_STORED, Document
from jobs.sources.live.id_order import id_of, query_after, query_after_same_type
from jobs.sources.live.partitions import Order, Part
from jobs.sources.live.times import instant_at

_MAX_UNDECIDED_BYTES: Final = 32 * 1024 * 1024
"""Limit of the stored documents that have the same sort key."""


class ResumePoint(Protocol):
    """What was read of one part."""

    sort: list[tuple[str, int]] | None

    def query(self) -> Document:
        """The query for all unread documents, which may also match some that were read.

        :raises SourceError: too many read documents match, so that they cannot be told apart in memory.
        """

    def unread(self, raw: bytes) -> bytes:
        """The unread documents in `raw`, an answer to the `query`."""

    def read(self, raw: bytes, last: int) -> None:
        """Record that the documents in `raw` were read; the last one begins at `last`."""


def resume_point_of(part: Part, time_field: str) -> ResumePoint:
    """The beginning of `part`."""
    return _ById(part) if part.order is Order.ID else _ByTime(part, time_field)


class _ById:
    """A part sorted by ``_id``: resumes after the last one."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._last: bytes | None = None
        self.sort: list[tuple[str, int]] | None = [("_id", 1)]

    def query(self) -> Document:
        part = self._part
        if self._last is None:
            return ({"_id": part.id_condition} if part.id_condition else {}) | part.rest
        last = id_of(self._last)
        if not part.id_condition:
            return {"$and": [query_after(last, names_all_types=part.names_all_types), part.rest]}
        return {"$and": [{"_id": part.id_condition}, query_after_same_type(last), part.rest]}

    def unread(self, raw: bytes) -> bytes:
        return raw

    def read(self, raw: bytes, last: int) -> None:
        self._last = raw[last:]


class _ByTime:
    """A part sorted by time, or unsorted: resumes at the last time and skips its documents that were read.

    In an unsorted part every document that was read is skipped, which is impossible for too many.
    """

    def __init__(self, part: Part, time_field: str) -> None:
        self._part = part
        self._path = time_field.split(".")
        self._sorted = part.order is Order.TIME
        self._time_field = time_field
        self._time_ms: int | None = None
        self._undecided: list[bytes] = []
        self._undecided_bytes = 0
        self._known: set[bytes] = set()
        self.sort: list[tuple[str, int]] | None = [(time_field, 1)] if self._sorted else None

    def query(self) -> Document:
        if self._undecided_bytes > _MAX_UNDECIDED_BYTES:
            what = "of the same time" if self._sorted else "with unusual types of _id"
            raise SourceError(
                f"the reading was interrupted among more than {_MAX_UNDECIDED_BYTES // 2**20} MiB of documents {what}, "
                "so it is unknown which of them were read",
                "Run it again; it starts from the beginning.",
            )
        self._known = {
            id_of(document) for raw in self._undecided for document in _documents(raw) if self._is_found_again(document)
        }
        condition = self._part.id_condition
        query = ({"_id": condition} if condition else {}) | self._part.rest
        if self._time_ms is not None:
            query[self._time_field] = query[self._time_field] | {"$gte": DatetimeMS(self._time_ms)}
        return query

    def unread(self, raw: bytes) -> bytes:
        if not self._known:
            return raw
        return b"".join(document for document in _documents(raw) if id_of(document) not in self._known)

    def read(self, raw: bytes, last: int) -> None:
        time_ms = self._time_of(raw[last:]) if self._sorted else None
        if time_ms is not None and time_ms != self._time_ms:
            self._time_ms = time_ms
            self._undecided.clear()
            self._undecided_bytes = 0
            self._known.clear()
        if self._undecided_bytes <= _MAX_UNDECIDED_BYTES:
            self._undecided.append(raw)
            self._undecided_bytes += len(raw)
        if self._undecided_bytes > _MAX_UNDECIDED_BYTES:
            self._undecided.clear()

    def _is_found_again(self, document: bytes) -> bool:
        if self._time_ms is None:
            return True
        # A document without a known time, as inside an array, may match at any time.
        time_ms = self._time_of(document)
        return time_ms is None or time_ms >= self._time_ms

    def _time_of(self, document: bytes) -> int | None:
        try:
            return instant_at(bson.decode(document, AS_STORED), self._path)
        except InvalidBSON:  # invalid inside: the decoder rejects it
            return None


def _documents(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        end = at + int.from_bytes(raw[at : at + 4], "little")
        yield raw[at:end]
        at = end
