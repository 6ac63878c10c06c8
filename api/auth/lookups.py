"""Rows of the store, looked up by id and believed for a moment."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache, TTLCache

from api.problems import Problem
from api.threads import SingleFlight, ThreadPool

T = TypeVar("T")

_MOST_IDS: Final = 4096


async def anyone_may_guess() -> bool:
    """No limit to the ids that a client may try."""
    return True


@dataclass(slots=True)
class _Row(Generic[T]):
    """A row as it was read by a call that began at `read_at`; the last call began at `asked_at`."""

    row: T
    read_at: float
    asked_at: float


class Lookups(Generic[T]):
    """What `read` finds by id, read again after `freshness_s`, so that what is revoked takes effect.

    A row is read again after half of that time while it is still used, and a slow store delays nobody whose row was
    asked for in time.

    :param read: gives the row of an id, or None; raises `StoreError`, as does `read_ids`. Both run in `pool`.
    :param read_ids: gives the ids of all rows.
    :param monotonic: seconds, never going back.
    """

    def __init__(
        self,
        read: Callable[[str], T | None],
        read_ids: Callable[[], frozenset[str]],
        *,
        pool: ThreadPool,
        freshness_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._read = read
        self._read_ids = read_ids
        self._pool = pool
        self._freshness_s = freshness_s
        self._monotonic = monotonic
        self._lock = threading.Lock()  # `forget` is called in threads
        self._forgotten = 0
        self._reading: SingleFlight[T | None] = SingleFlight()
        self._reading_ids: SingleFlight[frozenset[str]] = SingleFlight()
        self._ids: TTLCache[None, frozenset[str]] = TTLCache(1, freshness_s, timer=monotonic)
        self._rows: LRUCache[str, _Row[T]] = LRUCache(_MOST_IDS)
        # Separate, so that made-up ids do not push out real ones.
        self._unknown: TTLCache[str, None] = TTLCache(_MOST_IDS, freshness_s, timer=monotonic)

    def fresh(self, row_id: str) -> T | None:
        """The row of `row_id`, the same object each time, if it was read a moment ago."""
        with self._lock:
            known = self._rows.get(row_id)
        return known.row if known and self._monotonic() < known.read_at + self._freshness_s / 2 else None

    async def get(self, row_id: str, may_guess: Callable[[], Awaitable[bool]] = anyone_may_guess) -> T | None:
        """The row of `row_id`, or None.

        :param may_guess: whether the client may still try ids. Where it may not, the ids of all rows, read once a
            freshness, tell made-up ids from real ones, however many it tries.
        :raises StoreUnavailable: the store does not answer.
        """
        now = self._monotonic()
        with self._lock:
            known = self._rows.get(row_id)
            if known is None:
                with suppress(KeyError):  # not `in` and then `[]`, between which it may expire
                    return self._unknown[row_id]
        if known is None:
            if not await may_guess() and row_id not in await self._all_ids():
                return None
        elif now < known.read_at + self._freshness_s / 2:
            return known.row
        else:
            valid_until = known.read_at + self._freshness_s
            if known.asked_at == known.read_at:
                known.asked_at = now
                self._reading.begin(row_id, lambda: self._read_again(row_id))
            if now < valid_until or known.asked_at < valid_until:
                return known.row
        return await self._reading.run(row_id, lambda: self._read_again(row_id))

    def forget(self, row_id: str) -> None:
        """Read the row of `row_id` again when it is next looked up; in any thread."""
        with self._lock:
            self._forgotten += 1
            self._rows.pop(row_id, None)
            self._unknown.pop(row_id, None)
            self._ids.clear()

    async def _read_again(self, row_id: str) -> T | None:
        forgotten, began = self._forgotten, self._monotonic()
        try:
            row = await self._pool.run(self._read, row_id)
        except Problem:  # overloaded: the store was not asked, and what is still valid can be used
            with self._lock:
                if known := self._rows.get(row_id):
                    known.asked_at = known.read_at
            raise
        except BaseException:
            with self._lock:
                self._rows.pop(row_id, None)
            raise
        with self._lock:
            if forgotten != self._forgotten:
                return row  # which may be of before
            if row is None:
                self._rows.pop(row_id, None)
                self._unknown[row_id] = None
            else:
                self._rows[row_id] = _Row(row, began, began)
        return row

    async def _all_ids(self) -> frozenset[str]:
        with self._lock, suppress(KeyError):
            return self._ids[None]
        ids = await self._reading_ids.run(None, lambda: self._pool.run(self._read_ids))
        with self._lock:
            self._ids[None] = ids
        return ids
