"""Counts of requests in this process, for `limits`, whose own storage is bounded by nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from limits.aio.storage.base import Storage

_MOST_CALLERS: Final = 100_000  # some 20 MB


class ProcessStorage(Storage):
    """Windows of fixed length, one a caller, in memory; those that are over, or more than fit, are forgotten.

    :param monotonic: seconds, never going back.
    :param most_callers: of more callers at once, those whose windows began first are forgotten.
    """

    STORAGE_SCHEME = None  # no URL leads here

    def __init__(self, monotonic: Callable[[], float], most_callers: int = _MOST_CALLERS) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._most_callers = most_callers
        # Count and end of the window; all windows are of one length, so they lie in the order in which they end.
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What it may raise beside errors of the program: nothing, but the library wants a type."""
        return OSError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` to the window of `key`, which lasts `expiry` seconds from its first request.

        :returns: how many there are now.
        """
        now = self._monotonic()
        count, end = self._windows.get(key, (0, 0.0))
        if end <= now:
            self._windows.pop(key, None)
            self._forget(now)
            count, end = 0, now + expiry
        self._windows[key] = count + amount, end
        return count + amount

    async def get(self, key: str) -> int:
        """How many there are in the window of `key`."""
        count, end = self._windows.get(key, (0, 0.0))
        return count if end > self._monotonic() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window of `key` ends, in seconds since 1970; now when there is none."""
        _, end = self._windows.get(key, (0, 0.0))
        return time.time() + max(0.0, end - self._monotonic())

    async def check(self) -> bool:
        """It always works."""
        return True

    async def reset(self) -> int:
        """Forget all; returns how many there were."""
        forgotten = len(self._windows)
        self._windows.clear()
        return forgotten

    async def clear(self, key: str) -> None:
        """Forget `key`."""
        self._windows.pop(key, None)

    def _forget(self, now: float) -> None:
        """Make room for one more."""
        windows = self._windows
        while windows:
            oldest = next(iter(windows))
            if windows[oldest][1] > now and len(windows) < self._most_callers:
                return
            del windows[oldest]
