"""Logs and metrics of deliveries: each event is logged and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from core.event_log import log_event
from core.instants import Clock
from core.notifications.events import Event
from core.stores.notifications import NotificationStore
from notifier.event_recorder import OpenLog
from notifier.gateway_pauses import Pause
from notifier.metrics import Metrics
from notifier.senders.base import Gateway


class WorkerObserver:
    """`notifier.event_recorder.DeliveryObserver` and `notifier.circuit_breaker.CircuitBreakerObserver` of a worker.

    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    def read_backlog(
        self, store: NotificationStore, queue_length: Callable[[], int], paused: Callable[[], Sequence[Pause]]
    ) -> None:
        """Set the gauges of the backlog; see `Metrics.read_backlog`."""
        self._metrics.read_backlog(store, queue_length, paused, self._clock())

    def happened(self, log: OpenLog, event: Event, *, attempted: bool, parts: int | None) -> None:
        """Count and log it."""
        self._metrics.happened(log, event, attempted=attempted, parts=parts)
        with suppress(OSError, ValueError):  # a broken log pipe must not cause a message to be sent again
            log_event(
                event.kind,
                level="info" if event.error is None else "warning",
                notification_id=log.notification.id,
                channel=log.channel,
                status=log.state.status,
                attempts=log.state.attempts,
                error=event.error,
                reference=event.reference,
                parts=parts,
                again_at_ms=event.until_ms if log.state.due_at_ms else None,
            )

    def paused(self, gateway: Gateway, pause_s: float, *, refused: bool) -> None:
        """Count and log it."""
        self._metrics.paused(gateway, refused=refused)
        with suppress(OSError, ValueError):
            log_event(
                "gateway-paused",
                "warning",
                gateway=str(gateway.whole),
                one_receiver=bool(gateway.receiver),
                pause_s=round(pause_s, 3),
                refused=refused,
            )

    def resumed(self, gateway: Gateway) -> None:
        """Log it."""
        with suppress(OSError, ValueError):
            log_event("gateway-resumed", gateway=str(gateway))
