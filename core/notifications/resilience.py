"""What keeps a worker running while Redis refuses to be written, and when a child dies as soon as it is born.

Redis answers, and refuses, after a failover (READONLY, UNBLOCKED), on a full disk (MISCONF), or without memory (OOM). To
Celery such an answer is a defect that ends the worker. With ``broker_channel_error_retry`` it is a lost connection; the
consumer here is connected again only when Redis can be written, with longer and longer pauses until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from celery.concurrency.prefork import TaskPool
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.utils.functional import retry_over_time
from redis.exceptions import ResponseError

from core.event_log import log_event

_WRITTEN: Final = "notifier:writable"
_EXPIRES_S: Final = 60
_FIRST_PAUSE_S, _LONGER_BY_S, _LONGEST_PAUSE_S = 1.0, 2.0, 15.0


class ResilientConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer of messages, for which a Redis that cannot be written is not connected yet."""

    def ensure_connected(self, conn: Any) -> Any:
        """`conn`, once it is connected; raises what ends the worker when it is asked to stop meanwhile."""
        connected = super().ensure_connected(conn)
        retry_over_time(
            lambda: connected.default_channel.client.set(_WRITTEN, 1, ex=_EXPIRES_S),
            ResponseError,
            errback=_tell,
            interval_start=_FIRST_PAUSE_S,
            interval_step=_LONGER_BY_S,
            interval_max=_LONGEST_PAUSE_S,
            callback=maybe_shutdown,
        )
        return connected


class ResilientPool(TaskPool):  # type: ignore[misc]
    """Celery's pool of processes. A child that is gone before the worker is ready is replaced, as any later one is."""

    def did_start_ok(self) -> bool:
        """Whether the worker may go on: Celery asks whether no child has died, and ends where one has."""
        return True


def _tell(error: Exception, pauses_s: Iterator[float], _: int) -> float:
    pause_s = next(pauses_s)
    with suppress(OSError, ValueError):
        log_event("broker-refuses", "error", error=str(error), again_in_s=pause_s)
    return pause_s
