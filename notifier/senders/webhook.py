"""Signed messages to HTTP servers on the public internet."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import ClassVar, Final, Self
from urllib.parse import urlsplit

import orjson

from core.instants import iso_instant
from core.notifications.model import AnnouncedTotals
from core.settings import Settings
from notifier.senders.base import Message, NotSent, PermanentFailure, Receipt, TemporaryFailure
from notifier.senders.dialling import anywhere, is_public
from notifier.senders.http import HttpGateway, HttpSender
from notifier.senders.required_settings import require
from notifier.senders.responses import refusal_of, retry_after_s

VERSION: Final = 1
"""The version of the body."""

_PORTS_OF_SCHEMES: Final = {"http": 80, "https": 443}


class WebhookSender(HttpSender):
    """Posts the message as JSON to the URL that is the user's address, signed.

    ``version`` is `VERSION`; a version may get new members, and none is removed or changed. ``announcement`` has the
    totals of an announced period, and is null in all other messages: see docs/notifications.md.

    ``Idempotency-Key`` is the id of the message, the same at each attempt: the receiver has to remember it and respond
    to a repetition with 2xx, because an attempt whose response was lost is repeated. ``X-Signature:
    t=<seconds>,v1=<hex>`` is the HMAC-SHA256 of ``<seconds>.<body>``; receivers verify it, and refuse old times.

    :param secret: of the signature; the same for all receivers, so each could forge messages to the others.
    :param ports: the ports that a URL may have; None for any.
    :param clock_s: seconds since 1970 UTC.
    """

    channels: ClassVar = frozenset({"webhook"})
    deduplicates: ClassVar = True

    def __init__(
        self,
        http: HttpGateway,
        secret: str,
        clock_s: Callable[[], float] = time.time,
        *,
        ports: Container[int] | None = None,
    ) -> None:
        self._http = http
        self._ports = ports
        self._secret = secret.encode()
        self._clock_s = clock_s

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        require(settings, "webhook", "webhook_secret")
        may_connect = anywhere if settings.webhook_allow_private else is_public
        return cls(
            HttpGateway("webhook", settings.notify_send_timeout_s, may_connect=may_connect),
            settings.webhook_secret.get_secret_value(),
            ports=settings.allowed_webhook_ports,
        )

    def send(self, message: Message) -> Receipt:
        """See `notifier.senders.base.Sender`. Any 2xx is a receipt; the body of the response is not read."""
        url = message.checked_address()
        port = _port_of(url)
        if self._ports is not None and port not in self._ports:
            raise NotSent(f"webhook: port {port} is not one of WEBHOOK_PORTS")
        content = orjson.dumps(
            {
                "version": VERSION,
                "id": message.id,
                "title": message.title,
                "body": message.body,
                "created_at": iso_instant(message.created_at_ms),
                "announcement": None if message.announced is None else _announcement(message, message.announced),
            }
        )
        now_s = self._clock_s()
        headers = {
            "content-type": "application/json",
            "idempotency-key": message.id,
            "x-signature": signature(self._secret, int(now_s), content),
        }
        response = self._http.post(url, content, headers)
        status = response.status
        if 200 <= status < 300:
            return Receipt()
        if 300 <= status < 400:
            raise PermanentFailure(f"webhook: answer {status}, and redirects are not followed")
        words, now = f"webhook: answer {status}", datetime.fromtimestamp(now_s, UTC)
        if (refusal := refusal_of(response, words, now)) is not None:
            raise refusal
        if status >= 500:
            raise TemporaryFailure(words, retry_after_s(response, now))
        raise PermanentFailure(words)


def _announcement(message: Message, totals: AnnouncedTotals) -> dict[str, str | int | None]:
    return {
        "merchant_id": message.merchant_id,
        "mode": totals.mode.value,
        "key": totals.key,
        "period_start": iso_instant(totals.start_ms),
        "period_end": iso_instant(totals.end_ms),
        "amount": totals.amount,
        "count": totals.count,
        "currency": totals.currency,
        "scale": totals.scale,
    }


def _port_of(url: str) -> int:
    """The port of `url`, which is ``http`` or ``https``."""
    parts = urlsplit(url)
    return parts.port or _PORTS_OF_SCHEMES[parts.scheme]


def signature(secret: bytes, at_s: int, content: bytes) -> str:
    """The header ``X-Signature`` of `content`, signed at `at_s` seconds since 1970."""
    digest = hmac.new(secret, b"%d.%s" % (at_s, content), hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"
