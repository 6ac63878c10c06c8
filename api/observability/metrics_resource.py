"""``GET /metrics``: the metrics for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import falcon.asgi

from api.observability.metrics import Metrics, StoreFacts
from api.problems import Problem
from api.store_access import StoreAccess
from api.threads import SingleFlight, ThreadPool
from core.errors import StoreError
from core.instants import Clock
from core.stores.api_keys import Scope
from core.stores.condition import Condition

_FIRST_WAIT_S: Final = 3.0


class MetricsResource:
    """The metrics of all workers, with the state of the store, now or when it last answered.

    :param condition: reads the condition of the summaries; raises `StoreError` if the store does not answer, and
        `Problem` if it cannot be asked because too many requests wait for it.
    :param access: knows whether the store answers.
    :param pool: its threads make the text, and never wait for the store.
    :param clock: milliseconds since 1970 UTC.
    :param monotonic: seconds, never going back.
    :param timeout_s: a store that has not answered after this is down.
    """

    def __init__(
        self,
        metrics: Metrics,
        condition: Callable[[], Awaitable[Condition]],
        access: StoreAccess,
        pool: ThreadPool,
        clock: Clock,
        monotonic: Callable[[], float],
        *,
        timeout_s: float,
    ) -> None:
        self._metrics = metrics
        self._condition = condition
        self._access = access
        self._pool = pool
        self._clock = clock
        self._monotonic = monotonic
        self._timeout_s = timeout_s
        self._reading: SingleFlight[None] = SingleFlight()
        self._asked_at = 0.0
        self._known: StoreFacts | None = None

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Respond with OpenMetrics or Prometheus text, as in ``Accept``."""
        req.context.principal.require_scope(Scope.OPERATE)
        reading = self._reading.begin(None, self._read)
        if self._known is None:
            await asyncio.wait([reading], timeout=_FIRST_WAIT_S)
        elif not await self._access.answered(reading) and self._monotonic() >= self._asked_at + self._timeout_s:
            self._known = StoreFacts(None)
        facts = self._known = self._known or StoreFacts(None)
        self._metrics.flush()
        resp.data, resp.content_type = await self._pool.run(self._metrics.exposition, req.accept, facts)
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    async def _read(self) -> None:
        self._asked_at = self._monotonic()
        try:
            self._known = StoreFacts(await self._condition(), self._clock())
        except (StoreError, Problem):
            self._known = StoreFacts(None)
