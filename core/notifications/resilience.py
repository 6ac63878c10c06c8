"""Keeps a worker running while Redis refuses writes, and when a child process dies while it starts.

Redis refuses writes after a failover (READONLY, UNBLOCKED), on a full disk (MISCONF), or without memory (OOM). By
default such an error ends a Celery worker. With ``broker_channel_error_retry`` it counts as a lost connection; the
consumer here reconnects only when Redis can be written, with growing pauses until then.
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

from core.errors import ClockDiffers
from core.event_log import log_event
from core.notifications.redis_checks import ClockCheck

_WRITTEN: Final = "notifier:writable"
_EXPIRES_S: Final = 60
_CLOCK_EVERY_S: Final = 1.0
_FIRST_PAUSE_S, _LONGER_BY_S, _LONGEST_PAUSE_S = 1.0, 2.0, 15.0


class ResilientConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer, which treats a Redis that refuses writes, or whose clock differs, as a lost connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # These errors must also end the connection when an acknowledgement fails with them. Celery only logs connection
        # errors there: the message would count as still running, and after a few of them no more would be consumed.
        self.channel_errors: tuple[type[Exception], ...] = (
            *self.conninfo.connection_errors,
            *self.conninfo.channel_errors,
        )
        self.connection_errors: tuple[type[Exception], ...] = ()

    def ensure_connected(self, conn: Any) -> Any:
        """`conn`, once it is connected; raises what ends the worker if it is stopped in the meantime."""
        connected = super().ensure_connected(conn)
        # Of timers too: the event loop only logs their other errors.
        connected.connection_errors = self.channel_errors
        client = connected.default_channel.client
        clock = self._clock = ClockCheck(client.time, self.app.conf.notify_clock_limit_s)

        def begin() -> None:
            clock.require()
            client.set(_WRITTEN, 1, ex=_EXPIRES_S)

        retry_over_time(  # type: ignore[no-untyped-call]
            begin,
            (ResponseError, ClockDiffers),
            errback=_log_retry,
            interval_start=_FIRST_PAUSE_S,
            interval_step=_LONGER_BY_S,
            interval_max=_LONGEST_PAUSE_S,
            callback=maybe_shutdown,
        )
        return connected

    def update_strategies(self) -> None:
        """Set how messages are handled. A failed acknowledgement over a closed connection is only logged.

        kombu raises an `AttributeError` then. Redis redelivers the message, and the worker finds it done.
        """
        self.connection_errors = (AttributeError,)
        try:
            super().update_strategies()
        finally:
            self.connection_errors = ()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the lost connection.

        Celery closes it twice. If the first time fails at one channel, the second has no connection for unacknowledged
        messages of another channel, and that `AttributeError` would end the worker. Redis redelivers those messages
        after the lease.
        """
        with suppress(AttributeError):
            super().on_connection_error_after_connected(exc)

    def register_with_event_loop(self, hub: Any) -> None:
        """Also check the clock while messages are consumed."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_CLOCK_EVERY_S, self._check_clock)

    def _check_clock(self) -> None:
        try:
            self._clock.require()
        except ClockDiffers as error:
            raise ConnectionError(error.sentence) from error  # Celery reconnects after it


class ResilientPool(TaskPool):  # type: ignore[misc]
    """Celery's pool of processes, which also replaces a child that dies before the worker is ready."""

    def did_start_ok(self) -> bool:
        """Whether the worker may continue: by default it ends if a child has died."""
        return True


def _log_retry(error: Exception, pauses_s: Iterator[float], _: int) -> float:
    pause_s = next(pauses_s)
    with suppress(OSError, ValueError):
        log_event("worker-waits", "error", error=str(error), again_in_s=pause_s)
    return pause_s
