"""``GET /metrics``: what Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable

import falcon

from api.observing.metrics import Metrics, StoreFacts
from core.errors import StoreError
from core.stores.holders import Clock
from core.stores.keys import Scope
from core.stores.summaries import Publication


class MetricsResource:
    """The metrics of all workers, with the state of the store as it is now.

    :param published: what is published now, or None; asks the store, and raises `StoreError` when that does not answer.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, metrics: Metrics, published: Callable[[], Publication | None], clock: Clock) -> None:
        self._metrics = metrics
        self._published = published
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer in OpenMetrics or Prometheus text, as ``Accept`` asks."""
        req.context.principal.require_scope(Scope.OPERATE)
        resp.data, resp.content_type = self._metrics.exposition(req.accept, self._facts())
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    def _facts(self) -> StoreFacts:
        try:
            published = self._published()
        except StoreError:
            return StoreFacts(up=False)
        if published is None:
            return StoreFacts(up=True)
        age_s = max(0, self._clock() - published.published_at_ms) / 1000
        return StoreFacts(True, published.generation, published.published_at_ms, age_s)
