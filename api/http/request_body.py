"""Requests with bodies into checked models, with everything that is wrong told at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeVar

import falcon
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.http.request import has_json_type
from api.notifications.field_types import Rules, unknown_channel
from api.notifications.payloads import Contacts, Payload
from api.problems import ParameterError, Problem, ProblemKind
from core.notifications.addresses import BadAddress, normalised

_MOST_ERRORS: Final = 50  # a body of nothing but errors shall not be answered with a larger one
_LONGEST_NAME: Final = 60

PayloadT = TypeVar("PayloadT", bound=Payload)


def read_object(req: falcon.Request, *, needed: bool = True) -> dict[str, Any]:
    """The JSON object that is the body of `req`, which `api.threads.Blocking` has read.

    :param needed: whether there must be one; otherwise no body is an empty object.
    :raises Problem: unsupported media type; or the body is not a JSON object as RFC 8259 recommends them, in UTF-8
        and with each member once.
    """
    raw = req.context.body
    if not raw and not needed:
        return {}
    if not has_json_type(req):
        raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE, f"The body must be {falcon.MEDIA_JSON}.")
    try:
        # Not orjson: of members of one name it takes the last, and does not tell.
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_members_once, parse_constant=_no_number)
    except _Twice as twice:
        raise Problem(ProblemKind.BAD_REQUEST, f"The body has the member {twice.args[0]!r} twice.") from None
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        document = None
    if not isinstance(document, dict):
        raise Problem(ProblemKind.BAD_REQUEST, "The body is not a JSON object in UTF-8.")
    return document


def checked_payload(document: dict[str, Any], model: type[PayloadT], rules: Rules | None) -> PayloadT:
    """`document` as a `model`.

    :param rules: what it must agree with beside its form; None to look at the form only.
    :raises Problem: bad parameter, with all that is wrong.
    """
    try:
        return model.model_validate(document, context=rules)
    except ValidationError as error:
        errors = _told(error)
    raise bad_parameters(errors)


def addresses_in(document: dict[str, Any], channels: frozenset[str]) -> dict[str, str]:
    """The addresses of a body of the form `Contacts`, by channel, as they are kept.

    :param channels: over which something can be sent.
    :raises Problem: bad parameter, with all that is wrong.
    """
    errors: list[ParameterError] = []
    try:
        Contacts.model_validate(document)
    except ValidationError as error:
        errors.extend(_told(error))
    given = document.get("contacts")
    addresses: dict[str, str] = {}
    for channel, address in given.items() if isinstance(given, dict) else ():
        try:
            addresses[channel] = _address(channel, address, channels)
        except BadAddress as error:
            errors.append(ParameterError(f"contacts.{channel[:_LONGEST_NAME]}", f"is not allowed: {error}"))
    if errors:
        raise bad_parameters(errors)
    return addresses


def bad_parameters(errors: Iterable[ParameterError]) -> Problem:
    """The problem of a request of which `errors`, one or more, are wrong."""
    listed = list(errors)[:_MOST_ERRORS]
    names = ", ".join(dict.fromkeys(error.parameter for error in listed))
    return Problem(ProblemKind.BAD_PARAMETER, f"Wrong: {names}.", errors=listed)


def _address(channel: str, address: object, channels: frozenset[str]) -> str:
    if channel not in channels:
        raise BadAddress(unknown_channel(channel, channels))
    if not isinstance(address, str):
        raise BadAddress("it must be text")
    return normalised(channel, address)


class _Twice(ValueError):
    """A member is there twice."""


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


def _told(error: ValidationError) -> list[ParameterError]:
    details = error.errors(include_url=False, include_input=False)
    return [ParameterError(_where(detail), in_words(detail)) for detail in details[:_MOST_ERRORS]]


def _where(error: ErrorDetails) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in error["loc"])


def in_words(error: ErrorDetails) -> str:
    """What is wrong, in words for whoever sent it."""
    words = _WORDS.get(error["type"])
    return words(error.get("ctx", {})) if words else error["msg"].removeprefix("Value error, ")


_WORDS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "missing": lambda context: "is needed",
    "extra_forbidden": lambda context: "is not known here",
    "string_type": lambda context: "must be text",
    "string_unicode": lambda context: "is no Unicode text",
    "tuple_type": lambda context: "must be a list",
    "dict_type": lambda context: "must be an object",
    "string_too_short": lambda context: "is empty",
    "string_too_long": lambda context: f"is longer than {context['max_length']} characters",
    "too_short": lambda context: "is empty",
    "too_long": lambda context: f"has more than {context['max_length']}",
    "literal_error": lambda context: f"is not one of {context['expected']}",
    "enum": lambda context: f"is not one of {context['expected']}",
}
"""How pydantic's types of error are told, with its own words for all others."""
