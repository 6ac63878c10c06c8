"""Telegram messages by the Bot API: https://core.telegram.org/bots/api#sendmessage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import orjson

from core.notifications.addresses import BadAddress, normalised
from core.notifications.texts import chat_text, too_long
from core.settings import Settings
from notifier.senders.base import (
    DeliveryFailure,
    Message,
    NotSent,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
    operator_must_fix,
)
from notifier.senders.dialling import Deadline
from notifier.senders.http import GatewayResponse, HttpGateway, HttpSender
from notifier.senders.required_settings import base_url, require
from notifier.senders.responses import at_most, json_object, quoted, refusal_of, retry_after_s


class TelegramSender(HttpSender):
    """Sends by ``sendMessage``, as plain text: a title with ``<`` or ``*`` is shown unchanged.

    The API does not accept an id from us and has no status lookup, so an ambiguous send remains unknown.

    :param url: base address, without the token.
    """

    channels: ClassVar = frozenset({"telegram"})

    def __init__(self, http: HttpGateway, url: str, token: str) -> None:
        self._http = http
        self._token = token
        # The token is in the path: this attribute must not get into a log or a failure.
        self._method = f"{url}/bot{token}/sendMessage"

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        require(settings, "telegram", "telegram_bot_token")
        return cls(
            HttpGateway("Telegram", settings.notify_send_timeout_s),
            base_url("TELEGRAM_URL", settings.telegram_url),
            settings.telegram_bot_token.get_secret_value().strip(),
        )

    def send(self, message: Message) -> Receipt:
        """See `notifier.senders.base.Sender`. A text that is too long fails: of two halves, one could fail alone.

        A message to a group that has become another chat is sent to that chat, once.
        """
        if reason := too_long("telegram", message.title, message.body):
            raise NotSent(reason)
        text = chat_text(message.title, message.body)
        address, deadline = message.checked_address(), self._http.deadline()
        response, found = self._post(address, text, deadline)
        moved_to = _moved_to(found)
        if moved_to is not None:  # it was not sent, so it may be sent to the new chat; but not to a third one
            response, found = self._post(moved_to, text, deadline)
        if found is not None and found.get("ok") is True:
            result = found.get("result")
            number = result.get("message_id") if isinstance(result, dict) else None
            return Receipt(str(number) if isinstance(number, int) else None, moved_to=moved_to)
        if found is not None and found.get("ok") is False:
            raise self._refusal(response, found, message)
        raise _failure_without_error_code(response)

    def _post(self, chat: str, text: str, deadline: Deadline) -> tuple[GatewayResponse, Mapping[str, Any] | None]:
        """The response of the API to `text` for `chat`, and its JSON object, if any."""
        body = orjson.dumps({"chat_id": chat if chat.startswith("@") else int(chat), "text": text})
        response = self._http.post(self._method, body, {"content-type": "application/json"}, deadline)
        return response, json_object(response)

    def _refusal(self, response: GatewayResponse, found: Mapping[str, Any], message: Message) -> DeliveryFailure:
        """The failure of an error response of the API."""
        code = found.get("error_code")
        code = code if isinstance(code, int) else response.status
        description = quoted(
            str(found.get("description", "")),
            {self._token: "[token]", message.address: message.masked_address},
        )
        words = f"Telegram {code}: {description}" if description else f"Telegram {code}"
        parameters = found.get("parameters")
        named_s = at_most(parameters.get("retry_after")) if isinstance(parameters, dict) else None
        match code:
            case 401 | 404:  # a wrong token, or text that cannot be a token
                return operator_must_fix(f"{words}; check TELEGRAM_BOT_TOKEN")
            case 420 | 429:
                return Refused(words, named_s or retry_after_s(response, datetime.now(UTC)), receiver_only=True)
            case _ if 400 <= code < 500 and code not in (408, 409):
                return PermanentFailure(words)
            case _ if code >= 500 and code != 503 and named_s is None:
                # The API has also sent such responses for messages that were delivered.
                return UnclearAnswer(words)
        return TemporaryFailure(words, named_s)


def _moved_to(found: Mapping[str, Any] | None) -> str | None:
    """The chat that a group has become, from ``migrate_to_chat_id`` of an error; None without one."""
    parameters = None if found is None or found.get("ok") is not False else found.get("parameters")
    chat = parameters.get("migrate_to_chat_id") if isinstance(parameters, dict) else None
    try:
        return normalised("telegram", str(chat)) if isinstance(chat, int) else None
    except BadAddress:
        return None


def _failure_without_error_code(response: GatewayResponse) -> DeliveryFailure:
    """The failure of a response that is not the API's own, or incomplete: by its HTTP status."""
    words = f"Telegram: answer {response.status} that is not in the format of the Bot API"
    if (refusal := refusal_of(response, words, datetime.now(UTC))) is not None:
        return refusal
    if 300 <= response.status < 500:
        return operator_must_fix(f"{words}; check TELEGRAM_URL")
    # A proxy before the API (502, 504) does not know whether the message was accepted.
    return UnclearAnswer(words)
