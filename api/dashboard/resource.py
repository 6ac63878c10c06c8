"""``GET /``, ``/notifications``, ``/sign-in`` and ``/assets/{name}``: the pages of the dashboard and their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import falcon.asgi

from api.dashboard.chart_bundle import CHARTS, ChartBundle
from api.dashboard.encodings import Encoded, encode
from api.http.etag import preferred_encoding
from api.http.security_headers import PAGE_HEADERS
from api.problems import Problem, ProblemKind
from api.threads import ThreadPool

_FOLDER: Final = Path(__file__).parents[1] / "dashboard"
_SUMMARIES: Final = "index.html"
_NOTIFICATIONS: Final = "notifications.html"
_SIGN_IN: Final = "signin.html"
_CHARTS_PLACE: Final = "{charts}"
_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_CONTENT_TYPES: Final = {
    ".html": _HTML,
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
    """The pages and their files, read and encoded once, when this is made.

    A name is looked up among the files read, so that no name leads out of the folder. The pages hold no data: they ask
    the API for it as any client does.
    """

    public = True

    def __init__(self, pool: ThreadPool, charts: ChartBundle = CHARTS) -> None:
        self._pool = pool
        self._charts = charts
        files = {path.name: path for path in sorted(_FOLDER.iterdir()) if path.suffix in _CONTENT_TYPES}
        html = files.pop(_SUMMARIES).read_text(encoding="utf-8").replace(_CHARTS_PLACE, self._charts.name)
        self._summaries = _File(encode(html.encode()), _HTML)
        self._notifications = _File(encode(files.pop(_NOTIFICATIONS).read_bytes()), _HTML)
        self._sign_in = _File(encode(files.pop(_SIGN_IN).read_bytes()), _HTML)
        self._assets = {
            name: _File(encode(path.read_bytes()), _CONTENT_TYPES[path.suffix]) for name, path in files.items()
        }

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of summaries; its chart library is made meanwhile."""
        self._charts.start()
        _send(req, resp, self._summaries, _REVALIDATED)

    async def on_get_notifications(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of notifications."""
        _send(req, resp, self._notifications, _REVALIDATED)

    async def on_get_sign_in(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of a sign-in link."""
        _send(req, resp, self._sign_in, _REVALIDATED)

    async def on_get_asset(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str) -> None:
        """A file of the pages; the chart library, whose name tells its content, may be kept forever."""
        if name == self._charts.name:
            if (charts := self._charts.made) is None:
                charts = await self._pool.run(self._charts.encoded)
            _send(req, resp, _File(charts, _JAVASCRIPT), _FOREVER)
        elif name in self._assets:
            _send(req, resp, self._assets[name], _REVALIDATED)
        else:
            raise Problem(ProblemKind.NOT_FOUND, f"The dashboard has no file {name!r}.")

    on_head = on_get
    on_head_notifications = on_get_notifications
    on_head_sign_in = on_get_sign_in
    on_head_asset = on_get_asset


def _send(req: falcon.asgi.Request, resp: falcon.asgi.Response, file: _File, cache_control: str) -> None:
    encoding = preferred_encoding(req.get_header("Accept-Encoding"))
    etag = falcon.ETag(f"{file.body.digest}-{encoding}")
    resp.set_headers(dict(PAGE_HEADERS))
    resp.set_header("Cache-Control", cache_control)
    resp.set_header("Vary", "Accept-Encoding")
    resp.etag = etag
    if any(known == "*" or known == etag for known in req.if_none_match or ()):
        resp.status = falcon.HTTP_304
        return
    resp.content_type = file.content_type
    resp.data = file.body.bodies[encoding]
    if encoding != "identity":
        resp.set_header("Content-Encoding", encoding)
