"""Every error of the API as a problem document (RFC 9457), in one table.

A client distinguishes problems by ``type``, which never changes; ``title`` is the type in words, and ``detail`` is
about the single request. Each type is also the address of a page that explains it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Final, Literal, get_args

import falcon
from pydantic import Field
from typing_extensions import TypeAliasType

from api.openapi.bodies import Body, Missing
from core.notifications.model import AddressFault

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/problems/"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problems.

    :param slug: the last part of its ``type``.
    :param advice: what the client can do.
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
    """All types of problems of the API."""

    BAD_PARAMETER = ProblemType(
        "bad-parameter",
        400,
        "A parameter is wrong",
        "Correct the request: errors lists everything that is unknown, missing, repeated or has a wrong value.",
    )
    BAD_REQUEST = ProblemType(
        "bad-request",
        400,
        "The request cannot be understood",
        "Correct the request: detail says what is wrong with it.",
    )
    NO_KEY = ProblemType(
        "no-key",
        401,
        "A key is needed",
        "Send Authorization: Bearer KEY. The operator creates keys with: python -m api keys add, and links for the "
        "dashboard with: python -m api sign-in.",
    )
    BAD_KEY = ProblemType(
        "bad-key",
        401,
        "The key is not valid",
        "The key is mistyped, unknown, revoked or expired: ask the operator for another.",
    )
    BAD_LINK = ProblemType(
        "bad-link",
        403,
        "The sign-in link is not valid",
        "Each link works once, within ten minutes. The operator creates another with: python -m api sign-in.",
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
        "Use the id of the merchant in the source of the transactions.",
    )
    UNKNOWN_NOTIFICATION = ProblemType(
        "unknown-notification", 404, "There is no such notification", "Use the id in the response that created it."
    )
    UNKNOWN_SUBSCRIPTION = ProblemType(
        "unknown-subscription", 404, "There is no such subscription", "/api/subscriptions lists them."
    )
    NOT_POSSIBLE = ProblemType(
        "not-possible",
        409,
        "The status of the notification does not allow this",
        "Read the status of its logs: you can retry dead, unknown and printed logs, and cancel logs that are not "
        "finished.",
    )
    IDEMPOTENCY_CONFLICT = ProblemType(
        "idempotency-conflict",
        422,
        "The Idempotency-Key was used for another request",
        "Use a new key for a new request, and the same body for a repeated one.",
    )
    NOT_FOUND = ProblemType("not-found", 404, "There is nothing at this address", "/openapi.json lists all addresses.")
    METHOD_NOT_ALLOWED = ProblemType(
        "method-not-allowed", 405, "The address does not allow the method", "Use a method that the header Allow lists."
    )
    STALE_CURSOR = ProblemType(
        "stale-cursor",
        409,
        "The pages belong to an earlier publication",
        "Summaries or names of merchants have changed since the first page: start again without the cursor.",
    )
    BODY_TOO_LARGE = ProblemType(
        "body-too-large", 413, "The body is too large", "Send a smaller one: detail gives the limit."
    )
    UNSUPPORTED_MEDIA_TYPE = ProblemType(
        "unsupported-media-type", 415, "The body is of the wrong type", "Send Content-Type: application/json."
    )
    TOO_MANY_REQUESTS = ProblemType(
        "too-many-requests", 429, "Too many requests", "Wait for the number of seconds in Retry-After, then try again."
    )
    INTERNAL_ERROR = ProblemType(
        "internal-error",
        500,
        "Internal error",
        "Report the request_id to the operator, who finds the error in the log with it.",
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
        "The server is overloaded",
        "Try again after the seconds in Retry-After.",
    )
    STORE_UNAVAILABLE = ProblemType(
        "store-unavailable",
        503,
        "The store does not answer",
        "Try again after the seconds in Retry-After; the server recovers by itself.",
    )


ErrorCode = TypeAliasType(
    "ErrorCode",
    Literal[
        "missing",
        "unknown",
        "not-a-choice",
        "out-of-range",
        "repeated",
        "line-breaks",
        "blank",
        "not-utf-8",
        "unknown-tenant",
        "ambiguous-user",
        AddressFault,
        "invalid",
    ],
)
"""What is wrong with a parameter, for programs."""

_CODES: Final[dict[str, ErrorCode]] = {
    **{code: code for code in get_args(ErrorCode.__value__)},
    "extra_forbidden": "unknown",
    "literal_error": "not-a-choice",
    "enum": "not-a-choice",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
    "int_parsing_size": "out-of-range",
    "string_too_short": "empty",
    "too_short": "empty",
    "string_too_long": "too-long",
    "too_long": "too-long",
    **dict.fromkeys(
        ("string_type", "tuple_type", "dict_type", "bool_type", "int_type", "int_parsing", "int_from_float"),
        "wrong-type",
    ),
}


def error_code(error_type: str) -> ErrorCode:
    """The code of an error that pydantic found.

    :param error_type: pydantic's own, or that of a `PydanticCustomError`, which is already a code.
    """
    return _CODES.get(error_type, "invalid")


@dataclass(frozen=True, slots=True)
class ParameterError:
    """An error in one parameter or field of the request."""

    parameter: Annotated[str, Field(description="The name of the parameter, header or field, such as `limit`.")]
    detail: Annotated[str, Field(description="What is wrong with it, in words that follow its name.")]
    code: Annotated[
        ErrorCode,
        Field(
            description="What is wrong with it, for programs; `invalid` if only `detail` explains it. More codes may "
            "be added."
        ),
    ] = "invalid"


class ProblemDetails(Body):
    """A failure, in the form of RFC 9457. Programs tell failures apart by `type`, which never changes."""

    type: str = Field(description="The kind of failure. It is also the path of a page that explains it.")
    title: str = Field(description="The kind of failure in words; the same for each `type`.")
    status: int = Field(ge=400, le=599, description="The HTTP status of the response.")
    detail: str = Field(description="What failed this time.")
    hint: str = Field(description="What to do about it.")
    request_id: str | None = Field(
        description="The `X-Request-Id` of the response, with which the operator finds the request in the log."
    )
    errors: list[ParameterError] | Missing = Field(
        default=None, description="With `/problems/bad-parameter` only: every error in the request."
    )


class Problem(Exception):
    """An error for the client; raise it anywhere below a resource.

    :param detail: a sentence with its full stop.
    :param errors: for `ProblemKind.BAD_PARAMETER`, all errors.
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


