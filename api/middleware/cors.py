"""Middleware that lets pages of other origins call the API, where the operator names these origins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import falcon.asgi

_EXPOSED_HEADERS: Final = ("Content-Disposition", "ETag", "Link", "Location", "Retry-After", "X-Request-Id")


class CrossOrigin(falcon.CORSMiddleware):  # type: ignore[type-arg]  # its parameters are of private types
    """What Falcon does, and ``Vary: Origin``, so that no cache gives the answer of one origin to another.

    :param origins: such as ``https://app.example``.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        super().__init__(allow_origins=origins, expose_headers=_EXPOSED_HEADERS)

    async def process_response_async(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add the headers that CORS needs."""
        self.process_response(req, resp, resource, req_succeeded)
        resp.append_header("Vary", "Origin")
