"""The metrics of a worker for Prometheus: outcomes of messages, their latency, and the backlog.

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


class Metrics:
    """The metrics of one process.

    :param channels: the channels of the settings.
    """

    def __init__(self, channels: Iterable[str], registry: CollectorRegistry | None = None) -> None:
        self._channels = frozenset(channels)
        self._read_at = float("-inf")
        self._events = Counter(
            f"{_PREFIX}_events",
            "What happened to messages: " + ", ".join(EventKind) + ".",
            ["channel", "kind"],
            registry=registry,
        )
        self._sending = Histogram(
            f"{_PREFIX}_attempt_duration_seconds",
            "Seconds from the beginning of an attempt to its outcome.",
            ["channel"],
            buckets=_SEND_BUCKETS_S,
            registry=registry,
        )
        self._delivering = Histogram(
            f"{_PREFIX}_delivery_duration_seconds",
            "Seconds from the creation of a message to its success, which one that was only printed never has.",
            ["channel"],
            buckets=_DELIVERY_BUCKETS_S,
            registry=registry,
        )
        self._parts = Counter(
            f"{_PREFIX}_sms_parts",
            "Short messages that were paid for: a long text is several. Of those whose gateway said that it took them.",
            ["channel"],
            registry=registry,
        )
        self._pauses = Counter(
            f"{_PREFIX}_gateway_pauses",
            "How often a gateway was paused: it gave no answer (silent), or refused all messages (refused).",
            ["channel", "cause"],
            registry=registry,
        )
        self._paused = Gauge(
            f"{_PREFIX}_paused_gateways",
            "Gateways that refuse all messages, and are paused for all workers or probed by one.",
            ["channel"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._refused = Gauge(
            f"{_PREFIX}_gateway_refused_seconds",
            "Seconds for which a gateway has refused all messages, until now or the end of its last pause; 0 when one "
            "was taken since. scope: the channel's gateway, or of the hosts of URLs the one that has refused longest.",
            ["channel", "scope"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._logs = Gauge(
            f"{_PREFIX}_messages",
            "Messages there are, by channel and status.",
            ["channel", "status"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._due = Gauge(
            f"{_PREFIX}_due_notifications",
            "Notifications of which something is due, whether or not they are queued.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._oldest = Gauge(
            f"{_PREFIX}_oldest_due_age_seconds",
            "Seconds since the longest waiting message has been due; 0 when none is.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._queued = Gauge(
            f"{_PREFIX}_queue_length",
            "Notifications in the queue of the broker.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._swept = Gauge(
            f"{_PREFIX}_last_look_timestamp_seconds",
            "When messages, age and queue were last read, seconds since 1970.",
            registry=registry,
            multiprocess_mode="mostrecent",
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
        """Count `event`; see `notifier.event_recorder.DeliveryObserver`."""
        self._events.labels(log.channel, event.kind.value).inc()
        began_at_ms = log.state.last_attempt_at_ms
        if attempted and began_at_ms is not None:
            self._sending.labels(log.channel).observe(max(event.at_ms - began_at_ms, 0) / 1000)
        if event.kind is EventKind.SUCCESS:
            waited_ms = event.at_ms - log.notification.created_at_ms
            self._delivering.labels(log.channel).observe(max(waited_ms, 0) / 1000)
            self._parts.labels(log.channel).inc(parts or 0)

    def paused(self, gateway: Gateway, *, refused: bool) -> None:
        """Count that `gateway` is paused."""
        self._pauses.labels(gateway.channel, "refused" if refused else "silent").inc()

    def read_backlog(
        self,
        store: NotificationStore,
        queue_length: Callable[[], int],
        paused: Callable[[], Sequence[Pause]],
        now_ms: int,
    ) -> None:
        """Set the gauges of the backlog, at most every few seconds: other processes do it too.

        :param paused: the gateways that are paused for all workers.
        :raises StoreUnavailable: the store does not answer.
        """
        now_s = time.monotonic()
        if now_s - self._read_at < _READ_AGAIN_S:
            return
        self._read_at = now_s
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