def bad_parameters(errors: Sequence[ParameterError]) -> Problem:
    """The problem of a request with `errors`, one or more."""
    names = ", ".join(dict.fromkeys(error.parameter for error in errors))
    return Problem(ProblemKind.BAD_PARAMETER, f"Wrong: {names}.", errors=errors)


def details_of(problem: Problem, request_id: str | None, status: int | None = None) -> ProblemDetails:
    """The body of the response for `problem`.

    :param status: of the response, if it is not that of the type of problem.
    """
    known = problem.kind.value
    details = ProblemDetails(
        type=known.uri,
        title=known.title,
        status=status or known.status,
        detail=problem.detail,
        hint=known.advice,
        request_id=request_id,
    )
    return details.model_copy(update={"errors": list(problem.errors)}) if problem.errors else details


def send_problem(problem: Problem, req: falcon.Request, resp: falcon.Response) -> None:
    """Replace `resp` by the problem document of `problem`."""
    known = problem.kind.value
    resp.status = known.status
    resp.text, resp.stream = None, None
    resp.data = details_of(problem, getattr(req.context, "request_id", None)).json_bytes()
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
    """A raw response, after which the connection is closed, to what is not a valid HTTP request."""
    body = details_of(Problem(ProblemKind.BAD_REQUEST, detail), None, status).json_bytes()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n"
    )
    return head.encode("ascii") + body
