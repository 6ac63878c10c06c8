"""The metrics for Prometheus: requests, latencies, the cache, the age of the summaries, and the last run.

Under gunicorn (``PROMETHEUS_MULTIPROC_DIR`` is set, see `core.metric_files`) every worker writes its numbers
to files of its own, and whichever worker is scraped adds all of them up.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from falcon.constants import COMBINED_METHODS
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.observability.store_metrics import store_metrics
from core.stores.condition import Condition

UNMATCHED: Final = "unmatched"
"""The route of requests that match no route: one value, so that invented paths create no new series."""

_PREFIX: Final = "transaction_summary"
_BUCKETS_S: Final = (.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)  # fmt: skip
_METHODS: Final = frozenset(COMBINED_METHODS)
_CACHE_RESULTS: Final = ("hit", "miss", "not-modified")
_FLUSH_AFTER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the store says at the time of a scrape.

    :param condition: that of the summaries, or None when the store does not answer.
    :param now_ms: the time of the scrape, milliseconds since 1970 UTC.
    """

    condition: Condition | None
    now_ms: int = 0


def _on_the_event_loop(flush: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(_FLUSH_AFTER_S, flush)


class Metrics:
    """The counters of one process; separate from any other instance, unless both write files for all workers.

    :param flush_soon: calls `flush` after a moment.
    """

    def __init__(self, flush_soon: Callable[[Callable[[], None]], object] = _on_the_event_loop) -> None:
        # prometheus_client uses the same variable to choose between memory and files when it is imported.
        self._workers = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._registry = CollectorRegistry(auto_describe=False)
        registry = None if self._workers else self._registry
        self._requests = Counter(
            f"{_PREFIX}_http_requests", "HTTP responses sent.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            f"{_PREFIX}_http_request_duration_seconds",
            "Seconds from the arrival of a request to its response.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._cache = Counter(
            f"{_PREFIX}_cache_requests",
            "Cache lookups by result: hit, miss, not-modified.",
            ["result"],
            registry=registry,
        )
        self._in_progress = Gauge(
            f"{_PREFIX}_http_requests_in_progress",
            "HTTP requests in progress.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        for result in _CACHE_RESULTS:  # so that all series exist from the first scrape
            self._cache.labels(result)
        # Counted here and added to the library's counters from time to time, because those lock and write to a file.
        self._counted: dict[tuple[str, str, int, str | None], int] = {}
        self._latencies: dict[str, list[float]] = {}  # by route: the count of each bucket, and the sum
        self._began = self._ended = 0
        self._flush_soon = flush_soon
        self._is_flushing = False

    def request_began(self) -> None:
        """Count a request that begins; `request_ended` must follow."""
        self._began += 1
        if not self._is_flushing:
            self._is_flushing = True
            self._flush_soon(self.flush)

    def request_ended(self, route: str, method: str, status: int, duration_s: float, cache: str | None) -> None:
        """Count an answered request.

        :param route: the template of its route, or `UNMATCHED`.
        :param status: the HTTP status.
        :param cache: ``hit``, ``miss``, ``not-modified``, or None without a cache.
        """
        self._ended += 1
        counted = route, method, status, cache
        self._counted[counted] = self._counted.get(counted, 0) + 1
        latencies = self._latencies.get(route)
        if latencies is None:
            latencies = self._latencies[route] = [0.0] * (len(_BUCKETS_S) + 2)
        latencies[bisect_left(_BUCKETS_S, duration_s)] += 1
        latencies[-1] += duration_s
        if not self._is_flushing:
            self._is_flushing = True
            self._flush_soon(self.flush)

    def flush(self) -> None:
        """Add the counts since the last time to the library's counters; on the event loop."""
        self._is_flushing = False
        counted, self._counted = self._counted, {}
        latencies, self._latencies = self._latencies, {}
        self._in_progress.inc(self._began - self._ended)
        self._began = self._ended = 0
        for (route, method, status, cache), count in counted.items():
            self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc(count)
            if cache in _CACHE_RESULTS:
                self._cache.labels(cache).inc(count)
        for route, (*counts, sum_s) in latencies.items():
            seconds: Any = self._seconds.labels(route)
            # As `observe`, for many requests at once, for which the library has no function.
            seconds._sum.inc(sum_s)
            for bucket, observed in zip(seconds._buckets, counts, strict=True):
                if observed:
                    bucket.inc(observed)

    def exposition(self, accept: str, store: StoreFacts) -> tuple[bytes, str]:
        """The metrics of all workers, as of the last `flush`, and of the store. Blocks.

        :param accept: the header ``Accept`` of the scrape.
        :returns: the body and its content type: OpenMetrics if `accept` has it, else Prometheus text 0.0.4.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except ValueError:  # an invalid version
            encode, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
        return encode(_Together(self._requests_of_all(), store)), content_type

    def _requests_of_all(self) -> Collector:
        return MultiProcessCollector(None) if self._workers else self._registry  # type: ignore[no-untyped-call]


class _Together(Collector):
    """The metrics of requests, then those of the store."""

    def __init__(self, requests: Collector, store: StoreFacts) -> None:
        self._requests = requests
        self._store = store

    def collect(self) -> Iterator[Metric]:
        yield from self._requests.collect()
        yield from store_metrics(self._store.condition, self._store.now_ms)
