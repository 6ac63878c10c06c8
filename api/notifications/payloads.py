"""The bodies that clients send, as models that check them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from api.http.request_body import Payload
from api.notifications.field_types import Channels, Distinct, FutureInstant, MerchantId, Message, Title, UserId
from api.openapi.bodies import Locale
from core.calendar import Mode


class NewNotification(Payload):
    """A message to a user, over one channel or more."""

    user_id: UserId = Field(
        description="The user who receives it. Their addresses are those of `/api/users/{user_id}/contacts`."
    )
    title: Title = Field(description="The title, one line.")
    body: Message = Field(description="The text of the message, in lines and paragraphs.")
    channels: Channels = Field(
        description="The channels over which it is sent, each once: `sms`, `email`, `telegram`, `webhook`."
    )
    locale: Locale = Field(default="fa", description="The language of the message: `fa` or `en`.")
    expires_at: FutureInstant | None = Field(
        default=None,
        description="It is not sent after this time: RFC 3339 with an offset from UTC, in the future.",
    )


class Retry(Payload):
    """The channels to send again. The body may also be absent, for all of them."""

    channels: Channels | None = Field(
        default=None, description="Only these channels. Without it: all whose log is `dead`, `unknown` or `printed`."
    )


class Contacts(Payload):
    """All addresses of a user."""

    contacts: dict[str, Any] = Field(
        max_length=16,
        description="The address for each channel: a mobile phone number for `sms` (Iranian unless it has a country "
        "code), an e-mail address for `email`, a chat number or `@name` for `telegram`, a URL for `webhook`.",
        json_schema_extra={"additionalProperties": {"type": "string", "minLength": 1, "maxLength": 2048}},
    )


class NewSubscription(Payload):
    """A subscription of a user to summaries."""

    user_id: UserId = Field(
        description="The user who receives them. Their addresses are those of `/api/users/{user_id}/contacts`."
    )
    merchant_id: MerchantId | None = Field(
        default=None, description="The merchant. Without it: the summaries of all merchants together."
    )
    modes: Annotated[
        tuple[Mode, ...], Field(min_length=1, max_length=3, json_schema_extra={"uniqueItems": True}), Distinct
    ] = Field(description="The periods after which a message is sent: each day, week or month.")
    channels: Channels = Field(
        description="The channels over which messages are sent, each once: `sms`, `email`, `telegram`, `webhook`."
    )
    locale: Locale = Field(default="fa", description="The language of the messages: `fa` or `en`.")
