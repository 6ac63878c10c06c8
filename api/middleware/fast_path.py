"""The fast path: a request for summaries whose headers equal those of an earlier one is answered without Falcon.

Nearly all requests of a client differ in the query only. The first passes through Falcon, and what does not depend on
the query is recorded: the caller, the preferred encoding, and the other headers of the response. It is used as long as
the key of the caller is cached and unchanged. Every request counts towards the rate limit. Falcon reports the errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import falcon.asgi

from api.auth.api_keys import KeyRing
from api.auth.principal import LOCAL, Principal
from api.http.etag import OWN_HEADERS, Preference
from api.http.request import FAILED, RESPOND, Request
from api.middleware.rate_limit import COUNTED, RateLimit
from api.middleware.request_log import RequestLog, new_request_id
from api.problems import Problem, ProblemKind
from api.summaries.reader import CachedResource
from core.stores.api_keys import ApiKey

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Head = tuple[str, str, tuple[tuple[bytes, bytes], ...]]
"""Path, address of the peer, and headers of a request."""

_MOST: Final = 1024
_LARGEST_BYTES: Final = 2048  # of a head that is recorded
_REQUEST_ID: Final = b"x-request-id"
_IF_NONE_MATCH: Final = b"if-none-match"
_DROPPED: Final = {_REQUEST_ID, *map(str.encode, OWN_HEADERS)}


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the responses to requests with the same head have in common.

    :param key: the API key of the caller, or None if `caller` is a program on this host.
    :param lines: of the headers that do not depend on the query.
    :param line: of the request log.
    """

    resource: CachedResource[Any]
    preference: Preference
    caller: Principal
    key: ApiKey | None
    address: str
    lines: bytes
    line: dict[str, Any]


class FastPath:
    """Answers requests whose heads were recorded."""

    def __init__(self, keys: KeyRing, rate_limit: RateLimit, log: RequestLog) -> None:
        self._keys = keys
        self._rate_limit = rate_limit
        self._log = log
        self._recorded: dict[Head, _Recorded] = {}

    async def answer(self, head: Head, scope: dict[str, Any], send: Send) -> bool:
        """Answer the request of `scope`, if its `head` is recorded and there is no error; whether that was done.

        An error is put into `scope`, as `FAILED`.
        """
        etags: list[bytes] = []
        recorded = self._recorded.get(head)
        if recorded is None:  # most requests have no ETags, so this comes second
            head, etags = _without_etags(head)
            recorded = self._recorded.get(head)
        if recorded is None:
            return False
        if recorded.key is not None and self._keys.fresh(recorded.key.id) != recorded.key:
            del self._recorded[head]  # it has the token, which may be revoked
            return False
        started_ns = self._log.begin(scope)
        query_string = scope["query_string"].decode()
        try:
            await self._rate_limit.count(recorded.caller.counted_as, recorded.address)
            scope[COUNTED] = True
            response, cache = await recorded.resource.respond(query_string, recorded.caller, recorded.preference)
        except Exception as error:
            scope[FAILED] = error
            return False
        status, body = 200, response.body
        if is_known := bool(etags) and response.is_in(b",".join(etags).decode("latin-1")):
            status, body, cache = 304, b"", "not-modified"
        request_id = new_request_id()
        own_lines = response.lines(is_known=is_known), recorded.lines, _REQUEST_ID, request_id.encode()
        lines = b"%b%b%b: %b\r\n" % own_lines
        if RESPOND not in scope or not scope[RESPOND](status, lines, body):
            headers = [line.split(b": ", 1) for line in lines.splitlines()]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        own = {"request_id": request_id, "query": query_string, "status": status, "bytes": len(body), "cache": cache}
        self._log.end(recorded.line | own, started_ns)
        return True

    def record(self, head: Head, context: Any, start: dict[str, Any]) -> None:
        """Record what the response to the request of `head` has in common with others."""
        caller: Principal | None = context.principal
        key = None
        if caller is None or caller.session_id is not None or start["status"] not in (200, 304):
            return
        head, _ = _without_etags(head)
        path, _, sent = head
        if len(path) + sum(len(name) + len(value) for name, value in sent) > _LARGEST_BYTES:
            return
        if caller is not LOCAL and ((key := self._keys.fresh(caller.key_id or "")) is None):
            return
        self._recorded.pop(head, None)
        if len(self._recorded) >= _MOST:
            del self._recorded[next(iter(self._recorded))]
        lines = b"".join([b"%b: %b\r\n" % (name, value) for name, value in start["headers"] if name not in _DROPPED])
        resource, preference = context.answered_by
        self._recorded[head] = _Recorded(resource, preference, caller, key, context.client_address, lines, context.line)


class App(falcon.asgi.App[Request, falcon.asgi.Response]):
    """The application, with `fast_path` before it, once that is set."""

    fast_path: FastPath | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Answer a request."""
        if self.fast_path is None or scope["type"] != "http" or scope["method"] != "GET":
            late = scope["type"] == "http" and scope["method"] != "HEAD"
            await super().__call__(scope, _receiving_late(receive) if late else receive, send)
            return
        headers = tuple(map(tuple, scope["headers"]))
        peer = tuple(scope.get("client") or ("",))
        head = scope["path"], peer[0], headers
        if await self.fast_path.answer(head, scope, send):
            return
        if FAILED in scope:  # Falcon must report it, even if the client has left
            receive = _receiving_late(receive)
        start: dict[str, Any] = {}

        async def send_and_record(event: dict[str, Any]) -> None:
            if not start:
                start.update(event)
            await send(event)

        context: list[Any] = []  # `api.middleware.request_log` puts the context of the request there
        scope |= {"headers": headers, "client": peer, "tss.context": context}
        await super().__call__(scope, receive, send_and_record)
        if context and context[0].answered_by and not any(name == _REQUEST_ID for name, _ in headers):
            self.fast_path.record(head, context[0], start)


def _without_etags(head: Head) -> tuple[Head, list[bytes]]:
    """`head` without If-None-Match, which is evaluated for each response, and the values of that header."""
    path, peer, headers = head
    etags = [value for name, value in headers if name == _IF_NONE_MATCH]
    return (path, peer, tuple(header for header in headers if header[0] != _IF_NONE_MATCH)), etags


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
