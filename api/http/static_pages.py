"""Pages that do not change while a process runs, made at the first request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import falcon.asgi
from cachetools import LRUCache

from api.http.etag import BY_CALLER, REVALIDATED, CacheableResponse, Preference, etag_of, preference_in
from api.problems import Problem, ProblemKind
from api.threads import SingleFlight, ThreadPool

_MOST: Final = 256


class StaticPages:
    """Pages by name, cached in every requested encoding.

    :param content_type: returns the content type of a page.
    :param make: returns the body of a page; called once for each, in a thread of `pool`.
    :param cache_control: the header Cache-Control of all pages; likewise `vary`.
    """

    def __init__(
        self,
        content_type: Callable[[str], str],
        make: Callable[[str], bytes],
        pool: ThreadPool,
        *,
        cache_control: str = REVALIDATED,
        vary: str = BY_CALLER,
    ) -> None:
        self._content_type = content_type
        self._body = lru_cache(_MOST)(make)
        self._pool = pool
        self._cache_control = cache_control
        self._vary = vary
        self._encoded: LRUCache[tuple[str, Preference], CacheableResponse] = LRUCache(_MOST)
        self._making: SingleFlight[CacheableResponse] = SingleFlight()

    async def send(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str) -> None:
        """Send the page `name`, or 304."""
        wanted = name, preference_in(req.get_header("Accept-Encoding"))
        if (page := self._encoded.get(wanted)) is None:
            page = await self._making.run(wanted, lambda: self._pool.run(self._made, *wanted))
            self._encoded[wanted] = page
        page.send(req, resp)

    def _made(self, name: str, preference: Preference) -> CacheableResponse:
        body = self._body(name)
        plain = CacheableResponse(
            body,
            self._content_type(name),
            etag_of("page", name, body),
            cache_control=self._cache_control,
            vary=self._vary,
        )
        return plain.encoded(preference)


class PagesResource:
    """Pages that anybody may read, as they have no data.

    :param pages: by name; a route with a parameter responds with the page that this names, and with no other.
    :param front: the name of the page of a route without a parameter.
    """

    public = True

    def __init__(self, pages: Mapping[str, StaticPages], front: str = "") -> None:
        self._pages = pages
        self._front = front

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **of_route: str) -> None:
        """The page."""
        name = next(iter(of_route.values()), self._front)
        if name not in self._pages:
            raise Problem(ProblemKind.NOT_FOUND, f"There is no page or file {name!r} here.")
        await self._pages[name].send(req, resp, name)

    on_head = on_get
