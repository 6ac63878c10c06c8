"""Middleware that authenticates a request before anything else is done for it.

A request needs a key, or the session cookie of a person who signed in. With ``API_ACCESS=open-loopback`` direct
requests from the server's own host need neither. Web pages in a browser on this host cannot use that: the header Host
must have a loopback name (which a rebound DNS name is not), the request must not have been forwarded, and a write must
be JSON (which a page of another origin cannot send without a preflight), or have no body and no header that browsers
send with every write.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final

import falcon.asgi

from api.auth.api_keys import KeyRing
from api.auth.principal import LOCAL, Principal
from api.auth.sessions import SESSION_COOKIE, Sessions, require_same_origin
from api.http.request import FAILED, Request, has_json_type, unmapped
from api.middleware.rate_limit import COUNTED, RateLimit
from api.problems import Problem, ProblemKind
from core.errors import StoreMissing

_FORWARDED: Final = frozenset(
    {
        "forwarded",
        "forwarded-for",
        "via",
        "cdn-loop",
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-host",
        "x-original-forwarded-for",
        "x-original-host",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
    }
)
_FORWARDED_PREFIX: Final = "x-forwarded"
"""The headers that proxies add, by their names in ASGI; a request with one of them is not direct."""

_HOST: Final = re.compile(r"(?:(localhost)|([0-9.]+)|\[([0-9a-f:.]+)\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_MOST_COOKIES: Final = 4
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OF_BODIES_AND_PAGES: Final = ("Content-Type", "Transfer-Encoding", "Origin", "Sec-Fetch-Site", "Referer")
_HEALTH: Final = "/healthz"
_READINESS: Final = "/readyz"
_FILES: Final = "/assets/"
_METRICS: Final = "/metrics"
_METRICS_STALE_S: Final = 86_400.0
"""For how long ``/metrics``, which reports that the store does not answer, accepts a key as last read."""


class Guard:
    """Sets ``req.context.principal``: the caller, or None if the request has no credentials.

    A resource with the attribute ``public = True`` (pages, which have no data) needs none; all others do. Requests are
    counted by key, by session, or by address, except health checks and the files of pages.

    :param open_loopback: whether direct requests from this host are served without a key.
    :param stale_if_error_s: for how long reads accept a key or session as last read while the store does not answer.
    """

    def __init__(
        self,
        keys: KeyRing,
        sessions: Sessions,
        rate_limit: RateLimit,
        *,
        open_loopback: bool,
        stale_if_error_s: float,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._rate_limit = rate_limit
        self._open_loopback = open_loopback
        self._stale_if_error_s = stale_if_error_s

    async def process_request(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Authenticate the caller and count the request.

        :raises Problem: credentials that are not valid, a write that another site may have caused, too many requests.
        :raises StoreUnavailable: the store does not answer, so the caller is not known.
        """
        context = req.context
        context.no_store = None
        if req.path == _HEALTH or req.path.startswith(_FILES):
            return
        address: str = context.client_address
        try:
            principal = context.principal = await self._authenticated(req, partial(self._may_guess, address))
        except Problem:
            await self._rate_limit.count_address(address)
            raise
        if req.path == _READINESS or COUNTED in req.scope:
            return
        if FAILED in req.scope:  # by the rate limit
            raise req.scope.pop(FAILED)
        await self._rate_limit.count(None if principal is None else principal.counted_as, address)

    async def process_resource(self, req: Request, resp: falcon.asgi.Response, resource: Any, params: Any) -> None:
        """Check that there is a key, if the resource needs one.

        :raises Problem: no key.
        :raises StoreMissing: there is no store, so only pages can be served.
        """
        if getattr(resource, "public", False) or req.method == "OPTIONS":  # a preflight has no key
            return
        if req.context.no_store is not None:
            raise req.context.no_store
        if req.context.principal is None:
            raise Problem(ProblemKind.NO_KEY, "The request has no key.")

    async def _may_guess(self, address: str) -> bool:
        return not await self._rate_limit.is_used_up(address)

    async def _authenticated(self, req: Request, may_guess: Callable[[], Awaitable[bool]]) -> Principal | None:
        try:
            if (authorization := req.get_header("Authorization")) is not None:
                scheme, _, token = authorization.partition(" ")
                principal = None
                if scheme.lower() == "bearer":
                    principal = await self._keys.find(token.strip(), may_guess, stale_s=self._stale_s(req))
                if principal is None:
                    raise Problem(ProblemKind.BAD_KEY, "The header Authorization has no valid key.")
                return principal
            if (person := await self._signed_in(req, may_guess)) is not None:
                if req.method in _WRITES:
                    require_same_origin(req)
                return person
        except StoreMissing as missing:
            # Without a store there are no keys. A store with keys may be created at any moment, so a caller who was not
            # authenticated must not read it.
            req.context.no_store = missing
            return None
        return self._local(req) if self._open_loopback else None

    async def _signed_in(self, req: Request, may_guess: Callable[[], Awaitable[bool]]) -> Principal | None:
        """The person of the session in a cookie. An ended one is not an error: browsers send it with pages too."""
        if req.path == _READINESS:  # not counted by the rate limit, so invented cookies must not cause reads
            return None
        tokens = req.get_cookie_values(SESSION_COOKIE) or ()
        for token in tokens[:_MOST_COOKIES]:
            if (person := await self._sessions.find(token, may_guess, stale_s=self._stale_s(req))) is not None:
                return person
        return None

    def _stale_s(self, req: Request) -> float:
        """For how long a key or session may be used as last read; a write needs the store anyway."""
        if req.method in _WRITES:
            return 0.0
        return _METRICS_STALE_S if req.path == _METRICS else self._stale_if_error_s

    def _local(self, req: Request) -> Principal | None:
        if not _is_direct_loopback(req.peer, req.get_header("Host") or "") or _were_forwarded(tuple(req.headers_lower)):
            return None
        if req.method in _WRITES and not has_json_type(req) and not _is_plain(req):
            raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE, "Without a key, only JSON may be sent.")
        return LOCAL


def _is_plain(req: Request) -> bool:
    """Whether `req` has no body and is not of a browser, which sends an origin with every write."""
    return not req.content_length and all(req.get_header(name) is None for name in _OF_BODIES_AND_PAGES)


@lru_cache(maxsize=1024)
def _were_forwarded(names: tuple[str, ...]) -> bool:
    """Whether a request with headers of these names was forwarded by a proxy."""
    dashed = {name.replace("_", "-") for name in names}  # some proxies treat both characters as equal, as WSGI does
    return not _FORWARDED.isdisjoint(dashed) or _FORWARDED_PREFIX in " ".join(dashed)


@lru_cache(maxsize=256)
def _is_direct_loopback(address: str, host: str) -> bool:
    """Whether the peer at `address` is on this host, and the header Host has a loopback name."""
    named = _HOST.fullmatch(host)
    return _is_loopback(address) and named is not None and (bool(named[1]) or _is_loopback(named[2] or named[3]))


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(unmapped(address)).is_loopback
    return False
