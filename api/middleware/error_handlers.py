"""The error handlers: every exception becomes a problem document."""

from __future__ import annotations

from typing import Any

import falcon.asgi

from api.http.request import Request
from api.middleware.request_log import RequestLog
from api.openapi.problem_pages import not_found_page
from api.problems import Problem, ProblemKind, send_problem
from core.errors import StoreError, StoreMissing

_OF_STATUS = {
    404: ProblemKind.NOT_FOUND,
    405: ProblemKind.METHOD_NOT_ALLOWED,
    413: ProblemKind.BODY_TOO_LARGE,
    415: ProblemKind.UNSUPPORTED_MEDIA_TYPE,
}
"""The problems for Falcon's own errors; any other client error is a bad request."""


def add_error_handlers(
    app: falcon.asgi.App[Request, falcon.asgi.Response], log: RequestLog, *, retry_after_s: float
) -> None:
    """Make `app` answer every error with a problem document.

    :param log: logs unexpected errors; the client gets only the id of the request.
    :param retry_after_s: when a client may try again after an error of the store.
    """

    async def on_problem(req: Request, resp: falcon.asgi.Response, ex: Problem, params: dict[str, Any]) -> None:
        send_problem(ex, req, resp)
        if ex.kind is ProblemKind.NOT_FOUND and _is_of_a_page(req):
            resp.content_type = falcon.MEDIA_HTML
            resp.data = not_found_page()

    async def on_store_error(req: Request, resp: falcon.asgi.Response, ex: StoreError, params: dict[str, Any]) -> None:
        missing = isinstance(ex, StoreMissing)
        kind = ProblemKind.NOT_BUILT_YET if missing else ProblemKind.STORE_UNAVAILABLE
        # The address and error of the store are for the operator, in the log and /readyz.
        detail = "Nothing is published yet." if missing else "The store does not answer at the moment."
        log.log_exception(req, ex)
        send_problem(Problem(kind, detail, retry_after_s=retry_after_s), req, resp)

    async def on_http_error(
        req: Request, resp: falcon.asgi.Response, ex: falcon.HTTPError, params: dict[str, Any]
    ) -> None:
        if not hasattr(req.context, "request_id"):
            await log.process_request(req, resp)  # Falcon refuses some methods before any middleware
        kind = _OF_STATUS.get(ex.status_code, ProblemKind.BAD_REQUEST)
        if ex.status_code >= 500:
            await on_defect(req, resp, ex, params)
            return
        detail = (ex.description or f"{req.method} {req.path} cannot be answered").rstrip(".") + "."
        await on_problem(req, resp, Problem(kind, detail, headers=dict(ex.headers or {})), params)

    async def on_defect(req: Request, resp: falcon.asgi.Response, ex: Exception, params: dict[str, Any]) -> None:
        log.log_exception(req, ex)
        send_problem(Problem(ProblemKind.INTERNAL_ERROR, "An unexpected error occurred."), req, resp)

    app.add_error_handler(Exception, on_defect)
    app.add_error_handler(falcon.HTTPError, on_http_error)
    app.add_error_handler(StoreError, on_store_error)
    app.add_error_handler(Problem, on_problem)


def _is_of_a_page(req: Request) -> bool:
    """Whether a browser requests a page: not an address of the API, and HTML is its first choice."""
    return not req.path.startswith("/api/") and req.accept.lstrip().startswith("text/html")
