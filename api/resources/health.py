"""``GET /healthz`` and ``GET /readyz``: whether the process runs, and whether it can serve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import falcon.asgi

from api.access.principal import Principal
from api.problems import Problem, ProblemKind
from api.reading.in_force import InForce
from core.errors import StoreError
from core.stores.keys import Scope


class HealthResource:
    """The process answers. It says nothing about the store."""

    public = True

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Always 200."""
        resp.set_header("Cache-Control", "no-store")
        resp.media = {"status": "ok"}

    on_head = on_get


class ReadyResource:
    """The store answers, and something is published. Anyone may ask whether; why not is for the scope ``operate``.

    :param in_force: what is published.
    :param is_stale: whether that is older than allowed; may ask the store, and raises `StoreError` when that does not
        answer.
    """

    public = True

    def __init__(self, in_force: InForce, is_stale: Callable[[], Awaitable[bool]]) -> None:
        self._in_force = in_force
        self._is_stale = is_stale

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 when summaries can be served, also old ones, which are still better than none; else 503."""
        resp.set_header("Cache-Control", "no-store")
        caller: Principal | None = req.context.principal
        may_know = caller is not None and Scope.OPERATE in caller.scopes
        published, status = None, "ready"
        try:
            published = await self._in_force.published()
            if published is not None and await self._is_stale():
                status = "degraded"
            kind, detail = ProblemKind.NOT_BUILT_YET, "Nothing was published yet."
        except StoreError as error:
            kind, detail = ProblemKind.STORE_UNAVAILABLE, f"{error.sentence}."
        if published is None:
            raise Problem(kind, detail if may_know else "Not ready.", retry_after_s=self._in_force.freshness_s)
        resp.media = {"status": status} | ({"version": published.version} if may_know else {})

    on_head = on_get
