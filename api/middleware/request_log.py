"""Middleware that gives every request an id and the security headers, and logs and counts it when it is answered."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import falcon.asgi

from api.http.request import ClientAddresses, Request
from api.observability.metrics import UNMATCHED, Metrics
from core.event_log import bind_context, reset_context
from core.instants import Clock, iso_instant, wall_clock_ms
from core.log_lines import LineWriter, Sink, log_line, looks_like_key, traceback_of

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STARTED_NS: Final = "tss.started_ns"
_MAX_PATH, _MAX_QUERY, _MAX_AGENT = 512, 1024, 256
_BODILESS: Final = frozenset({204, 304})
_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""The security headers of every response: a page runs nothing inline or from another origin, and is in no frame."""

_HEADERS: Final = list(SECURITY_HEADERS.items())


class RequestLog:
    """The outermost middleware, the first in the list of the application.

    It sets ``req.context.request_id`` and the header ``X-Request-Id``, and writes one line of JSON for each request::

        {"time":"2026-11-23T22:50:41.007Z","level":"info","event":"request","request_id":"5f0c…","method":"GET",
         "path":"/api/merchants","route":"/api/merchants","query":"limit=5","status":200,"duration_ms":0.412,
         "bytes":311,"key_id":"b7k…","remote":"127.0.0.1","cache":"hit","user_agent":"curl/8.14"}

    It reads ``req.context.principal.key_id`` and ``req.context.cache`` (``hit``, ``miss`` or ``not-modified``), if set.
    No key is ever logged: the header ``Authorization`` is not read, and what looks like a key elsewhere is replaced.
    Messages that the request queues have its id (`core.event_log.bound_context`).

    :param metrics: counts every request.
    :param addresses: finds the address of the client, which is stored as ``req.context.client_address``.
    :param sink: receives the lines; by default standard output.
    :param clock: milliseconds since 1970 UTC, for ``time``.
    :param monotonic_ns: nanoseconds, for ``duration_ms``.
    """

    def __init__(
        self,
        metrics: Metrics,
        addresses: ClientAddresses,
        *,
        sink: Sink | None = None,
        clock: Clock = wall_clock_ms,
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._metrics = metrics
        self._addresses = addresses
        self._sink = sink or LineWriter(sys.stdout.fileno())
        self._clock = clock
        self._monotonic_ns = monotonic_ns

    async def process_request(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Set the id and the security headers, and start the time."""
        context = req.context
        context.started_ns = self.begin(req.scope)
        context.request_id = request_id = _named_by_client(req) or new_request_id()
        context.client_address = self._addresses.of(req)
        context.principal = context.cache = context.answered_by = context.line = None
        req.scope.get("tss.context", []).append(context)
        context.log_context = bind_context(request_id=request_id)
        resp.set_headers(_HEADERS)  # of JSON too, which a browser must not interpret as something else
        resp.set_header("X-Request-Id", request_id)

    def begin(self, scope: dict[str, Any]) -> int:
        """Count the request of `scope`, once; returns its start in nanoseconds. `end` must follow."""
        if _STARTED_NS not in scope:
            scope[_STARTED_NS] = self._monotonic_ns()
            self._metrics.request_began()
        started_ns: int = scope[_STARTED_NS]
        return started_ns

    async def process_response(
        self, req: Request, resp: falcon.asgi.Response, resource: object, succeeded: bool
    ) -> None:
        """Count and log the answered request."""
        context = req.context
        reset_context(context.log_context)
        size = await _body_bytes(req, resp)  # renders the body, which is part of the duration
        context.line = {
            "time": "",
            "level": "error" if resp.status_code >= 500 else "info",
            "event": "request",
            "request_id": context.request_id,
            "method": req.method,
            "path": req.path[:_MAX_PATH],
            "route": req.uri_template,
            "query": req.query_string,
            "status": resp.status_code,
            "duration_ms": 0.0,
            "bytes": size,
            "key_id": context.principal and context.principal.key_id,
            "remote": context.client_address,
            "cache": context.cache,
            "user_agent": (req.user_agent or "")[:_MAX_AGENT],
        }
        self.end(context.line, context.started_ns)

    def end(self, line: dict[str, Any], started_ns: int) -> None:
        """Count the answered request of `line`, complete the line, and log it."""
        duration_ns = self._monotonic_ns() - started_ns
        line["time"] = iso_instant(self._clock())
        line["duration_ms"] = round(duration_ns / 1e6, 3)
        line["query"] = line["query"][:_MAX_QUERY]
        route = line["route"] or UNMATCHED
        self._metrics.request_ended(route, line["method"], line["status"], duration_ns / 1e9, line["cache"])
        self._sink(log_line(line))

    def log_exception(self, req: falcon.Request, ex: BaseException) -> None:
        """Log an unexpected exception with its traceback; the client gets only its request id."""
        self._sink(
            log_line(
                {
                    "time": iso_instant(self._clock()),
                    "level": "error",
                    "event": "exception",
                    "request_id": getattr(req.context, "request_id", None),
                    "method": req.method,
                    "path": req.path[:_MAX_PATH],
                    "route": req.uri_template,
                    "key_id": _key_id(req),
                    "error": type(ex).__name__,
                    # The end of a traceback matters most. It is redacted before it is truncated, or the end of a key
                    # would remain.
                    "traceback": traceback_of(ex),
                }
            )
        )


def new_request_id() -> str:
    """A new request id, for a request without one."""
    return f"{random.getrandbits(64):016x}"


def _named_by_client(req: falcon.Request) -> str | None:
    name = req.get_header("X-Request-Id")
    return name if name and _REQUEST_ID.fullmatch(name) and not looks_like_key(name) else None


def _key_id(req: falcon.Request) -> str | None:
    return getattr(getattr(req.context, "principal", None), "key_id", None)


async def _body_bytes(req: Request, resp: falcon.asgi.Response) -> int:
    """The size of the encoded body in bytes."""
    if req.method == "HEAD" or resp.status_code in _BODILESS:
        return 0
    return len(resp.data if resp.data is not None else await resp.render_body() or b"")
