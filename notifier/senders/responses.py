"""Parses the responses of gateways: JSON, Retry-After, and text that is safe to show."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from notifier.senders.base import Refused, TemporaryFailure
from notifier.senders.http import GatewayResponse

MAX_RETRY_AFTER_S: Final = 86_400.0
"""The longest wait that a gateway can ask for."""

_LATER: Final = (408, 425, 429, 503)
_MAX_QUOTED: Final = 200
_UNSHOWN: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def json_object(response: GatewayResponse) -> Mapping[str, Any] | None:
    """The JSON object in `response`; or None if it is another thing, or incomplete."""
    try:
        found = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def retry_after_s(response: GatewayResponse, now: datetime) -> float | None:
    """Seconds that the header ``Retry-After`` asks for, as a number or a date (RFC 9110, 10.2.3); None without one.

    :param now: with its time zone.
    """
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return at_most(float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return at_most((moment - now).total_seconds())


def refusal_of(response: GatewayResponse, words: str, now: datetime) -> TemporaryFailure | None:
    """The failure of a response whose HTTP status says that the message was not accepted, and may be later; else None.

    A rate limit (429) concerns all messages, and so does 503 if it says for how long.
    """
    if response.status not in _LATER:
        return None
    named_s = retry_after_s(response, now)
    concerns_all = response.status == 429 or (response.status == 503 and named_s is not None)
    return (Refused if concerns_all else TemporaryFailure)(words, named_s)


def at_most(seconds: object) -> float | None:
    """A number of seconds from a gateway, limited to `MAX_RETRY_AFTER_S`; None if it is no number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return None
    return float(min(max(seconds, 0), MAX_RETRY_AFTER_S))


def quoted(text: str, hidden: Mapping[str, str]) -> str:
    """Text of a gateway, in the form for the store and for people: one short line, with each of `hidden` replaced."""
    for secret, shown in hidden.items():
        if secret:
            text = shown.join(re.split(re.escape(secret), text, flags=re.IGNORECASE))
    return _UNSHOWN.sub(" ", text).strip()[:_MAX_QUOTED]
