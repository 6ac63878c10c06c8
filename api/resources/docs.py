"""``GET /docs``: what the API is, for people."""

from __future__ import annotations

import falcon.asgi

from api.openapi.html import PAGE_TYPE
from api.openapi.kept_pages import KeptPages
from api.threads import ThreadPool


class DocsResource:
    """The OpenAPI document as a page, which holds no data."""

    public = True

    def __init__(self, pool: ThreadPool) -> None:
        self._pages = KeptPages(PAGE_TYPE, _page, pool)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page."""
        await self._pages.send(req, resp, "docs")

    on_head = on_get


def _page(name: str) -> bytes:
    from api.openapi.docs_page import docs_page

    return docs_page()
