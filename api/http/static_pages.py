"""Bodies that never change while a process lives, made when first asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import falcon.asgi
from cachetools import LRUCache

from api.http.etag import BY_CALLER, REVALIDATED, CacheableResponse, Preference, etag_of, preference_in
from api.threads import SingleFlight

_MOST: Final = 256


class StaticPages:
    """Pages by name, each in every encoding that was asked for.

    :param content_type: that of the page of a name.
    :param make: the body of the page of a name; called once for each, in a thread, but in none of those that ask the
        store, which may be slow.
    :param cache_control: the header Cache-Control of all of them; likewise `vary`.
    """

    def __init__(
        self,
        content_type: Callable[[str], str],
        make: Callable[[str], bytes],
        *,
        cache_control: str = REVALIDATED,
        vary: str = BY_CALLER,
    ) -> None:
        self._content_type = content_type
        self._make = make
        self._cache_control = cache_control
        self._vary = vary
        self._plain = lru_cache(_MOST)(self._made)
        self._encoded: LRUCache[tuple[str, Preference], CacheableResponse] = LRUCache(_MOST)
        self._making: SingleFlight[CacheableResponse] = SingleFlight()

    async def send(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str) -> None:
        """Answer `req` with the page of `name`, or with 304."""
        wanted = name, preference_in(req.get_header("Accept-Encoding"))
        if (page := self._encoded.get(wanted)) is None:
            page = await self._making.run(wanted, lambda: asyncio.to_thread(self._as_preferred, *wanted))
            self._encoded[wanted] = page
        page.send(req, resp)

    def _made(self, name: str) -> CacheableResponse:
        body = self._make(name)
        return CacheableResponse(
            body,
            self._content_type(name),
            etag_of("page", name, body),
            cache_control=self._cache_control,
            vary=self._vary,
        )

    def _as_preferred(self, name: str, preference: Preference) -> CacheableResponse:
        return self._plain(name).encoded(preference)
