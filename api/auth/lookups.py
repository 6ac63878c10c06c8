"""Rows of the store by id, cached for a short time."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache, TTLCache

from api.problems import Problem
from api.store_access import StoreAccess
from api.threads import SingleFlight, ThreadPool
from core.errors import StoreError
from core.stores import Clock, Stores

T = TypeVar("T")

_MOST_IDS: Final = 4096


@dataclass(slots=True)
class _Row(Generic[T]):
    """A row as it was read by a call that began at `read_at`; the last call began at `asked_at`."""

    row: T
    read_at: float
    asked_at: float


class Lookups(ABC, Generic[T]):
    """Rows of the store behind `access` by id, cached for `freshness_s`, so that a revocation takes effect after that.

    A row in use is read again after half of that time, in the background, so that a slow store delays no request. Where
    that was too long ago, a request waits for the store, unless it does not answer: then the row as it was last read is
    used, for a limited time.

    :param pool: the threads in which the store is read.
    :param clock: milliseconds since 1970 UTC.
    :param monotonic: seconds, never going back.
    """

    def __init__(
        self,
        access: StoreAccess,
        pool: ThreadPool,
        *,
        freshness_s: float,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._access = access
        self._pool = pool
        self._clock = clock
        self._freshness_s = freshness_s
        self._monotonic = monotonic
        self._lock = threading.Lock()  # `forget` is called in threads
        self._forgotten = 0
        self._reading: SingleFlight[T | None] = SingleFlight()
        self._reading_ids: SingleFlight[frozenset[str]] = SingleFlight()
        self._ids: TTLCache[None, frozenset[str]] = TTLCache(1, freshness_s, timer=monotonic)
        self._rows: LRUCache[str, _Row[T]] = LRUCache(_MOST_IDS)
        # Separate, so that invented ids do not evict real ones.
        self._unknown: TTLCache[str, None] = TTLCache(_MOST_IDS, freshness_s, timer=monotonic)

    @abstractmethod
    def _row(self, stores: Stores, row_id: str) -> T | None:
        """Read the row of `row_id`; None if there is none."""

    @abstractmethod
    def _row_ids(self, stores: Stores) -> frozenset[str]:
        """Read the ids of all rows."""

    def fresh(self, row_id: str) -> T | None:
        """The row of `row_id`, always the same object, if it was read recently."""
        with self._lock:
            known = self._rows.get(row_id)
        return known.row if known and self._monotonic() < known.read_at + self._freshness_s / 2 else None

    async def get(self, row_id: str, may_guess: Callable[[], Awaitable[bool]], *, stale_s: float = 0.0) -> T | None:
        """The row of `row_id`, or None.

        :param may_guess: whether the client may still try ids. If not, an id is looked up in the set of all ids, which
            is cached: so the store is not read for each invented id.
        :param stale_s: for how long after `freshness_s` a row is used while the store does not answer.
        :raises StoreUnavailable: the store does not answer.
        """
        now = self._monotonic()
        with self._lock:
            known = self._rows.get(row_id)
            if known is None:
                with suppress(KeyError):  # it may expire between `in` and `[]`
                    return self._unknown[row_id]
        if known is None:
            if not await may_guess() and row_id not in await self._all_ids():
                return None
            return await self._reading.run(row_id, lambda: self._read_again(row_id))
        if now < known.read_at + self._freshness_s / 2:
            return known.row
        if known.asked_at == known.read_at:
            known.asked_at = now
        reading = self._reading.begin(row_id, lambda: self._read_again(row_id))
        valid_until = known.read_at + self._freshness_s
        if now < valid_until:
            return known.row
        if now < valid_until + stale_s:
            if known.asked_at < valid_until or not await self._access.answered(reading):
                return known.row
            if isinstance(reading.exception(), StoreError | Problem):
                return known.row
        return await asyncio.shield(reading)

    def forget(self, row_id: str) -> None:
        """Remove the row of `row_id` from the cache; in any thread."""
        with self._lock:
            self._forgotten += 1
            self._rows.pop(row_id, None)
            self._unknown.pop(row_id, None)
            self._ids.clear()

    def _read(self, row_id: str) -> T | None:
        return self._access.call(lambda stores: self._row(stores, row_id))

    async def _read_again(self, row_id: str) -> T | None:
        forgotten, began = self._forgotten, self._monotonic()
        try:
            row = await self._pool.run(self._read, row_id)
        except BaseException:
            with self._lock:
                if known := self._rows.get(row_id):
                    known.asked_at = known.read_at  # the store is asked again by the next request
            raise
        with self._lock:
            if forgotten != self._forgotten:  # the row may be older than the call of `forget`
                if known := self._rows.get(row_id):
                    known.asked_at = known.read_at
                return row
            if row is None:
                self._rows.pop(row_id, None)
                self._unknown[row_id] = None
            else:
                self._rows[row_id] = _Row(row, began, began)
        return row

    async def _all_ids(self) -> frozenset[str]:
        with self._lock, suppress(KeyError):
            return self._ids[None]
        ids = await self._reading_ids.run(None, lambda: self._pool.run(self._access.call, self._row_ids))
        with self._lock:
            self._ids[None] = ids
        return ids
