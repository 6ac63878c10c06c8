"""The rate limit of requests of a key, a session or an address, counted in this process or in Redis."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.storage.base import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from api.problems import Problem, ProblemKind
from core.errors import SettingsError

_log = logging.getLogger(__name__)

COUNTED: Final = "tss.counted"
"""In the scope of a request that was counted already."""

_STORAGE_TIMEOUT_S: Final = 0.5
_STORAGE_PAUSE_S: Final = 5.0  # so that not every request waits for a storage that hangs
_MOST_CALLERS: Final = 100_000  # some 20 MB
_IPV6_NETWORK_BITS: Final = 64  # one customer has such a network, with any number of addresses


class RateLimit:
    """Counts requests in windows of fixed length.

    While the storage does not answer, requests are served without being counted.

    :param rate: such as ``6000/minute``.
    :param storage_url: ``memory://`` counts in this process, ``redis://…`` in all processes together.
    :param monotonic: seconds, never going back.
    :raises SettingsError: `storage_url` is not supported.
    """

    def __init__(self, rate: str, storage_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate: RateLimitItem = parse(rate)
        self._limiter = FixedWindowRateLimiter(_storage(storage_url, monotonic))
        self._window_s = self._rate.get_expiry()
        self._window_of = lru_cache(maxsize=4096)(self._rate.key_for)
        self._monotonic = monotonic
        self._uncounted_until = float("-inf")

    async def close(self) -> None:
        """Close the connections to the storage; the next request opens new ones."""
        if isinstance(self._limiter.storage, RedisStorage):
            bridge: Any = self._limiter.storage.bridge
            await bridge.get_connection().aclose()

    async def count(self, counted_as: str | None, address: str) -> None:
        """Count a request by the name of the caller (see `Principal.counted_as`), or else by `address`.

        :raises Problem: too many requests.
        """
        if counted_as is None:
            await self._count("address", _network_of(address))
        else:
            await self._count("key", counted_as)

    async def count_address(self, address: str) -> None:
        """Count a request without a valid key; all addresses of an IPv6 network are counted together.

        :raises Problem: too many requests.
        """
        await self._count("address", _network_of(address))

    async def is_used_up(self, address: str) -> bool:
        """Whether the next request without a valid key from `address` would exceed the limit."""
        if self._monotonic() < self._uncounted_until:
            return False
        try:
            return (
                await self._limiter.storage.get(self._window_of("address", _network_of(address))) >= self._rate.amount
            )
        except StorageError:
            self._pause_counting()
            return False

    async def _count(self, kind: str, caller: str) -> None:
        if self._monotonic() < self._uncounted_until:
            return
        try:
            # As the limiter's `hit`, without building the key of the window at every request.
            if await self._limiter.storage.incr(self._window_of(kind, caller), self._window_s) <= self._rate.amount:
                return
            stats = await self._limiter.get_window_stats(self._rate, kind, caller)
        except StorageError:
            self._pause_counting()
            return
        detail = f"The limit of {self._rate} is reached."
        raise Problem(ProblemKind.TOO_MANY_REQUESTS, detail, retry_after_s=max(stats.reset_time - time.time(), 0.0))

    def _pause_counting(self) -> None:
        self._uncounted_until = self._monotonic() + _STORAGE_PAUSE_S
        _log.warning(
            "the storage of API_RATE_LIMIT_STORAGE does not answer; for %g s requests are not counted",
            _STORAGE_PAUSE_S,
        )


@lru_cache(maxsize=1024)
def _network_of(address: str) -> str:
    if ":" in address:
        with suppress(ValueError):
            return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False))
    return address


def _storage(storage_url: str, monotonic: Callable[[], float]) -> Any:
    if storage_url == "memory://":
        return ProcessStorage(monotonic)
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "implementation": "redispy",
        "wrap_exceptions": True,
        "socket_timeout": _STORAGE_TIMEOUT_S,
        "socket_connect_timeout": _STORAGE_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        return storage_from_string(f"async+{storage_url}", **options)
    except Exception as error:  # limits and its drivers raise different exceptions for a wrong URL
        # Only the scheme is shown: the rest may have a password.
        raise SettingsError(
            f"API_RATE_LIMIT_STORAGE begins with {storage_url.partition('://')[0]!r}: "
            "it must be memory:// or redis://host:6379/2",
            "Change the environment variable, or unset it for its default.",
        ) from error


class ProcessStorage(Storage):
    """Windows of fixed length in memory, one for each caller; ended ones are removed.

    :param monotonic: seconds, never going back.
    :param most_callers: the largest number of windows; the oldest are removed first.
    """

    STORAGE_SCHEME = None  # not created from a URL

    def __init__(self, monotonic: Callable[[], float], most_callers: int = _MOST_CALLERS) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._most_callers = most_callers
        # Count and end of each window. All have the same length, so they are in the order of their ends.
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """The exceptions that it may raise: none, but the library needs a type."""
        return OSError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` to the window of `key`, which lasts `expiry` seconds from its first request.

        :returns: the new count.
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
        """The count of the window of `key`."""
        count, end = self._windows.get(key, (0, 0.0))
        return count if end > self._monotonic() else 0

    async def get_expiry(self, key: str) -> float:
        """The end of the window of `key`, in seconds since 1970; now without a window."""
        _, end = self._windows.get(key, (0, 0.0))
        return time.time() + max(0.0, end - self._monotonic())

    async def check(self) -> bool:
        """Always available."""
        return True

    async def reset(self) -> int:
        """Remove all windows; returns their number."""
        forgotten = len(self._windows)
        self._windows.clear()
        return forgotten

    async def clear(self, key: str) -> None:
        """Remove the window of `key`."""
        self._windows.pop(key, None)

    def _forget(self, now: float) -> None:
        """Remove ended windows, and the oldest if there are too many."""
        windows = self._windows
        while windows:
            oldest = next(iter(windows))
            if windows[oldest][1] > now and len(windows) < self._most_callers:
                return
            del windows[oldest]
