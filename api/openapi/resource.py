"""``GET /openapi.json``: what the API is, for programs."""

from __future__ import annotations

import falcon.asgi

from api.auth.principal import LOCAL
from api.http.static_pages import KeptPages
from api.threads import ThreadPool

_OPEN, _CLOSED = "open", "closed"


class OpenApiResource:
    """The OpenAPI document: one where the caller needs no key, another for all others."""

    public = True

    def __init__(self, pool: ThreadPool) -> None:
        self._pages = KeptPages(lambda name: falcon.MEDIA_JSON, _document, pool)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The document that is true now."""
        await self._pages.send(req, resp, _OPEN if req.context.principal is LOCAL else _CLOSED)

    on_head = on_get


def _document(name: str) -> bytes:
    import orjson

    from api.openapi.document import describe

    return orjson.dumps(describe(open_to_this_host=name == _OPEN))
