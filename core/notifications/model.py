"""Notifications: what shall be delivered to whom, over which channels."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.calendar.periods import Locale, Mode
from core.notifications.events import OPEN, LogStatus
from core.tenants import OPERATOR

RETENTION_DAYS: Final = 15
"""For so many days after its end whatever came with an Idempotency-Key is kept at least, and the key with it."""

BUILT_IN_CHANNELS: Final = frozenset({"sms", "email", "telegram", "webhook"})
"""The channels for which the program brings senders, and knows the form of addresses."""

_ID_BYTES: Final = 16  # which are 26 characters of base32


@dataclass(frozen=True, slots=True)
class AnnouncedTotals:
    """The figures of one period, as they were when they were announced.

    :param key: the period, such as ``1403/04/04``; it is the half-open interval from `start_ms` to `end_ms`,
        milliseconds since 1970 UTC.
    :param amount: the sum of amounts, in the unit of which 10 to the power of `scale` are one `currency`.
    :param count: the number of transactions.
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
    :param channels: over which it goes, one or more, each once, in the order of the request.
    :param locale: the language it is written in.
    :param created_at_ms: milliseconds since 1970 UTC, likewise `expires_at_ms`: from then on it is not sent any more.
    :param sender_key_id: the API key it came with, or None: a program on this host, or a subscription.
    :param request_digest: tells the request that made it from another under the same id, see `digest_of`.
    :param announces: whether it has figures of summaries: only keys that may read those may see or change it.
    :param merchant_id: whose summaries it announces, or None: of all merchants together.
    :param announced: the figures, or None: it announces none, or was made by a version that did not keep them.
    :param tenant: whose it is: only they and the operator may see or change it, and their contacts of the user count.
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
        """Whether it is not sent any more at `now_ms`."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def log_id(self, channel: str) -> str:
        """The id of the log of `channel`: the same for ever, so that a gateway recognises a repetition by it."""
        return f"{self.id}:{channel}"


class NotificationStatus(StrEnum):
    """How a notification stands as a whole: see `status_of`."""

    PENDING = "pending"
    SENT = "sent"
    PRINTED = "printed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def status_of(logs: Collection[LogStatus]) -> NotificationStatus:
    """How the notification stands whose logs, one or more, stand so.

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
    """How notifications may stand that have a log that stands as one of `logs`: see `status_of`."""
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
"""How a notification may stand of which no log is open, and one stands so."""


def new_id() -> str:
    """An id that nothing has had before."""
    return _text_of(secrets.token_bytes(_ID_BYTES))


def derived_id(*parts: str) -> str:
    """The id of whatever `parts` name: the same each time, so that it can be made only once."""
    return _text_of(_digest(parts, _ID_BYTES))


def digest_of(*parts: str) -> str:
    """What tells `parts` from any others, such as a request from another under the same id: 64 hexadecimal digits."""
    return _digest(parts, 32).hex()


def _digest(parts: Iterable[str], size: int) -> bytes:
    # Each part with its length: else the same text, cut in another place, would have the same digest.
    framed = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(framed.encode("utf-8", "surrogatepass"), digest_size=size).digest()


def _text_of(digest: bytes) -> str:
    return base64.b32encode(digest).decode("ascii").rstrip("=").lower()
