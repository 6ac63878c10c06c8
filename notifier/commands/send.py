"""``send``: one message to a user, as the API takes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from core.calendar.periods import Locale
from core.command_line import opened, print_message, print_result
from core.errors import ServiceError, UsageError
from core.instants import parse_expiry
from core.notifications.idempotency import QUEUED_AFTER_MS, id_of_request, request_digest
from core.notifications.model import Notification, new_id
from core.notifications.reach_warnings import message_warnings
from core.notifications.texts import too_long
from core.notifications.users import tenant_to_write
from core.notifications.values import Message, Title, UserId
from core.settings import Settings
from core.stores import wall_clock_ms
from notifier.commands.arguments import require_channels, tenant_of, text, warn, warnings_view
from notifier.commands.queue import Queue
from notifier.commands.status import notification_view

_KEY: Final = re.compile(r"[!-~]{1,255}")


def run(
    user: str,
    title: str,
    body: str,
    channels: Sequence[str],
    locale: Locale,
    expires: str | None,
    idempotency_key: str | None,
    tenant: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Store a message, and queue it.

    :param expires: the expiry, see `core.instants.parse_expiry`.
    :param idempotency_key: the message is created once for each key.
    """
    user, title, body = text("USER", UserId, user), text("--title", Title, title), text("--body", Message, body)
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise UsageError(
            "--idempotency-key must be 1 to 255 visible ASCII characters", "Choose a unique text, such as order-66."
        )
    now_ms = wall_clock_ms()
    expires_at_ms = None if expires is None else parse_expiry(expires, now_ms)
    with opened(store_url, create=True) as (settings, stores):
        _require_fitting(channels, title, body, settings)
        owner = tenant_of(stores, user, tenant, tenant_to_write)
        wanted = Notification(
            id=new_id() if idempotency_key is None else id_of_request("notification", owner, idempotency_key),
            user_id=user,
            title=title,
            body=body,
            channels=tuple(channels),
            locale=locale,
            created_at_ms=now_ms,
            expires_at_ms=expires_at_ms,
            request_digest=request_digest(user, title, body, locale, _fixed(expires, expires_at_ms), channels),
            tenant=owner,
        )
        stored = stores.notifications.add(wanted, now_ms + QUEUED_AFTER_MS)
        if stored.notification.request_digest != wanted.request_digest:
            raise UsageError(
                f"another message was created with --idempotency-key {idempotency_key}",
                "Use a new key for a new message; repeat a used key only with the same message.",
            )
        addresses = stores.contacts.get(user, tenant=owner)
    warnings = message_warnings(user, channels, settings.senders, addresses)
    queued = any(log.state.is_open for log in stored.logs) and _queue(settings, wanted.id)
    created = notification_view(stored) | {"queued": queued, "warnings": warnings_view(warnings)}
    print_result(as_json, created, wanted.id)
    warn(warnings)


def _fixed(expires: str | None, expires_at_ms: int | None) -> int | None:
    """The expiry for the digest; None if it is relative to now, which is another instant each time."""
    return None if expires is None or expires[-1] in "dhm" else expires_at_ms


def _require_fitting(channels: Sequence[str], title: str, body: str, settings: Settings) -> None:
    require_channels(channels, settings.senders, settings)
    for channel in channels:
        if (why := too_long(settings.senders[channel], title, body)) is not None:
            raise UsageError(f"the message is too long for {channel}: {why}", "Shorten it, or omit the channel.")


def _queue(settings: Settings, notification_id: str) -> bool:
    """Queue it, so that a worker sends it at once; whether the queue accepted it."""
    try:
        Queue(settings).put(notification_id)
    except ServiceError as error:
        print_message(f"It is stored, and will be sent when the queue is back: {error.sentence}.")
        return False
    return True
