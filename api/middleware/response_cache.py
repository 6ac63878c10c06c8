"""The response cache: requests that equal an earlier one, including all headers, are answered without Falcon.

Most requests to a warm API are such. The first passes through Falcon, and its response is recorded without the body,
which is in the cache of the snapshot. An equal request gets the same response as long as everything that it depends on
is unchanged: the snapshot, the cached key, and the rate limit.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import falcon.asgi

from api.auth.api_keys import KeyRing
from api.auth.principal import LOCAL, Principal
from api.http.etag import CacheableResponse
from api.http.request import Request
from api.middleware.rate_limit import RateLimit
from api.middleware.request_log import RequestLog, new_request_id
from api.problems import Problem, ProblemKind
from api.summaries.cache import Snapshot
from api.summaries.current_publication import CurrentPublication
from core.errors import StoreError
from core.stores.api_keys import ApiKey

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Received = tuple[str, bytes, str, tuple[tuple[bytes, bytes], ...]]
"""Path, query, address of the peer, and headers of a request."""

_MOST: Final = 1024
_LARGEST_BYTES: Final = 2048  # of a request that is recorded: path, query and headers
_REQUEST_ID: Final = b"x-request-id"


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A response without its body.

    :param cache_key: the key of the body in the cache of the snapshot.
    :param key: the API key of the caller, or None if `caller` is a program on this host.
    :param headers: all but the id of the request.
    :param line: of the request log.
    """

    cache_key: Hashable
    caller: Principal
    key: ApiKey | None
    address: str
    status: int
    headers: list[tuple[bytes, bytes]]
    line: dict[str, Any]


class ResponseCache:
    """Recorded responses, all from one snapshot."""

    def __init__(self, current: CurrentPublication, keys: KeyRing, rate_limit: RateLimit, log: RequestLog) -> None:
        self._current = current
        self._keys = keys
        self._rate_limit = rate_limit
        self._log = log
        self._snapshot: Snapshot | None = None
        self._recorded: dict[Received, _Recorded] = {}

    async def answer(self, request: Received, send: Send) -> bool:
        """Answer `request` if it equals an earlier one; whether that was done."""
        recorded = self._recorded.get(request)
        if recorded is None:
            return False
        started_ns = time.perf_counter_ns()
        if (body := self._body_of(recorded)) is None:
            self._recorded.pop(request, None)
            return False
        try:
            await self._rate_limit.count(recorded.caller.counted_as, recorded.address)
        except Problem:
            return False
        request_id = new_request_id()
        headers = [*recorded.headers, (_REQUEST_ID, request_id.encode())]
        await send({"type": "http.response.start", "status": recorded.status, "headers": headers})
        await send({"type": "http.response.body", "body": body.body if recorded.status == 200 else b""})
        self._log.repeat(recorded.line, request_id, started_ns)
        return True

    def record(self, request: Received, context: Any, start: dict[str, Any]) -> None:
        """Record the response to `request`, if it can be repeated."""
        snapshot, cache_key = context.cache_entry
        caller: Principal | None = context.principal
        key = None
        if caller is None or caller.session_id is not None or start["status"] not in (200, 304):
            return
        path, query, _, sent = request
        if len(path) + len(query) + sum(len(name) + len(value) for name, value in sent) > _LARGEST_BYTES:
            return
        if caller is not LOCAL and ((key := self._keys.fresh(caller.key_id or "")) is None):
            return
        if snapshot is not self._snapshot:
            self._recorded.clear()
            self._snapshot = snapshot
        if len(self._recorded) >= _MOST:
            del self._recorded[next(iter(self._recorded))]
        headers = [(name, value) for name, value in start["headers"] if name != _REQUEST_ID]
        self._recorded[request] = _Recorded(
            cache_key, caller, key, context.client_address, start["status"], headers, context.line
        )

    def _body_of(self, recorded: _Recorded) -> CacheableResponse | None:
        """The body of `recorded`, if the response would be the same now."""
        with suppress(StoreError):
            snapshot = self._current.confirmed()
            if snapshot is None or (recorded.key is not None and self._keys.fresh(recorded.key.id) is not recorded.key):
                return None
            if snapshot is self._snapshot:
                return snapshot.cached(recorded.cache_key)
            self._recorded.clear()  # the recorded responses are from an earlier snapshot
            self._snapshot = None
        return None


class App(falcon.asgi.App[Request, falcon.asgi.Response]):
    """The application, with `response_cache` before it, once that is set."""

    response_cache: ResponseCache | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Answer a request."""
        if self.response_cache is None or scope["type"] != "http" or scope["method"] != "GET":
            late = scope["type"] == "http" and scope["method"] != "HEAD"
            await super().__call__(scope, _receiving_late(receive) if late else receive, send)
            return
        headers = tuple(map(tuple, scope["headers"]))
        peer = tuple(scope.get("client") or ("",))
        request = scope["path"], scope["query_string"], peer[0], headers
        if await self.response_cache.answer(request, send):
            return
        start: dict[str, Any] = {}

        async def send_and_record(event: dict[str, Any]) -> None:
            if not start:
                start.update(event)
            await send(event)

        context: list[Any] = []  # `api.middleware.request_log` puts the context of the request there
        own = scope | {"headers": headers, "client": peer, "tss.context": context}
        await super().__call__(own, receive, send_and_record)
        if context and context[0].cache_entry and not any(name == _REQUEST_ID for name, _ in headers):
            self.response_cache.record(request, context[0], start)


def _receiving_late(receive: Receive) -> Receive:
    """`receive`, whose first event is an empty part of the body: a client need not send one that is refused.

    An incomplete body raises a `Problem`: `api.http.request_body.read_body` relies on this for chunked ones.
    """
    first: Mapping[str, Any] | None = {"type": "http.request", "body": b"", "more_body": True}

    async def receive_late() -> Mapping[str, Any]:
        nonlocal first
        if first is not None:
            event, first = first, None
            return event
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Problem(ProblemKind.BAD_REQUEST, "The body of the request ended early.")
        return event

    return receive_late
