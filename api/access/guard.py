"""Middleware that finds out who is asking, before anything else is done for them.

Until the first key is made the API is open to programs on the server's own host, and to nobody else. A web page that a
browser on this host has open is not such a program, though its requests come from here: so the name under which the
server was called must be a loopback one (which a rebound DNS name is not), nothing may have been forwarded, and writes
must be JSON (which a page of another origin cannot send unasked).
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import falcon

from api.access.keyring import KeyRing
from api.access.limits import RateLimit
from api.access.principal import LOCAL, Principal
from api.problems import Problem, ProblemKind

OPEN_PATHS: Final = frozenset({"/healthz"})
"""Served to anyone, always, uncounted."""

_FORWARDED: Final = ("FORWARDED", "X-FORWARDED-FOR", "X-FORWARDED-HOST", "X-FORWARDED-PROTO", "X-REAL-IP", "VIA")
_WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")


class Guard:
    """Sets ``req.context.principal``: the caller, or None where there is no key and none is needed.

    A resource with the attribute ``public = True`` (pages, which hold no data) needs no key; all others do.
    """

    def __init__(self, keys: KeyRing, rate_limit: RateLimit) -> None:
        self._keys = keys
        self._rate_limit = rate_limit

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Identify the caller and count the request.

        :raises Problem: a key that is not valid, no key while the server is open to its own host only, too many
            requests.
        """
        req.context.principal = None
        if req.path in OPEN_PATHS:
            return
        try:
            principal = self._identify(req)
        except Problem:
            self._rate_limit.count_address(req.remote_addr)
            raise
        req.context.principal = principal
        if principal is None or principal.key_id is None:
            self._rate_limit.count_address(req.remote_addr)
        else:
            self._rate_limit.count_key(principal.key_id)

    def process_resource(self, req: falcon.Request, resp: falcon.Response, resource: Any, params: Any) -> None:
        """Raise when the resource needs a key and there is none.

        :raises Problem: no key.
        """
        needs_key = not getattr(resource, "public", False) and req.method != "OPTIONS"  # a preflight has no key
        if needs_key and req.context.principal is None:
            raise Problem(ProblemKind.NO_KEY, "The request has no key.")

    def _identify(self, req: falcon.Request) -> Principal | None:
        authorization = req.get_header("Authorization")
        if self._keys.is_open():
            _require_direct_loopback(req)
            return LOCAL
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        principal = self._keys.find(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            raise Problem(ProblemKind.BAD_KEY, "The header Authorization holds no valid key.")
        return principal


def _require_direct_loopback(req: falcon.Request) -> None:
    forwarded = any(req.get_header(name) is not None for name in _FORWARDED)
    if forwarded or not _is_loopback(req.remote_addr) or not _names_loopback(req.get_header("Host")):
        raise Problem(
            ProblemKind.NO_KEY, "No key was made yet, and until then only direct requests of the same host are served."
        )
    if req.method in _WRITES and (req.content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE, "Without a key, only JSON may be sent.")


def _names_loopback(host: str | None) -> bool:
    """Whether the header Host names this host from within."""
    with suppress(ValueError):
        name = urlsplit(f"//{host or ''}").hostname or ""
        return name == "localhost" or _is_loopback(name)
    return False


def _is_loopback(address: str | None) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address or "").is_loopback
    return False
