"""The operations of the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from api.http.query_parameters import Parameters
from api.problems import ProblemKind

JSON: Final = "application/json"


class Tag(StrEnum):
    """A group of operations, described in `TAGS`."""

    SUMMARIES = "Summaries"
    NOTIFICATIONS = "Notifications"
    CONTACTS = "Contacts"
    SUBSCRIPTIONS = "Subscriptions"
    ACCOUNT = "Account"
    SERVICE = "Service"


TAGS: Final[dict[Tag, str]] = {
    Tag.SUMMARIES: "Exact sums and counts of transactions by day, week and month.",
    Tag.NOTIFICATIONS: "Messages to users by SMS, e-mail, Telegram and webhook, and their delivery.",
    Tag.CONTACTS: "The addresses at which users receive messages.",
    Tag.SUBSCRIPTIONS: "Messages to users about each new day, week or month of summaries.",
    Tag.ACCOUNT: "What the caller may do, and the session of a browser.",
    Tag.SERVICE: "The state of the summaries and of the server, for operators, load balancers and Prometheus.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path. ``HEAD`` is ``GET`` without the body, and has no operation.

    :param result: the description of a successful response.
    :param answers: the media types of its body, each with its model, or None for text.
    :param takes_idempotency_key: whether it takes the header ``Idempotency-Key``.
    :param request: the model of the body of the request, or None.
    :param request_needed: whether that body is required.
    :param problems: its problems, in addition to those that follow from the other fields.
    :param scopes: a key needs one of these; None: no key is needed; (): any key.
    :param found: the description of the response 200, if the operation may find what it would create; or None.
    :param has_etag: whether responses have an ETag.
    :param guarded: whether keys and rate limits apply.
    """

    id: str
    path: str
    summary: str
    description: str
    result: str
    answers: dict[str, type[BaseModel] | None]
    tag: Tag
    method: str = "GET"
    status: int = 200
    parameters: type[Parameters] | None = None
    takes_idempotency_key: bool = False
    request: type[BaseModel] | None = None
    request_needed: bool = True
    problems: tuple[ProblemKind, ...] = ()
    scopes: tuple[str, ...] | None = None
    found: str | None = None
    has_etag: bool = False
    guarded: bool = True

    @property
    def paged(self) -> bool:
        """Whether responses may have a header Link to the next page."""
        return self.parameters is not None and "cursor" in self.parameters.model_fields
