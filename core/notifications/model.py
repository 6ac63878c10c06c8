"""Notifications: messages to users over one or more channels."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from core.calendar.periods import Locale, Mode
from core.notifications.events import OPEN, LogStatus
from core.tenants import OPERATOR

RETENTION_DAYS: Final = 15
"""The least number of days for which an Idempotency-Key, and what it created, is stored after the end of the latter."""

BUILT_IN_CHANNELS: Final = frozenset({"sms", "email", "telegram", "webhook"})
"""The channels for which the program has senders and validates addresses."""

AddressFault = Literal[
    "empty",
    "too-long",
    "wrong-type",
    "control-characters",
    "unknown-channel",
    "no-phone-number",
    "no-such-phone-number",
    "no-mobile-phone",
    "no-email-address",
    "no-chat",
    "no-url",
    "no-web-url",
    "credentials-in-url",
    "fragment-in-url",
    "no-host",
]
"""Why a text cannot be an address, for programs."""

_ID_BYTES: Final = 16  # 26 characters of base32


@dataclass(frozen=True, slots=True)
class AnnouncedTotals:
    """The totals of one period at the time of the announcement.

    :param key: the period, such as ``1403/04/04``; it is the half-open interval from `start_ms` to `end_ms`,
        milliseconds since 1970 UTC.
    :param amount: the sum of amounts, in units of `currency` divided by 10 to the power of `scale`.
    """

    mode: Mode
    key: str
    start_ms: int
    end_ms: int
    amount: int
    count: int
    currency: str
    scale: int


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to a user. It never changes once it is stored; its logs have the status of its delivery.

    :param id: 26 letters and digits, see `new_id` and `derived_id`.
    :param channels: one or more, each once, in the order of the request.
    :param locale: the language of the text.
    :param created_at_ms: milliseconds since 1970 UTC, as `expires_at_ms`: from then on it is not sent.
    :param sender_key_id: the API key of the request, or None: created by a program on this host or for a subscription.
    :param request_digest: distinguishes the request from another with the same id, see `digest_of`.
    :param announces: whether it has totals of summaries: only keys that may read those may see or change it.
    :param merchant_id: the merchant whose summaries it announces, or None: all merchants together.
    :param announced: the totals, or None: it announces none, or an earlier version created it without them.
    :param tenant: its owner: only the tenant and the operator may see or change it. The address is the tenant's.
    """

    id: str
    user_id: str
    title: str
    body: str
    channels: tuple[str, ...]
    locale: Locale
    created_at_ms: int
    expires_at_ms: int | None = None
    sender_key_id: str | None = None
    request_digest: str = ""
    announces: bool = False
    merchant_id: str | None = None
    tenant: str = OPERATOR
    announced: AnnouncedTotals | None = None

    def has_expired(self, now_ms: int) -> bool:
        """Whether it has expired at `now_ms`, and is not sent."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def log_id(self, channel: str) -> str:
        """The id of the log of `channel`: it never changes, so that a gateway recognises a repetition."""
        return f"{self.id}:{channel}"


class NotificationStatus(StrEnum):
    """The status of a notification as a whole: see `status_of`."""

    PENDING = "pending"
    SENT = "sent"
    PRINTED = "printed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def status_of(logs: Collection[LogStatus]) -> NotificationStatus:
    """The status of a notification from those of its logs, one or more.

    `SENT` only when all succeeded; `PRINTED` when all succeeded or were printed, and one was only printed; `CANCELLED`
    when all were cancelled; `FAILED` when none is open and it is none of these.
    """
    statuses = set(logs)
    if statuses & OPEN:
        return NotificationStatus.PENDING
    if statuses == {LogStatus.SUCCESS}:
        return NotificationStatus.SENT
    if statuses <= {LogStatus.SUCCESS, LogStatus.PRINTED}:
        return NotificationStatus.PRINTED
    if statuses == {LogStatus.CANCELLED}:
        return NotificationStatus.CANCELLED
    return NotificationStatus.FAILED


def statuses_with(logs: Collection[LogStatus]) -> frozenset[NotificationStatus]:
    """The statuses that notifications with a log of one of these statuses can have: see `status_of`."""
    return frozenset({NotificationStatus.PENDING}).union(*(_WITH_LOG[status] for status in logs))


_WITH_LOG: Final[Mapping[LogStatus, tuple[NotificationStatus, ...]]] = {
    LogStatus.PENDING: (),
    LogStatus.SENDING: (),
    LogStatus.RETRYING: (),
    LogStatus.SUCCESS: (NotificationStatus.SENT, NotificationStatus.PRINTED, NotificationStatus.FAILED),
    LogStatus.PRINTED: (NotificationStatus.PRINTED, NotificationStatus.FAILED),
    LogStatus.DEAD: (NotificationStatus.FAILED,),
    LogStatus.UNKNOWN: (NotificationStatus.FAILED,),
    LogStatus.CANCELLED: (NotificationStatus.CANCELLED, NotificationStatus.FAILED),
}
"""The statuses that a notification can have if none of its logs is open, by the status of one of them."""


def new_id() -> str:
    """A new unique id."""
    return _text_of(secrets.token_bytes(_ID_BYTES))


def derived_id(*parts: str) -> str:
    """The id derived from `parts`: always the same, so that the thing can be created only once."""
    return _text_of(_digest(parts, _ID_BYTES))


def digest_of(*parts: str) -> str:
    """The digest of `parts`, such as the fields of a request: 64 hexadecimal digits."""
    return _digest(parts, 32).hex()


def _digest(parts: Iterable[str], size: int) -> bytes:
    # With their lengths, or the same text split in another place would have the same digest.
    framed = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(framed.encode("utf-8", "surrogatepass"), digest_size=size).digest()


def _text_of(digest: bytes) -> str:
    return base64.b32encode(digest).decode("ascii").rstrip("=").lower()
