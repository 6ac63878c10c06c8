"""Bodies that never change while a process lives, made when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import falcon

from api.reading.answers import Answer, Preference, etag_of, preference_in

_MOST: Final = 256


class KeptPages:
    """Pages by name, each in every encoding that was asked for. Threads share it.

    :param content_type: of all of them.
    :param make: the body of the page of a name; called once for each.
    """

    def __init__(self, content_type: str, make: Callable[[str], bytes]) -> None:
        self._content_type = content_type
        self._make = make
        self._plain = lru_cache(_MOST)(self._made)
        self._encoded = lru_cache(_MOST)(self._as_preferred)

    def send(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Answer `req` with the page of `name`, or with 304."""
        self._encoded(name, preference_in(req.get_header("Accept-Encoding"))).send(req, resp)

    def _made(self, name: str) -> Answer:
        body = self._make(name)
        return Answer(body, self._content_type, etag_of("page", name, body))

    def _as_preferred(self, name: str, preference: Preference) -> Answer:
        return self._plain(name).encoded(preference)
