"""``GET /metrics``: what Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import falcon

from api.observing.metrics import Metrics, StoreFacts
from core.errors import StoreError
from core.stores.freshness import Standing
from core.stores.holders import Clock
from core.stores.keys import Scope
from core.stores.runs import Run


class MetricsResource:
    """The metrics of all workers, with the state of the store as it is now.

    :param ledger: how what is published now stands, or None, and the latest runs, newest first; asks the store, and
        raises `StoreError` when that does not answer.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(
        self, metrics: Metrics, ledger: Callable[[], tuple[Standing | None, Sequence[Run]]], clock: Clock
    ) -> None:
        self._metrics = metrics
        self._ledger = ledger
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer in OpenMetrics or Prometheus text, as ``Accept`` asks."""
        req.context.principal.require_scope(Scope.OPERATE)
        resp.data, resp.content_type = self._metrics.exposition(req.accept, self._facts())
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    def _facts(self) -> StoreFacts:
        try:
            standing, runs = self._ledger()
        except StoreError:
            return StoreFacts(up=False)
        if standing is None:
            return StoreFacts(up=True, runs=runs)
        published = standing.publication
        age_s = standing.age_s(self._clock())
        return StoreFacts(True, published.generation, published.published_at_ms, age_s, runs)
