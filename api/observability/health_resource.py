"""``GET /healthz`` and ``GET /readyz``: whether the process runs, and whether it can serve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import falcon.asgi

from api.auth.principal import Principal
from api.http.json_response import send_document
from api.openapi.bodies import Health, Ready
from api.problems import Problem, ProblemKind
from api.summaries.current_publication import CurrentPublication
from core.errors import StoreError
from core.stores.api_keys import Scope


class HealthResource:
    """Whether the process answers, without the store."""

    public = True

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Always 200."""
        send_document(resp, Health(status="ok"))

    on_head = on_get


class ReadyResource:
    """Whether the store answers and has a publication. The reason is for callers with the scope ``operate`` only.

    :param current: the current snapshot.
    :param is_degraded: whether the summaries are degraded (see `core.stores.condition`); raises `StoreError` if the
        store does not answer.
    """

    public = True

    def __init__(self, current: CurrentPublication, is_degraded: Callable[[], Awaitable[bool]]) -> None:
        self._current = current
        self._is_degraded = is_degraded

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 if summaries can be served, also old ones; else 503."""
        caller: Principal | None = req.context.principal
        may_know = caller is not None and Scope.OPERATE in caller.scopes
        snapshot, degraded = None, False
        try:
            snapshot = await self._current.snapshot(stale_if_error=False)
            degraded = snapshot is not None and await self._is_degraded()
            kind, detail = ProblemKind.NOT_BUILT_YET, "Nothing is published yet."
        except StoreError as error:
            kind, detail = ProblemKind.STORE_UNAVAILABLE, f"{error.sentence}."
        if snapshot is None:
            raise Problem(kind, detail if may_know else "Not ready.", retry_after_s=self._current.freshness_s)
        version = {"version": snapshot.version} if may_know else {}
        send_document(resp, Ready(status="degraded" if degraded else "ready", **version))

    on_head = on_get
