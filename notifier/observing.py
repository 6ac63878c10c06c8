"""What is told of every attempt: a line in the log, and the numbers that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from core.notifications.events import Event
from core.stores.holders import Clock
from core.stores.notifications import NotificationStore
from notifier.log import log_event
from notifier.metrics import Metrics
from notifier.recording import OpenLog


class TaskWatch:
    """`notifier.recording.Watch` of a worker.

    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    def look(self, store: NotificationStore, queue_length: Callable[[], int]) -> None:
        """Tell what is to be done; see `Metrics.look`."""
        self._metrics.look(store, queue_length, self._clock())

    def happened(self, log: OpenLog, event: Event, *, attempted: bool) -> None:
        """Count and log it."""
        self._metrics.happened(log, event, attempted=attempted)
        with suppress(OSError, ValueError):  # whoever reads the log may have gone: nothing is sent again for that
            log_event(
                event.kind,
                level="info" if event.error is None else "warning",
                notification_id=log.notification.id,
                channel=log.channel,
                status=log.state.status,
                attempts=log.state.attempts,
                error=event.error,
                reference=event.reference,
                again_at_ms=event.until_ms if log.state.due_at_ms else None,
            )
