"""``GET /openapi.json``, ``/docs`` and ``/assets/docs/{file}``: the document, and Swagger UI over it with its files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import falcon.asgi

from api.auth.principal import LOCAL
from api.http.static_pages import PagesResource, StaticPages
from api.openapi.problem_pages import framed
from api.threads import ThreadPool

_OPEN: Final = "open"
_CLOSED: Final = "closed"
_FOLDER: Final = Path(__file__).parent / "page"
_PAGE: Final = "docs.html"
_HEAD: Final = """\
  <link rel="stylesheet" href="/assets/docs/swagger-ui.css">
  <script defer src="/assets/docs/swagger-ui-bundle.js"></script>
  <script defer src="/assets/docs/docs.js"></script>"""
_MAIN: Final = """\
  <main>
    <p><a href="/openapi.json">openapi.json</a></p>
    <div id="docs"></div>
  </main>
  <noscript><p>This page needs JavaScript. Without it, read <a href="/openapi.json">openapi.json</a>.</p></noscript>"""
_TYPES: Final = {
    "docs.html": "text/html; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}
"""The page and its files; those of Swagger UI come out of the package swagger-ui-bundle-v2."""


class OpenApiResource:
    """The OpenAPI document: one for callers that need no key, another for all others."""

    public = True

    def __init__(self, pool: ThreadPool) -> None:
        self._pages = StaticPages(lambda name: falcon.MEDIA_JSON, _document, pool)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The document for this caller."""
        await self._pages.send(req, resp, _OPEN if req.context.principal is LOCAL else _CLOSED)

    on_head = on_get


def _document(name: str) -> bytes:
    import orjson

    from api.openapi.document import describe

    return orjson.dumps(describe(open_to_this_host=name == _OPEN))


def docs_resources(pool: ThreadPool) -> dict[str, PagesResource]:
    """Swagger UI, which loads `/openapi.json`, and its files, by route. All of them are on this server."""
    pages = StaticPages(_TYPES.__getitem__, _read, pool)
    files = {name: pages for name in _TYPES if name != _PAGE}
    return {"/docs": PagesResource({_PAGE: pages}, _PAGE), "/assets/docs/{file}": PagesResource(files)}


def _read(name: str) -> bytes:
    from swagger_ui_bundle import swagger_ui_path

    if name == _PAGE:
        return framed("Transaction summaries: API", _HEAD, _MAIN, link=' aria-current="page"')
    own = _FOLDER / name
    return (own if own.exists() else Path(swagger_ui_path) / name).read_bytes()
