"""Short messages by Kavenegar: https://kavenegar.com/rest.html."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote, urlencode

from core.instants import Clock, wall_clock_ms
from core.notifications.texts import sms_parts, sms_text, too_long
from core.settings import Settings
from notifier.senders.base import (
    Ambiguous,
    DeliveryFailure,
    Message,
    NotAskable,
    NotSent,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
    Unreachable,
    operator_must_fix,
)
from notifier.senders.http import GatewayResponse, HttpGateway, HttpSender
from notifier.senders.required_settings import base_url, require
from notifier.senders.responses import json_object, refusal_of

_REMEMBERED_MS: Final = 12 * 3_600_000  # for how long the gateway finds a message by our number
_OK: Final = 200
_UNKNOWN_ID: Final = 100
"""The status of a message that the gateway does not have."""

_GIVEN_UP: Final[Mapping[int, str]] = {
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


class KavenegarSender(HttpSender):
    """Sends by ``sms/send``, with our number of the message as ``localid``.

    The gateway answers a repeated ``localid`` with the message that it has, and sends nothing. It is not documented for
    how long, so this is only the second safeguard: the first is the status lookup after an ambiguous send (`find`).

    :param url: base address, without the key.
    :param line: the number from which messages are sent; empty for the default of the account.
    :param clock_ms: milliseconds since 1970 UTC.
    """

    channels: ClassVar = frozenset({"sms"})

    def __init__(self, http: HttpGateway, url: str, api_key: str, line: str, clock_ms: Clock = wall_clock_ms) -> None:
        self._http = http
        # The key is in the path: this attribute must not get into a log or a failure.
        self._methods = f"{url}/v1/{quote(api_key, safe='')}/sms"
        self._line = line
        self._clock_ms = clock_ms

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        require(settings, "kavenegar", "kavenegar_api_key")
        return cls(
            HttpGateway("Kavenegar", settings.notify_send_timeout_s),
            base_url("KAVENEGAR_URL", settings.kavenegar_url),
            settings.kavenegar_api_key.get_secret_value().strip(),
            settings.kavenegar_sender,
        )

    def send(self, message: Message) -> Receipt:
        """See `notifier.senders.base.Sender`. The text is the title, and the body on the next line."""
        if reason := too_long("kavenegar", message.title, message.body):
            raise NotSent(reason)
        text = sms_text(message.title, message.body)
        form = {
            "receptor": _receptor(message.checked_address()),
            "message": text,
            "localid": str(message.number_id),
            **({"sender": self._line} if self._line else {}),
        }
        response = self._call("send", form)
        status, entry = _returned(response)
        if status is None:
            raise _failure_without_status(response)
        if status != _OK:
            raise _failure_of(status)
        return _receipt(entry, sms_parts(text).parts)

    def find(self, message: Message) -> Receipt | None:
        """See `notifier.senders.base.Sender`. The gateway finds messages of the last 12 hours."""
        try:
            response = self._call("statuslocalmessageid", {"localid": str(message.number_id)})
        except Ambiguous as lost:
            raise Unreachable(lost.reason) from None
        status, entry = _returned(response)
        if status is None:
            raise TemporaryFailure(f"Kavenegar: answer {response.status} that is not in the format of its API")
        if status != _OK:
            failure = _failure_of(status)
            raise failure if isinstance(failure, Refused) else TemporaryFailure(failure.reason)
        if entry.get("status") != _UNKNOWN_ID and entry.get("messageid"):
            return _receipt(entry, None)
        began_at_ms = message.created_at_ms if message.attempted_at_ms is None else message.attempted_at_ms
        if self._clock_ms() - began_at_ms >= _REMEMBERED_MS:
            raise NotAskable
        return None

    def _call(self, method: str, form: Mapping[str, str]) -> GatewayResponse:
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "accept": "application/json"}
        return self._http.post(f"{self._methods}/{method}.json", urlencode(form).encode("ascii"), headers)


def _receptor(number: str) -> str:
    """An E.164 number in the form that the gateway documents: as dialled in Iran."""
    return f"0{number[3:]}" if number.startswith("+98") else f"00{number[1:]}"


def _returned(response: GatewayResponse) -> tuple[int | None, Mapping[str, Any]]:
    """``return.status``, which says whether the call succeeded, or None without it; and the first entry."""
    found = json_object(response) or {}
    head, entries = found.get("return"), found.get("entries")
    status = head.get("status") if isinstance(head, dict) else None
    if isinstance(entries, list):
        entries = entries[0] if entries else None
    entry = entries if isinstance(entries, dict) else {}
    return (status if isinstance(status, int) and not isinstance(status, bool) else None), entry


def _receipt(entry: Mapping[str, Any], parts: int | None) -> Receipt:
    status, reference = entry.get("status"), entry.get("messageid")
    if isinstance(status, int) and status in _GIVEN_UP:
        raise PermanentFailure(f"Kavenegar accepted the message, and then: {_GIVEN_UP[status]}")
    return Receipt(str(reference)[:64] if reference and isinstance(reference, int | str) else None, parts)


def _failure_of(status: int) -> DeliveryFailure:
    """The failure of a ``return.status`` other than 200: nothing was sent."""
    if status in _MESSAGE:
        return PermanentFailure(f"Kavenegar {status}: {_MESSAGE[status]}")
    if status in _OPERATOR:
        return operator_must_fix(f"Kavenegar {status}: {_OPERATOR[status]}")
    if status in _EVERYBODY:
        return Refused(f"Kavenegar {status}: {_EVERYBODY[status]}")
    words = "the operation failed" if status == _FAILED else "a status that is not documented"
    return TemporaryFailure(f"Kavenegar {status}: {words}")


def _failure_without_status(response: GatewayResponse) -> DeliveryFailure:
    """The failure of a response that is not Kavenegar's own, or incomplete: by its HTTP status."""
    status = response.status
    words = f"Kavenegar: answer {status} without its own status"
    if (refusal := refusal_of(response, words, datetime.now(UTC))) is not None:
        return refusal
    if status in _MESSAGE or (status in _OPERATOR and status < 500):
        return _failure_of(status)
    if 300 <= status < 500:
        return operator_must_fix(f"{words}; check KAVENEGAR_URL")
    # A proxy before the gateway (502, 504) does not know whether the message was accepted.
    return UnclearAnswer(words)
