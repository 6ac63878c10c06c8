"""The pages of the dashboard, such as ``GET /`` and ``/notifications``, and their files, ``/assets/{name}``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from api.dashboard.bundle import bundled
from api.http.static_pages import PagesResource, StaticPages
from api.threads import ThreadPool

_FOLDER: Final = Path(__file__).parent
_PAGES: Final = {
    "/": "index.html",
    "/notifications": "notifications.html",
    "/subscriptions": "subscriptions.html",
    "/contacts": "contacts.html",
    "/sign-in": "signin.html",
}
_ABOUT_NOTIFICATIONS: Final = ("notifications", "subscriptions", "contacts")
"""The pages that are one file, in which each finds its name."""
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


def dashboard_resources(pool: ThreadPool) -> dict[str, PagesResource]:
    """The resources of the pages and their files, by route.

    Names are looked up among the files that were read, so none leads out of the folder. The files are what the pages
    load, whose names tell the content and which may be kept forever, and each source by itself, for other pages and for
    debugging.
    """
    files, loaded = _read()
    pages = StaticPages(_content_type, files.__getitem__, pool, cache_control=_REVALIDATED, vary=_VARY)
    kept = StaticPages(_content_type, loaded.__getitem__, pool, cache_control=_FOREVER, vary=_VARY)
    sources = [name for name in files if not name.endswith(".html")]
    assets = PagesResource(dict.fromkeys(sources, pages) | dict.fromkeys(loaded, kept))
    return {path: PagesResource({page: pages}, page) for path, page in _PAGES.items()} | {"/assets/{name}": assets}


@cache
def _read() -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """The pages and sources, and the files that the pages load, both by name."""
    sources = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _CONTENT_TYPES}
    pages, loaded = bundled(sources)
    about = pages["notifications.html"]
    for page in _ABOUT_NOTIFICATIONS:
        pages[f"{page}.html"] = about.replace(b"{page}", page.encode())
    return sources | pages, loaded


def _content_type(name: str) -> str:
    return _CONTENT_TYPES[Path(name).suffix]
