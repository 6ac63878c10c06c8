"""Bodies of requests: their size limit, and the validation of JSON; one response lists all errors."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, TypeVar

import falcon
import falcon.asgi
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from api.http.request import has_json_type
from api.problems import ParameterError, Problem, ProblemKind, bad_parameters, error_code
from core.notifications.values import in_words

MOST_ERRORS: Final = 50
"""The most errors of a body in a response, so that the response to a body full of errors is not much larger."""
_LONGEST_NAME: Final = 60


class Payload(BaseModel):
    """A body, with the members that a subclass declares. Unknown members are errors, and no value is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Payload):
    """An empty object. The body may also be absent."""


PayloadT = TypeVar("PayloadT", bound=Payload)


class BodyLimit:
    """Middleware that refuses a body that is too large before reading it.

    A chunked body has no Content-Length: `read_body` counts its bytes.

    :param max_bytes: the largest body.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check the Content-Length.

        :raises Problem: the body is too large.
        """
        if (req.content_length or 0) > self._max_bytes:
            raise _too_large(self._max_bytes)


async def read_body(req: falcon.asgi.Request, max_bytes: int) -> bytes:
    """The whole body of `req`.

    :raises Problem: it is too large, or incomplete.
    """
    if req.method in ("GET", "HEAD"):
        return b""
    body = bytearray()
    async for part in req.stream:
        body += part
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    if req.content_length is not None and len(body) < req.content_length:
        raise Problem(ProblemKind.BAD_REQUEST, "The body of the request ended early.")
    return bytes(body)


def _too_large(max_bytes: int) -> Problem:
    return Problem(ProblemKind.BODY_TOO_LARGE, f"A body may have {max_bytes:,} bytes.")


def read_object(req: falcon.Request, *, needed: bool = True) -> dict[str, Any]:
    """The JSON object that is the body of `req`, which `read_body` has read.

    :param needed: whether a body is required; otherwise no body counts as an empty object.
    :raises Problem: unsupported media type; or the body is not a JSON object in UTF-8 with unique members (RFC 8259).
    """
    raw = req.context.body
    if not raw and not needed:
        return {}
    if not has_json_type(req):
        raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE, f"The body must be {falcon.MEDIA_JSON}.")
    try:
        # Not orjson, which silently uses the last of several members of one name.
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_members_once, parse_constant=_no_number)
    except _Twice as twice:
        raise Problem(ProblemKind.BAD_REQUEST, f"The body has the member {twice.args[0]!r} twice.") from None
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        document = None
    if not isinstance(document, dict):
        raise Problem(ProblemKind.BAD_REQUEST, "The body is not a JSON object in UTF-8.")
    return document


def checked_payload(document: dict[str, Any], model: type[PayloadT], context: object) -> PayloadT:
    """`document` as a `model`.

    :param context: that of the validation; None to validate the form only.
    :raises Problem: bad parameter, with all errors.
    """
    try:
        return model.model_validate(document, context=context)
    except ValidationError as error:
        errors = errors_of(error)
    raise bad_parameters(errors)


class _Twice(ValueError):
    """A member is repeated."""


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        name.encode()  # half of a surrogate pair is no text
        if name in members:
            raise _Twice(name[:_LONGEST_NAME])
        members[name] = value
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def errors_of(error: ValidationError) -> list[ParameterError]:
    """The errors of a body."""
    details = error.errors(include_url=False, include_input=False)
    places = [detail["loc"] for detail in details]
    # pydantic also reports a list with invalid items only as too short.
    details = [
        detail
        for detail, place in zip(details, places, strict=True)
        if detail["type"] != "too_short" or not any(place == other[: len(place)] != other for other in places)
    ]
    return [
        ParameterError(_where(detail), in_words(detail), error_code(detail["type"])) for detail in details[:MOST_ERRORS]
    ]


def _where(error: ErrorDetails) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in error["loc"])
