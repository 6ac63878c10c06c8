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

    :param read: gives the row of an id, or None; raises `StoreError`.
    :param monotonic: seconds, never going back.
    """

    def __init__(self, read: Callable[[str], T | None], *, freshness_s: float, monotonic: Callable[[], float]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: TTLCache[str, T] = TTLCache(_MOST_IDS, freshness_s, timer=monotonic)
        # Separate, so that made-up ids do not push out real ones.
        self._unknown: TTLCache[str, None] = TTLCache(_MOST_IDS, freshness_s, timer=monotonic)

    def get(self, row_id: str, may_read: Callable[[], bool] = lambda: True) -> T | None:
        """The row of `row_id`, or None; None too where it is not known at the moment and `may_read` is False.

        :raises StoreUnavailable: the store does not answer.
        """
        with self._lock:
            for cache in (self._known, self._unknown):
                with suppress(KeyError):  # not `in` and then `[]`, between which it may expire
                    return cache[row_id]
        if not may_read():
            return None
        row = self._read(row_id)
        with self._lock:
            if row is None:
                self._unknown[row_id] = None
            else:
                self._known[row_id] = row
        return row

    def forget(self, row_id: str) -> None:
        """Read the row of `row_id` anew when it is next asked for."""
        with self._lock:
            self._known.pop(row_id, None)
            self._unknown.pop(row_id, None)
