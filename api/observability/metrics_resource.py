"""``GET /metrics``: the metrics for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import falcon.asgi

from api.observability.metrics import Metrics, StoreFacts
from api.threads import SingleFlight
from core.errors import StoreError
from core.instants import Clock
from core.stores.api_keys import Scope
from core.stores.condition import Condition

_WAIT_S: Final = 0.5
_FIRST_WAIT_S: Final = 3.0


class MetricsResource:
    """The metrics of all workers, with the state of the store, now or when it last answered in time.

    :param condition: reads the condition of the summaries; raises `StoreError` if the store does not answer.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, metrics: Metrics, condition: Callable[[], Awaitable[Condition]], clock: Clock) -> None:
        self._metrics = metrics
        self._condition = condition
        self._clock = clock
        self._pending: SingleFlight[StoreFacts] = SingleFlight()
        self._known: StoreFacts | None = None

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Respond with OpenMetrics or Prometheus text, as in ``Accept``."""
        req.context.principal.require_scope(Scope.OPERATE)
        pending = self._pending.begin(None, self._facts)
        await asyncio.wait([pending], timeout=_FIRST_WAIT_S if self._known is None else _WAIT_S)
        facts = self._known or StoreFacts(None)
        self._metrics.flush()
        # Not in the threads for the store, which may be slow.
        resp.data, resp.content_type = await asyncio.to_thread(self._metrics.exposition, req.accept, facts)
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    async def _facts(self) -> StoreFacts:
        facts = self._known = await self._facts_now()
        return facts

    async def _facts_now(self) -> StoreFacts:
        try:
            return StoreFacts(await self._condition(), self._clock())
        except StoreError:
            return StoreFacts(None)
