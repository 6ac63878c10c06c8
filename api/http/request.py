"""A request, as far as Falcon's own does not do."""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import quote_from_bytes

import falcon
import falcon.asgi


class Request(falcon.asgi.Request):
    """A request whose query may hold bytes that should have been encoded: people type Persian into curl as it is.

    ``peer`` is the address of the peer, or an empty text where it has none (a Unix socket); Falcon would take such a
    peer for this host.
    """

    def __init__(self, scope: dict[str, Any], *arguments: Any, **options: Any) -> None:
        if not scope["query_string"].isascii():
            scope = scope | {"query_string": quote_from_bytes(scope["query_string"], string.printable).encode()}
        super().__init__(scope, *arguments, **options)
        self.peer: str = next(iter(scope.get("client") or ("",))) or ""


def has_json_type(req: falcon.Request) -> bool:
    """Whether the body of `req` is said to be JSON."""
    return (req.content_type or "").partition(";")[0].strip().lower() == falcon.MEDIA_JSON
