"""Logs and metrics of a worker: its deliveries, the pauses of gateways, and the backlog.

With ``NOTIFY_METRICS_PORT`` every process of the worker writes its numbers to files (`core.metric_files`), which
the main process adds up at each scrape. The process of the last sweep sets the backlog.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from core.event_log import log_event
from core.instants import Clock
from core.notifications.events import Event, EventKind, LogStatus
from core.stores.notifications import NotificationStore
from notifier.circuit_breaker import BreakerStatesUnavailable
from notifier.event_recorder import OpenLog
from notifier.gateway_pauses import Pause
from notifier.senders.base import Gateway

_PREFIX: Final = "transaction_summary_notifier"
_SEND_BUCKETS_S: Final = (.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)  # fmt: skip
_DELIVERY_BUCKETS_S: Final = (.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)  # fmt: skip
_READ_AGAIN_S: Final = 5.0


class WorkerObserver:
    """`notifier.event_recorder.DeliveryObserver` and `notifier.circuit_breaker.CircuitBreakerObserver` of a process.

    :param channels: the channels of the settings.
    """

    def __init__(self, channels: Iterable[str], clock: Clock, registry: CollectorRegistry | None = None) -> None:
        self._channels = frozenset(channels)
        self._clock = clock
        self._read_at = float("-inf")

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"{_PREFIX}_{name}", text, ["channel"], buckets=buckets, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", text, labels, registry=registry, multiprocess_mode="mostrecent")

        self._events = counter(
            "events", "Events of messages, by kind: " + ", ".join(EventKind) + ".", "channel", "kind"
        )
        self._sending = histogram(
            "attempt_duration_seconds", "Duration of an attempt to send, in seconds.", _SEND_BUCKETS_S
        )
        self._delivering = histogram(
            "delivery_duration_seconds",
            "Seconds from the creation of a message to its success; printed messages are not included.",
            _DELIVERY_BUCKETS_S,
        )
        self._parts = counter(
            "sms_parts",
            "SMS parts of accepted messages, which are paid for. A long text has several parts.",
            "channel",
        )
        self._pauses = counter(
            "gateway_pauses",
            "Pauses of gateways that did not respond (silent) or rejected all messages (refused).",
            "channel",
            "cause",
        )
        self._paused = gauge(
            "paused_gateways",
            "Gateways that reject all messages, and are paused for all workers or being probed.",
            "channel",
        )
        self._refused = gauge(
            "gateway_refused_seconds",
            "Seconds for which a gateway has rejected all messages, until now or the end of its last pause; 0 if it "
            "has accepted one since. scope: channel, or host for the webhook host with the longest time.",
            "channel",
            "scope",
        )
        self._logs = gauge("messages", "Stored messages, by channel and status.", "channel", "status")
        self._due = gauge("due_notifications", "Notifications with a message that is due, queued or not.")
        self._oldest = gauge(
            "oldest_due_age_seconds", "Seconds for which the oldest due message has been due; 0 if none is due."
        )
        self._queued = gauge("queue_length", "Notifications in the queue of the broker.")
        self._swept = gauge(
            "last_look_timestamp_seconds", "When the last sweep read messages, age and queue, seconds since 1970."
        )
        # All start at 0: Prometheus would see no increase in a series that begins with its first event.
        for channel in self._channels:
            for by_channel in (self._sending, self._delivering, self._parts):
                by_channel.labels(channel)
            for cause in ("silent", "refused"):
                self._pauses.labels(channel, cause)
            for kind in EventKind:
                self._events.labels(channel, kind.value)

    def happened(self, log: OpenLog, event: Event, *, attempted: bool, parts: int | None) -> None:
        self._events.labels(log.channel, event.kind.value).inc()
        began_at_ms = log.state.last_attempt_at_ms
        if attempted and began_at_ms is not None:
            self._sending.labels(log.channel).observe(max(event.at_ms - began_at_ms, 0) / 1000)
        if event.kind is EventKind.SUCCESS:
            waited_ms = event.at_ms - log.notification.created_at_ms
            self._delivering.labels(log.channel).observe(max(waited_ms, 0) / 1000)
            self._parts.labels(log.channel).inc(parts or 0)
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
        self._pauses.labels(gateway.channel, "refused" if refused else "silent").inc()
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
        with suppress(OSError, ValueError):
            log_event("gateway-resumed", gateway=str(gateway))

    def read_backlog(
        self, store: NotificationStore, queue_length: Callable[[], int], paused: Callable[[], Sequence[Pause]]
    ) -> None:
        """Set the gauges of the backlog, at most every few seconds: other processes do it too.

        :param paused: the gateways that are paused for all workers.
        :raises StoreUnavailable: the store does not answer.
        """
        now_s = time.monotonic()
        if now_s - self._read_at < _READ_AGAIN_S:
            return
        self._read_at, now_ms = now_s, self._clock()
        counts = {(found.channel, found.status): found.count for found in store.counts()}
        for channel in self._channels.union(channel for channel, _ in counts):
            for status in LogStatus:
                self._logs.labels(channel, status.value).set(counts.get((channel, status), 0))
        self._due.set(store.due_count(now_ms))
        oldest_ms = store.oldest_due_ms(now_ms)
        self._oldest.set(0 if oldest_ms is None else (now_ms - oldest_ms) / 1000)
        with suppress(BreakerStatesUnavailable):
            whole = [pause for pause in paused() if not pause.gateway.receiver]
            counts_paused = Counts(pause.gateway.channel for pause in whole if not pause.is_over)
            for channel in self._channels.union(pause.gateway.channel for pause in whole):
                self._paused.labels(channel).set(counts_paused[channel])
                for scope, of_host in (("channel", False), ("host", True)):
                    refused_s = (
                        pause.refused_s
                        for pause in whole
                        if pause.gateway.channel == channel and bool(pause.gateway.host) is of_host
                    )
                    self._refused.labels(channel, scope).set(max(refused_s, default=0.0))
        self._queued.set(queue_length())
        self._swept.set(now_ms / 1000)


def serve(host: str, port: int) -> None:
    """Serve the metrics of all processes of this worker on `host` and `port`, in a thread.

    :raises OSError: the port is in use, or `host` is no address of this machine.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    start_http_server(port, addr=host, registry=registry)
