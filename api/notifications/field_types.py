"""The types of values in request bodies, with their validation and their OpenAPI schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from core.instants import instant_ms
from core.notifications.values import CHANNEL_PATTERN, is_channel_name

_LAST_INSTANT_MS: Final = 253_402_300_799_999  # the year 9999 is the last that RFC 3339 can write
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_QUOTED: Final = 60


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The context of the validation of a body; without it, channels and times are not compared with these.

    :param channels: the channels of the settings.
    :param now_ms: milliseconds since 1970 UTC.
    """

    channels: frozenset[str]
    now_ms: int


def unknown_channel(channel: str, known: frozenset[str]) -> str:
    """The error of a `channel` that is not in `known`."""
    return f"{_shown(channel)} is not a channel of this server ({', '.join(sorted(known))})"


def _no_channel(channel: str) -> str:
    return f"{_shown(channel)} cannot be the name of a channel"


def _shown(channel: str) -> str:
    return repr(channel if len(channel) <= _QUOTED else channel[:_QUOTED] + "…")


def _instant_text(value: object) -> object:
    # pydantic would also accept numbers, as seconds since 1970.
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("must be an instant with its offset from UTC, such as 2026-11-23T18:00:00Z")
    return value


def _to_come(instant: datetime, info: ValidationInfo) -> datetime:
    context: ValidationContext | None = info.context
    if context is not None and instant_ms(instant) <= context.now_ms:
        raise ValueError("is in the past: the message would never be sent")
    if instant_ms(instant) > _LAST_INSTANT_MS:
        raise ValueError("is after the year 9999")
    return instant


def _each_once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if wrong := _twice(items):
        raise PydanticCustomError("repeated", "{detail}", {"detail": wrong})
    return items


def _each_once_and_known(channels: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    context: ValidationContext | None = info.context
    if context is None:
        errors = [_no_channel(channel) for channel in dict.fromkeys(channels) if not is_channel_name(channel)]
    else:
        strange = [channel for channel in dict.fromkeys(channels) if channel not in context.channels]
        errors = [unknown_channel(channel, context.channels) for channel in strange]
    code: LiteralString = "unknown-channel" if errors else "repeated"
    if wrong := _twice(channels):
        errors.append(wrong)
    if errors:
        raise PydanticCustomError(code, "{detail}", {"detail": "; ".join(errors)})
    return channels


def _twice(items: Sequence[Any]) -> str | None:
    twice = sorted({str(item)[:_QUOTED] for item in items if items.count(item) > 1})
    return f"must not be repeated: {', '.join(twice)}" if twice else None


Instant = Annotated[AwareDatetime, BeforeValidator(_instant_text)]
FutureInstant = Annotated[AwareDatetime, BeforeValidator(_instant_text), AfterValidator(_to_come)]
Distinct = AfterValidator(_each_once)
Channels = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1), Field(json_schema_extra={"pattern": CHANNEL_PATTERN})], ...],
    Field(min_length=1, max_length=16, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_each_once_and_known),
]
