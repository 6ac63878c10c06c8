"""What keeps a worker running while Redis refuses to be written, and when a child dies as soon as it is born.

Redis answers, and refuses, after a failover (READONLY, UNBLOCKED), on a full disk (MISCONF), or without memory (OOM).
To Celery such an answer is a defect that ends the worker. With ``broker_channel_error_retry`` it is a lost connection;
the consumer here is connected again only when Redis can be written, with longer and longer pauses until then.
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
from core.notifications.redis_checks import ClockCheck, time_of

_WRITTEN: Final = "notifier:writable"
_EXPIRES_S: Final = 60
_CLOCK_EVERY_S: Final = 1.0
_FIRST_PAUSE_S, _LONGER_BY_S, _LONGEST_PAUSE_S = 1.0, 2.0, 15.0


class ResilientConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer of messages, for which a Redis that cannot be written, or has another time, is lost."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What ends a connection when an acknowledgement fails with it, too: those errors that are called the
        # connection's are only logged then, the message counts as one that is being worked at, and after some of
        # them no more are taken.
        self.channel_errors: tuple[type[Exception], ...] = (
            *self.conninfo.connection_errors,
            *self.conninfo.channel_errors,
        )
        self.connection_errors: tuple[type[Exception], ...] = ()

    def ensure_connected(self, conn: Any) -> Any:
        """`conn`, once it is connected; raises what ends the worker when it is asked to stop meanwhile."""
        connected = super().ensure_connected(conn)
        client = connected.default_channel.client
        clock = self._clock = ClockCheck(time_of(connected), self.app.conf.notify_clock_limit_s)

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
        """Make what takes messages. An acknowledgement over a connection that is closed by now is only logged.

        kombu raises an `AttributeError` then. Redis gives the message to a worker again, which finds it done.
        """
        self.connection_errors = (AttributeError,)
        try:
            super().update_strategies()
        finally:
            self.connection_errors = ()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Give up the lost connection.

        Celery closes it twice. Where the first time fails at one channel, the second has no connection any more for the
        messages of another that are not acknowledged, and that `AttributeError` would end the worker. Redis gives those
        messages to a worker again after the lease.
        """
        with suppress(AttributeError):
            super().on_connection_error_after_connected(exc)

    def register_with_event_loop(self, hub: Any) -> None:
        """Look at the clock, too, while messages are taken."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_CLOCK_EVERY_S, self._check_clock)

    def _check_clock(self) -> None:
        try:
            self._clock.require()
        except ClockDiffers as error:
            raise ConnectionError(error.sentence) from error  # the error after which the connection is made again


class ResilientPool(TaskPool):  # type: ignore[misc]
    """Celery's pool of processes. A child that is gone before the worker is ready is replaced, as any later one is."""

    def did_start_ok(self) -> bool:
        """Whether the worker may go on: Celery asks whether no child has died, and ends where one has."""
        return True


def _log_retry(error: Exception, pauses_s: Iterator[float], _: int) -> float:
    pause_s = next(pauses_s)
    with suppress(OSError, ValueError):
        log_event("worker-waits", "error", error=str(error), again_in_s=pause_s)
    return pause_s
