"""Rows of the store, looked up by id and believed for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from cachetools import TTLCache

T = TypeVar("T")

_MOST_IDS: Final = 4096


class Lookups(Generic[T]):
    """What `read` finds by id, read again after `freshness_s`, so that what is revoked takes effect. Threads share it.

    :param read: gives the row of an id, or None; raises `StoreError`, as does `read_ids`.
    :param read_ids: gives the ids of all rows.
    :param monotonic: seconds, never going back.
    """

    def __init__(
        self,
        read: Callable[[str], T | None],
        read_ids: Callable[[], frozenset[str]],
        *,
        freshness_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._read = read
        self._read_ids = read_ids
        self._lock = threading.Lock()
        self._ids: TTLCache[None, frozenset[str]] = TTLCache(1, freshness_s, timer=monotonic)
        self._known: TTLCache[str, T] = TTLCache(_MOST_IDS, freshness_s, timer=monotonic)
        # Separate, so that made-up ids do not push out real ones.
        self._unknown: TTLCache[str, None] = TTLCache(_MOST_IDS, freshness_s, timer=monotonic)

    def get(self, row_id: str, may_guess: Callable[[], bool] = lambda: True) -> T | None:
        """The row of `row_id`, or None.

        :param may_guess: whether the client may still try ids. Where it may not, the ids of all rows, read once a
            freshness, tell made-up ids from real ones, however many it tries.
        :raises StoreUnavailable: the store does not answer.
        """
        with self._lock:
            for cache in (self._known, self._unknown):
                with suppress(KeyError):  # not `in` and then `[]`, between which it may expire
                    return cache[row_id]
        if not may_guess() and row_id not in self._all_ids():
            return None
        row = self._read(row_id)
        with self._lock:
            if row is None:
                self._unknown[row_id] = None
            else:
                self._known[row_id] = row
        return row

    def forget(self, row_id: str) -> None:
        """Read the row of `row_id` again when it is next looked up."""
        with self._lock:
            self._known.pop(row_id, None)
            self._unknown.pop(row_id, None)
            self._ids.clear()

    def _all_ids(self) -> frozenset[str]:
        with self._lock, suppress(KeyError):
            return self._ids[None]
        ids = self._read_ids()
        with self._lock:
            self._ids[None] = ids
        return ids
