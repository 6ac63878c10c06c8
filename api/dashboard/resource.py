"""The pages of the dashboard, such as ``GET /`` and ``/notifications``, and their files, ``/assets/{name}``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import falcon.asgi

from api.dashboard.bundle import bundled
from api.http.static_pages import StaticPages
from api.problems import Problem, ProblemKind
from api.threads import ThreadPool

_FOLDER: Final = Path(__file__).parent
_SUMMARIES: Final = "index.html"
_NOTIFICATIONS: Final = "notifications.html"
_ABOUT_NOTIFICATIONS: Final = ("notifications", "subscriptions", "contacts")
"""The pages that are one file, in which each finds its name."""
_PAGE_PLACE: Final = "{page}"
_SIGN_IN: Final = "signin.html"
_CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_REVALIDATED: Final = "no-cache"
_FOREVER: Final = "public, max-age=31536000, immutable"
_VARY: Final = "Accept-Encoding"


class DashboardResource:
    """The pages and their files, read when the first of these is made.

    A name is looked up among the files read, so that no name leads out of the folder. The pages hold no data: they ask
    the API for it as any client does.
    """

    public = True

    def __init__(self, pool: ThreadPool) -> None:
        self._files, self._loaded = _read()
        self._pages = StaticPages(_content_type, self._files.__getitem__, pool, cache_control=_REVALIDATED, vary=_VARY)
        self._kept = StaticPages(_content_type, self._loaded.__getitem__, pool, cache_control=_FOREVER, vary=_VARY)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of summaries."""
        await self._pages.send(req, resp, _SUMMARIES)

    async def on_get_notifications(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of notifications."""
        await self._pages.send(req, resp, _NOTIFICATIONS)

    async def on_get_subscriptions(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of subscriptions."""
        await self._pages.send(req, resp, "subscriptions.html")

    async def on_get_contacts(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of contacts."""
        await self._pages.send(req, resp, "contacts.html")

    async def on_get_sign_in(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page of a sign-in link."""
        await self._pages.send(req, resp, _SIGN_IN)

    async def on_get_asset(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str) -> None:
        """A file of the pages; what they load, whose names tell the content, may be kept forever.

        Also each source by itself, for other pages and for debugging.
        """
        if name in self._loaded:
            await self._kept.send(req, resp, name)
        elif name in self._files and not name.endswith(".html"):
            await self._pages.send(req, resp, name)
        else:
            raise Problem(ProblemKind.NOT_FOUND, f"The dashboard has no file {name!r}.")

    on_head = on_get
    on_head_notifications = on_get_notifications
    on_head_subscriptions = on_get_subscriptions
    on_head_contacts = on_get_contacts
    on_head_sign_in = on_get_sign_in
    on_head_asset = on_get_asset


@cache
def _read() -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """The pages and sources, and the files that the pages load, both by name."""
    sources = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _CONTENT_TYPES}
    pages, loaded = bundled(sources)
    about = pages[_NOTIFICATIONS]
    for page in _ABOUT_NOTIFICATIONS:
        pages[f"{page}.html"] = about.replace(_PAGE_PLACE.encode(), page.encode())
    return sources | pages, loaded


def _content_type(name: str) -> str:
    return _CONTENT_TYPES[Path(name).suffix]
