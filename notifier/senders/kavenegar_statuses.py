"""Kavenegar's documented status codes, as failures of a message: https://kavenegar.com/rest.html."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from notifier.senders.base import (
    DeliveryFailure,
    PermanentFailure,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
    operator_must_fix,
)
from notifier.senders.http import GatewayResponse
from notifier.senders.responses import refusal_of

OK: Final = 200
UNKNOWN_ID: Final = 100
"""The status of a message that the gateway does not have."""

GIVEN_UP: Final[Mapping[int, str]] = {
    6: "the operator's network refused it",
    11: "it did not reach the phone",
    13: "it was cancelled",
    14: "the receiver has blocked messages from this line",
}
"""The statuses of a message that the gateway accepted and does not deliver."""

_MESSAGE: Final[Mapping[int, str]] = {
    400: "parameters are missing",
    406: "a required parameter is empty",
    411: "the receiver's number is not valid",
    413: "the message is empty or too long",
    414: "the request is too large",
    417: "the date is not valid",
    419: "the lists differ in length",
    420: "links are not allowed in the message",
    422: "the message has characters that are not allowed",
}
_OPERATOR: Final[Mapping[int, str]] = {
    401: "the account is not active",
    403: "the API key is not valid",
    404: "there is no such method; check KAVENEGAR_URL",
    405: "the method was called incorrectly; check KAVENEGAR_URL",
    407: "access is not allowed; check that the account allows this machine's address",
    412: "the line of KAVENEGAR_SENDER is not valid",
    416: "this machine's address is not among those of the account",
    418: "the account does not have enough credit",
    426: "the account lacks the advanced service",
    427: "the account may not use this line",
    501: "the account may only send test messages to its owner",
}
_FAILED: Final = 402
_EVERYBODY: Final[Mapping[int, str]] = {
    409: "the server cannot answer now",
    429: "this machine's address is limited",
    451: "too many calls in too short a time",
}
"""Temporary refusals of all messages."""


def failure_of(status: int) -> DeliveryFailure:
    """The failure of a ``return.status`` other than 200: nothing was sent."""
    if status in _MESSAGE:
        return PermanentFailure(f"Kavenegar {status}: {_MESSAGE[status]}")
    if status in _OPERATOR:
        return operator_must_fix(f"Kavenegar {status}: {_OPERATOR[status]}")
    if status in _EVERYBODY:
        return Refused(f"Kavenegar {status}: {_EVERYBODY[status]}")
    words = "the operation failed" if status == _FAILED else "a status that is not documented"
    return TemporaryFailure(f"Kavenegar {status}: {words}")


def failure_without_status(response: GatewayResponse) -> DeliveryFailure:
    """The failure of a response that is not Kavenegar's own, or incomplete: by its HTTP status."""
    status = response.status
    words = f"Kavenegar: answer {status} without its own status"
    if (refusal := refusal_of(response, words, datetime.now(UTC))) is not None:
        return refusal
    if status in _MESSAGE or (status in _OPERATOR and status < 500):
        return failure_of(status)
    if 300 <= status < 500:
        return operator_must_fix(f"{words}; check KAVENEGAR_URL")
    # A proxy before the gateway (502, 504) does not know whether the message was accepted.
    return UnclearAnswer(words)
