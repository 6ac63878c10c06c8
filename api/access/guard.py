"""Middleware that finds out who is asking, before anything else is done for them.

Until the first key is made the API is open to programs on the server's own host, and to nobody else. A web page that a
browser on this host has open is not such a program, though its requests come from here: so the name under which the
server was called must be a loopback one (which a rebound DNS name is not), nothing may have been forwarded, and writes
must be JSON (which a page of another origin cannot send unasked).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import falcon

from api.access.keyring import KeyRing
from api.access.limits import RateLimit
from api.access.principal import LOCAL, Principal
from api.problems import Problem, ProblemKind
from core.errors import StoreMissing

OPEN_PATHS: Final = frozenset({"/healthz"})
"""Served to anyone, always, uncounted."""

_FORWARDED: Final = frozenset(
    {
        "HTTP_FORWARDED",
        "HTTP_FORWARDED_FOR",
        "HTTP_VIA",
        "HTTP_CDN_LOOP",
        "HTTP_CF_CONNECTING_IP",
        "HTTP_CLIENT_IP",
        "HTTP_FASTLY_CLIENT_IP",
        "HTTP_TRUE_CLIENT_IP",
        "HTTP_X_CLIENT_IP",
        "HTTP_X_CLUSTER_CLIENT_IP",
        "HTTP_X_ENVOY_EXTERNAL_ADDRESS",
        "HTTP_X_HOST",
        "HTTP_X_ORIGINAL_FORWARDED_FOR",
        "HTTP_X_ORIGINAL_HOST",
        "HTTP_X_PROXYUSER_IP",
        "HTTP_X_REAL_IP",
        "HTTP_X_REMOTE_ADDR",
        "HTTP_X_REMOTE_IP",
    }
)
_FORWARDED_PREFIX: Final = "HTTP_X_FORWARDED"
"""What proxies add, in the names of WSGI; by any of them a request is known to come from elsewhere."""

_HOST: Final = re.compile(r"(?:(localhost)|([0-9.]+)|\[([0-9a-f:.]+)\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


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
        :raises StoreUnavailable: the store does not answer, so that it is not known who is asking.
        """
        context = req.context
        context.principal = context.no_store = None
        if req.path in OPEN_PATHS:
            return
        try:
            principal = self._identify(req)
        except Problem:
            self._rate_limit.count_address(_address_of(req))
            raise
        context.principal = principal
        if principal is None or principal.key_id is None:
            self._rate_limit.count_address(_address_of(req))
        else:
            self._rate_limit.count_key(principal.key_id)

    def process_resource(self, req: falcon.Request, resp: falcon.Response, resource: Any, params: Any) -> None:
        """Raise when the resource needs a key and there is none.

        :raises Problem: no key.
        :raises StoreMissing: there is no store, and hence nothing but pages.
        """
        if getattr(resource, "public", False) or req.method == "OPTIONS":  # a preflight has no key
            return
        if req.context.no_store is not None:
            raise req.context.no_store
        if req.context.principal is None:
            raise Problem(ProblemKind.NO_KEY, "The request has no key.")

    def _identify(self, req: falcon.Request) -> Principal | None:
        try:
            is_open = self._keys.is_open()
        except StoreMissing as missing:
            # No store has no keys. But one may be put there at any moment, with keys: it must not be read for whoever
            # asked before they were known.
            is_open, req.context.no_store = True, missing
        if is_open:
            _require_direct_loopback(req)
            return LOCAL
        authorization = req.env.get("HTTP_AUTHORIZATION")
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        principal = self._keys.find(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            raise Problem(ProblemKind.BAD_KEY, "The header Authorization holds no valid key.")
        return principal


def _require_direct_loopback(req: falcon.Request) -> None:
    env = req.env
    if not _is_direct_loopback(_address_of(req), env.get("HTTP_HOST", "")) or _was_forwarded(env):
        raise Problem(
            ProblemKind.NO_KEY, "No key was made yet, and until then only direct requests of the same host are served."
        )
    if req.method in _WRITES and (req.content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE, "Without a key, only JSON may be sent.")


def _address_of(req: falcon.Request) -> str:
    """The peer, or an empty text where it has no address (a Unix socket, behind which is a proxy as a rule)."""
    return str(req.env.get("REMOTE_ADDR", ""))  # Falcon would take a peer without an address for this host


def _was_forwarded(env: Mapping[str, Any]) -> bool:
    return not _FORWARDED.isdisjoint(env) or _FORWARDED_PREFIX in " ".join(env)  # at every request, hence all at once


@lru_cache(maxsize=256)
def _is_direct_loopback(address: str, host: str) -> bool:
    """Whether the peer at `address` is on this host, and the header Host names this host from within."""
    named = _HOST.fullmatch(host)
    return _is_loopback(address) and named is not None and (bool(named[1]) or _is_loopback(named[2] or named[3]))


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        parsed = ipaddress.ip_address(address)
        # A socket that serves both families shows the peers of IPv4 so.
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return (mapped or parsed).is_loopback
    return False
