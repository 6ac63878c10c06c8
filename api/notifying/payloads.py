"""The bodies that clients send, as models that check them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.notifying.values import Channels, Distinct, FutureInstant, MerchantId, Message, Title, UserId
from core.calendar import Mode
from core.calendar.periods import Locale


class Payload(BaseModel):
    """A body; a subclass names its members. Others are errors, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Payload):
    """A body without members, or none at all."""


class SignIn(Payload):
    """The token of a sign-in link."""

    token: str = Field(max_length=200, description="What follows the `#` in the link of `python -m api sign-in`.")


class NewNotification(Payload):
    """A message to a user, over one channel or more."""

    user_id: UserId = Field(description="Whom it goes to: see `/api/users/{user_id}/contacts`.")
    title: Title = Field(description="One line.")
    body: Message = Field(description="The message, in lines and paragraphs.")
    channels: Channels = Field(description="Over which it goes, each once: `sms`, `email`, `telegram`, `webhook`.")
    locale: Locale = Field(default="fa", description="The language it is written in.")
    expires_at: FutureInstant | None = Field(
        default=None,
        description="An instant with its offset from UTC, from which on it is not sent any more. It must be to come.",
    )


class Retry(Payload):
    """Which logs are sent again; an empty object, or no body, for all."""

    channels: Channels | None = Field(
        default=None, description="Only these; without it all that are `dead`, `unknown` or `printed`."
    )


class Contacts(Payload):
    """Where a user is reached, and nowhere else."""

    contacts: dict[str, Any] = Field(
        max_length=16,
        description="An address for each channel: a mobile phone number for `sms` (without a country: of Iran), an "
        "address for `email`, the number of a chat or `@name` for `telegram`, a URL for `webhook`.",
        json_schema_extra={"additionalProperties": {"type": "string", "minLength": 1, "maxLength": 2048}},
    )


class NewSubscription(Payload):
    """Who is told of which summaries, once a period has ended."""

    user_id: UserId = Field(description="Who is told: see `/api/users/{user_id}/contacts`.")
    merchant_id: MerchantId | None = Field(
        default=None, description="Whose summaries; without it those of all merchants together."
    )
    modes: Annotated[
        tuple[Mode, ...], Field(min_length=1, max_length=3, json_schema_extra={"uniqueItems": True}), Distinct
    ] = Field(description="The lengths of periods.")
    channels: Channels = Field(description="Over which, each once: `sms`, `email`, `telegram`, `webhook`.")
    locale: Locale = Field(default="fa", description="The language of the messages.")
