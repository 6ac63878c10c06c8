"""What an operation is, and what operations are about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

from api.openapi.examples import Example
from api.problems import ProblemKind
from api.reading.parameters import Parameters

JSON: Final = "application/json"
HTML: Final = "text/html"


class Tag(StrEnum):
    """What operations are about; each value has its description in `TAGS`."""

    SUMMARIES = "Summaries"
    NOTIFICATIONS = "Notifications"
    ACCOUNT = "You and the service"
    OPERATION = "Operation"
    PAGES = "Pages"


TAGS: Final[dict[Tag, str]] = {
    Tag.SUMMARIES: "Exact sums and counts by day, week and month, read from what was published last.",
    Tag.NOTIFICATIONS: "Messages to users, over one channel or more, each delivered on its own and told of on its own. "
    "What was taken is kept, and is sent as soon as the queue and the gateway answer.\n\n"
    "A body is one JSON object in UTF-8 with `Content-Type: application/json`, which an open server wants also where "
    "there is none. Repeating is safe: with the same `Idempotency-Key` and body nothing is made twice. "
    "A key with the scope `notifications` reads all messages, also those about merchants whose summaries it may not "
    "read.",
    Tag.ACCOUNT: "What a key allows, and how the summaries stand.",
    Tag.OPERATION: "For load balancers and for Prometheus.",
    Tag.PAGES: "For people, and for the tools that read this description. They hold no data, so that they need no key.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method does on a path. ``HEAD`` does the same as ``GET`` without the body.

    :param answers: the media types of a body with status `status`, each with its model, or None for text.
    :param path_parameters: OpenAPI parameters in the path.
    :param header_parameters: OpenAPI parameters in the header, beside those of `kept`.
    :param request: the model of the body, or None where there is none.
    :param request_needed: whether there must be a body.
    :param problems: the kinds it may answer with, beside those that every operation may.
    :param scopes: a key needs one of these; None: no key is needed, and (): any key will do.
    :param may_be_there: whether it answers 200 where what it would make is there already.
    :param kept: whether answers have an ETag.
    :param paged: whether answers may have a header Link to the next page.
    :param guarded: whether keys and rates are looked at.
    """

    id: str
    path: str
    tag: Tag
    summary: str
    description: str
    answers: dict[str, type[BaseModel] | None]
    method: str = "GET"
    status: int = 200
    parameters: type[Parameters] | None = None
    path_parameters: tuple[dict[str, Any], ...] = ()
    header_parameters: tuple[dict[str, Any], ...] = ()
    request: type[BaseModel] | None = None
    request_needed: bool = True
    problems: tuple[ProblemKind, ...] = ()
    scopes: tuple[str, ...] | None = None
    examples: tuple[Example, ...] = ()
    may_be_there: bool = False
    kept: bool = False
    paged: bool = False
    guarded: bool = True


def in_path(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A parameter in the path, as text."""
    return _parameter("path", name, description, required=True, **schema)


def in_header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A parameter in the header that may be left out."""
    return _parameter("header", name, description, required=False, **schema)


def _parameter(where: str, name: str, description: str, *, required: bool, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": required,
        "description": description,
        "schema": {"type": "string", **schema},
    }
