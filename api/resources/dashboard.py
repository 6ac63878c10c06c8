"""``GET /`` and ``GET /assets/{name}``: the dashboard's page and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import falcon

from api.dashboard.bundle import ChartBundle
from api.dashboard.encodings import Encoded, encode
from api.pages import PAGE_HEADERS
from api.problems import Problem, ProblemKind

_FOLDER: Final = Path(__file__).parents[1] / "dashboard"
_PAGE: Final = "index.html"
_CHARTS_PLACE: Final = "{charts}"
_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": _JAVASCRIPT,
    ".svg": "image/svg+xml",
}
_REVALIDATED: Final = "no-cache"
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    body: Encoded
    content_type: str


class DashboardResource:
    """The page and its files, read and encoded once, when this is made.

    A name is looked up among the files read, so that no name leads out of the folder. The page holds no data: it asks
    the API for it as any client does.
    """

    public = True

    def __init__(self, charts: ChartBundle | None = None) -> None:
        self._charts = charts or ChartBundle()
        files = {path.name: path for path in sorted(_FOLDER.iterdir()) if path.suffix in _CONTENT_TYPES}
        page = files.pop(_PAGE)
        html = page.read_text(encoding="utf-8").replace(_CHARTS_PLACE, self._charts.name)
        self._page = _File(encode(html.encode()), _CONTENT_TYPES[page.suffix])
        self._assets = {
            name: _File(encode(path.read_bytes()), _CONTENT_TYPES[path.suffix]) for name, path in files.items()
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The page."""
        _send(req, resp, self._page, _REVALIDATED)

    def on_get_asset(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """A file of the page; the chart library, whose name tells its content, may be kept forever."""
        if name == self._charts.name:
            _send(req, resp, _File(self._charts.encoded(), _JAVASCRIPT), _FOREVER)
        elif name in self._assets:
            _send(req, resp, self._assets[name], _REVALIDATED)
        else:
            raise Problem(ProblemKind.NOT_FOUND, f"The dashboard has no file {name!r}.")

    on_head = on_get
    on_head_asset = on_get_asset


def _send(req: falcon.Request, resp: falcon.Response, file: _File, cache_control: str) -> None:
    body, encoding = file.body.best(req.get_header("Accept-Encoding") or "")
    etag = falcon.ETag(f"{file.body.digest}-{encoding or 'plain'}")
    resp.set_headers(dict(PAGE_HEADERS))
    resp.set_header("Cache-Control", cache_control)
    resp.set_header("Vary", "Accept-Encoding")
    resp.etag = etag
    if any(known == "*" or known == etag for known in req.if_none_match or ()):
        resp.status = falcon.HTTP_304
        return
    resp.content_type = file.content_type
    resp.data = body
    if encoding:
        resp.set_header("Content-Encoding", encoding)
