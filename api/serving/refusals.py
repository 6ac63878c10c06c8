"""What gunicorn answers by itself, before the application has a say: problem documents here too."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from gunicorn.http import errors

from api.problems import CONTENT_TYPE, ProblemKind


class RequestTimeout(errors.ParseException):  # type: ignore[misc]
    """The client took too long to send its request."""


# Searched in order; the sentences hold nothing of the request, which may hold a key.
_REFUSALS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (RequestTimeout, HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive."),
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long."),
    (
        errors.LimitRequestHeaders,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The header fields are too many or too long.",
    ),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED, "This transfer coding is not known."),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "Of expectations only 100-continue is known."),
    (errors.InvalidRequestMethod, HTTPStatus.BAD_REQUEST, "The method is not valid."),
    (errors.InvalidHTTPVersion, HTTPStatus.BAD_REQUEST, "The version of HTTP is not known."),
    (errors.InvalidRequestLine, HTTPStatus.BAD_REQUEST, "The request line is not valid."),
    (errors.InvalidResponseHeader, HTTPStatus.INTERNAL_SERVER_ERROR, ""),
    (errors.InvalidResponseHeaderName, HTTPStatus.INTERNAL_SERVER_ERROR, ""),
    (errors.InvalidHeader, HTTPStatus.BAD_REQUEST, "A header field is not valid."),
    (errors.InvalidHeaderName, HTTPStatus.BAD_REQUEST, "The name of a header field is not valid."),
    (errors.ObsoleteFolding, HTTPStatus.BAD_REQUEST, "A header field is folded over lines."),
    (errors.ParseException, HTTPStatus.BAD_REQUEST, "The request is not valid HTTP."),
)


def refusal_of(error: BaseException) -> tuple[HTTPStatus, bytes]:
    """The status and the whole response, of a connection that is closed then, with which `error` is answered."""
    known = ((status, detail) for kind, status, detail in _REFUSALS if isinstance(error, kind))
    status, detail = next(known, (HTTPStatus.INTERNAL_SERVER_ERROR, ""))
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        problem, detail = ProblemKind.INTERNAL_ERROR.value, "Something unexpected happened."
    else:
        problem = ProblemKind.BAD_REQUEST.value
    body = orjson.dumps(
        {
            "type": problem.uri,
            "title": problem.title,
            "status": status.value,
            "detail": detail,
            "hint": problem.advice,
            "request_id": None,
        }
    )
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n"
    )
    return status, head.encode("ascii") + body
