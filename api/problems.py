"""Every failure that an HTTP client can meet, as problem documents (RFC 9457), in one table.

A client tells problems apart by ``type``, which never changes; ``title`` says the same in words and ``detail`` what is
the case this time. Each type is also the address of a page that explains it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import falcon
import orjson

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/problems/"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem.

    :param slug: the last part of its ``type``.
    :param advice: what a client does about it.
    """

    slug: str
    status: int
    title: str
    advice: str

    @property
    def uri(self) -> str:
        """The value of ``type``, relative to the server."""
        return TYPE_PREFIX + self.slug


class ProblemKind(Enum):
    """All problems that the API answers with."""

    BAD_PARAMETER = ProblemType(
        "bad-parameter",
        400,
        "A parameter is wrong",
        "Correct the request: errors lists every parameter that is unknown, missing, repeated or has a wrong value.",
    )
    BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be understood", "Correct the request.")
    NO_KEY = ProblemType(
        "no-key",
        401,
        "A key is needed",
        "Send Authorization: Bearer KEY. The operator makes keys with: python -m api keys add, and links for the "
        "dashboard with: python -m api sign-in.",
    )
    BAD_KEY = ProblemType(
        "bad-key", 401, "The key is not valid", "The key is mistyped, unknown or revoked: ask the operator for another."
    )
    BAD_LINK = ProblemType(
        "bad-link",
        403,
        "The sign-in link is not valid",
        "Each link works once, for ten minutes. The operator makes another with: python -m api sign-in.",
    )
    CROSS_SITE = ProblemType(
        "cross-site",
        403,
        "The request may come from another site",
        "With a session cookie only pages of this server may write. Programs use a key.",
    )
    OUT_OF_SCOPE = ProblemType(
        "out-of-scope",
        403,
        "The key does not allow this",
        "Ask the operator for a key with the scope that detail names.",
    )
    UNKNOWN_MERCHANT = ProblemType(
        "unknown-merchant",
        404,
        "There is no such merchant",
        "Merchants are named as in the source of the transactions.",
    )
    UNKNOWN_NOTIFICATION = ProblemType(
        "unknown-notification", 404, "There is no such notification", "The id is in the answer that made it."
    )
    UNKNOWN_SUBSCRIPTION = ProblemType(
        "unknown-subscription", 404, "There is no such subscription", "/api/subscriptions lists them."
    )
    NOT_POSSIBLE = ProblemType(
        "not-possible",
        409,
        "It is too late, or too early, for this",
        "Look at the statuses of the logs and decide anew.",
    )
    IDEMPOTENCY_CONFLICT = ProblemType(
        "idempotency-conflict",
        422,
        "The Idempotency-Key was used for another request",
        "Use a new key for a new request, and the same body for a repeated one.",
    )
    NOT_FOUND = ProblemType("not-found", 404, "There is nothing at this address", "/openapi.json lists what there is.")
    METHOD_NOT_ALLOWED = ProblemType(
        "method-not-allowed", 405, "This address does not know the method", "The header Allow lists those it knows."
    )
    STALE_CURSOR = ProblemType(
        "stale-cursor",
        409,
        "The pages belong to an earlier publication",
        "New summaries were published since the first page: start again without the cursor.",
    )
    BODY_TOO_LARGE = ProblemType("body-too-large", 413, "The body is too large", "Send less.")
    UNSUPPORTED_MEDIA_TYPE = ProblemType(
        "unsupported-media-type", 415, "The body is of the wrong type", "Send Content-Type: application/json."
    )
    TOO_MANY_REQUESTS = ProblemType(
        "too-many-requests", 429, "Too many requests", "Wait for the seconds in Retry-After."
    )
    INTERNAL_ERROR = ProblemType(
        "internal-error",
        500,
        "The server made a mistake",
        "Report it with the request_id, by which the operator finds it in the log.",
    )
    NOT_BUILT_YET = ProblemType(
        "not-built-yet",
        503,
        "There are no summaries yet",
        "The operator builds them with: python -m jobs rebuild SOURCE. Try again after the seconds in Retry-After.",
    )
    OVERLOADED = ProblemType(
        "overloaded",
        503,
        "The server has too much to do",
        "Try again after the seconds in Retry-After.",
    )
    STORE_UNAVAILABLE = ProblemType(
        "store-unavailable",
        503,
        "The store does not answer",
        "Try again after the seconds in Retry-After; the server recovers by itself.",
    )


@dataclass(frozen=True, slots=True)
class ParameterError:
    """What is wrong with one parameter, in words."""

    parameter: str
    detail: str


class Problem(Exception):
    """A failure as the client sees it; raise it anywhere below a resource.

    :param detail: what is the case, a sentence with its full stop.
    :param errors: for `ProblemKind.BAD_PARAMETER`, all that is wrong.
    :param retry_after_s: when to try again, rounded up to whole seconds in the header.
    :param headers: further headers of the response.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Sequence[ParameterError] = (),
        retry_after_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.headers = headers or {}


def answer(problem: Problem, req: falcon.Request, resp: falcon.Response) -> None:
    """Make `resp` the problem document of `problem`; whatever it held before is gone."""
    known = problem.kind.value
    document: dict[str, Any] = {
        "type": known.uri,
        "title": known.title,
        "status": known.status,
        "detail": problem.detail,
        "hint": known.advice,
        "request_id": getattr(req.context, "request_id", None),
    }
    if problem.errors:
        document["errors"] = [{"parameter": error.parameter, "detail": error.detail} for error in problem.errors]
    resp.status = known.status
    resp.text, resp.stream = None, None
    resp.data = orjson.dumps(document)
    for name in ("ETag", "Link", "Content-Disposition", "Content-Encoding", "Last-Modified"):
        resp.delete_header(name)
    resp.content_type = CONTENT_TYPE
    resp.set_header("Cache-Control", "no-store")
    resp.set_headers(problem.headers)
    if known.status == 401:
        resp.set_header("WWW-Authenticate", 'Bearer realm="transaction summaries"')
    if problem.retry_after_s is not None:
        resp.set_header("Retry-After", str(max(1, math.ceil(problem.retry_after_s))))


def refusal(status: int, detail: str) -> bytes:
    """A whole response, after which the connection is closed, for what never becomes a request of the application."""
    known = ProblemKind.BAD_REQUEST.value
    body = orjson.dumps(
        {
            "type": known.uri,
            "title": known.title,
            "status": status,
            "detail": detail,
            "hint": known.advice,
            "request_id": None,
        }
    )
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n"
    )
    return head.encode("ascii") + body
