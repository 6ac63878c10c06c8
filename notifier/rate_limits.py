"""The rate limit of each channel, counted in Redis for all workers together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from limits import RateLimitItem, parse
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from core.errors import SettingsError

_STORAGE_TIMEOUT_S: Final = 2.0
_WITHOUT_STORAGE_S: Final = 5.0


class SharedRateLimiter:
    """`notifier.delivery.RateLimiter` over a Redis database.

    :param rates: by channel, such as ``10/second``; a channel without one is not limited.
    :param storage_url: ``redis://…`` or ``memory://``, which counts in this process only; not used without rates.
    :raises SettingsError: `storage_url` is not supported.
    """

    def __init__(self, rates: Mapping[str, str], storage_url: str) -> None:
        self._rates: dict[str, RateLimitItem] = {channel: parse(rate) for channel, rate in rates.items()}
        self._limiter = _limiter(storage_url) if rates else None

    def wait_s(self, channel: str) -> float:
        """0 if a message may be sent now, which is then counted; else the seconds until one may.

        While Redis does not answer, nothing is sent over a limited channel: the limit may protect a budget.
        """
        rate = self._rates.get(channel)
        if rate is None or self._limiter is None:
            return 0.0
        try:
            if self._limiter.hit(rate, "channel", channel):
                return 0.0
            reset_s = self._limiter.get_window_stats(rate, "channel", channel).reset_time - time.time()
        except StorageError:
            return _WITHOUT_STORAGE_S
        return max(reset_s, 0.001)


def _limiter(storage_url: str) -> FixedWindowRateLimiter:
    timeouts = {}
    if storage_url.startswith(("redis://", "rediss://")):
        timeouts = {"socket_timeout": _STORAGE_TIMEOUT_S, "socket_connect_timeout": _STORAGE_TIMEOUT_S}
    try:
        storage = storage_from_string(storage_url, wrap_exceptions=True, **timeouts)
    except (ConfigurationError, ValueError):
        raise SettingsError(
            "CELERY_RESULT_BACKEND cannot store the counts of NOTIFY_RATE_LIMITS; it must be a Redis such as "
            "redis://127.0.0.1:6379/1",
            "Change the environment variable, or unset NOTIFY_RATE_LIMITS.",
        ) from None
    # Not a sliding window: gateways allow a number of messages per second, and a fixed window takes one command.
    return FixedWindowRateLimiter(storage)
