"""Short messages by Kavenegar: https://kavenegar.com/rest.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote, urlencode

from core.instants import Clock, wall_clock_ms
from core.notifications.texts import sms_parts, sms_text, too_long
from core.settings import Settings
from notifier.senders.base import (
    Ambiguous,
    Message,
    NotAskable,
    NotSent,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    Unreachable,
)
from notifier.senders.http import GatewayResponse, HttpGateway, HttpSender
from notifier.senders.kavenegar_statuses import GIVEN_UP, OK, UNKNOWN_ID, failure_of, failure_without_status
from notifier.senders.required_settings import base_url, require
from notifier.senders.responses import json_object

_REMEMBERED_MS: Final = 12 * 3_600_000  # for how long the gateway finds a message by our number


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
        """See `notifier.senders.base.Sender`; needs ``KAVENEGAR_API_KEY``."""
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
            raise failure_without_status(response)
        if status != OK:
            raise failure_of(status)
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
        if status != OK:
            failure = failure_of(status)
            raise failure if isinstance(failure, Refused) else TemporaryFailure(failure.reason)
        if entry.get("status") != UNKNOWN_ID and entry.get("messageid"):
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
    if isinstance(status, int) and status in GIVEN_UP:
        raise PermanentFailure(f"Kavenegar accepted the message, and then: {GIVEN_UP[status]}")
    return Receipt(str(reference)[:64] if reference and isinstance(reference, int | str) else None, parts)
