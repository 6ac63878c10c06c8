"""The models of request bodies, which validate them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, ValidationInfo, field_validator
from typing_extensions import TypeAliasType

from api.http.request_body import Payload
from api.notifications.field_types import Channels, Distinct, FutureInstant, Instant
from api.openapi.bodies import Locale
from core.calendar import Mode
from core.notifications.values import MerchantId, Message, Title, UserId

RetriableStatus = TypeAliasType("RetriableStatus", Literal["dead", "unknown", "printed"])


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
        default=None, description="Only these channels. Default: all whose log is `dead`, `unknown` or `printed`."
    )


class RetryAll(Payload):
    """The messages to send again: all that match, also of other programs and days."""

    statuses: Annotated[
        tuple[RetriableStatus, ...],
        Field(min_length=1, max_length=3, json_schema_extra={"uniqueItems": True}),
        Distinct,
    ] = Field(
        description="Only messages with these statuses: `dead`, `unknown`, `printed`. A message that is `unknown` may "
        "have arrived, and may then arrive twice."
    )
    channels: Channels | None = Field(default=None, description="Only messages over these channels. Default: all.")
    user_id: UserId | None = Field(default=None, description="Only messages to this user. Default: all users.")
    created_from: Instant | None = Field(
        default=None, description="Only messages created at this time or later: RFC 3339 with an offset from UTC."
    )
    created_before: Instant | None = Field(
        default=None, description="Only messages created before this time: RFC 3339 with an offset from UTC."
    )
    limit: Annotated[int, Field(ge=1, le=1000, strict=True)] = Field(
        default=100, description="The largest number of notifications to examine, newest first."
    )
    cursor: Annotated[str, Field(min_length=1, max_length=2048)] | None = Field(
        default=None, description="`next_cursor` of the previous response to a request with the same filter."
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
    """A subscription of a user to summaries. It has either `merchant_id` or `"all_merchants": true`."""

    user_id: UserId = Field(
        description="The user who receives them. Their addresses are those of `/api/users/{user_id}/contacts`."
    )
    merchant_id: MerchantId | None = Field(
        default=None, description="The merchant. Required, unless `all_merchants` is true; it must then be absent."
    )
    all_merchants: StrictBool = Field(
        default=False,
        validate_default=True,
        description="True for the summaries of all merchants together, instead of those of one.",
    )
    modes: Annotated[
        tuple[Mode, ...], Field(min_length=1, max_length=3, json_schema_extra={"uniqueItems": True}), Distinct
    ] = Field(description="The periods after which a message is sent: each day, week or month.")
    channels: Channels = Field(
        description="The channels over which messages are sent, each once: `sms`, `email`, `telegram`, `webhook`."
    )
    locale: Locale = Field(default="fa", description="The language of the messages: `fa` or `en`.")

    @field_validator("all_merchants")
    @classmethod
    def _either(cls, all_merchants: bool, info: ValidationInfo) -> bool:
        if "merchant_id" not in info.data:  # which is itself wrong
            return all_merchants
        named = info.data["merchant_id"] is not None
        if all_merchants and named:
            raise ValueError("must not be true if merchant_id is given")
        if not all_merchants and not named:
            raise ValueError("must be true if merchant_id is not given")
        return all_merchants
