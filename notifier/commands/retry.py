"""``retry``: sends messages again that are dead, unknown or printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import typer

from core.command_line import opened, print_json, print_message
from core.errors import ServiceError, UsageError
from core.instants import parse_instant
from core.notifications.actions import RetryResult, retry, retry_all, statuses_in_words, unknown_channels
from core.notifications.events import RETRIABLE, LogStatus
from core.notifications.values import is_channel_name
from core.stores import Stores, wall_clock_ms
from core.stores.notifications import LogFilter, NotificationFilter, StoredNotification
from notifier.commands.arguments import require_tenant
from notifier.commands.status import require_notification

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class RetryFilter:
    """Selects messages, instead of naming notifications.

    :param statuses: of their logs.
    :param since: the earliest creation of their notifications, see `core.instants.parse_instant`, or a number of
        hours ago; None for any.
    :param until: before this instant; None for any.
    :param limit: the largest number of notifications to examine.
    """

    statuses: frozenset[str]
    since: str | float | None
    until: str | None
    tenant: str | None
    limit: int


def run(
    notification_ids: Sequence[str],
    channels: Sequence[str],
    every: RetryFilter | None,
    narrowing: Sequence[str],
    store_url: str | None,
    as_json: bool,
) -> None:
    """Send messages again.

    :param channels: only over these; empty for all.
    :param every: selects messages, instead of `notification_ids`.
    :param narrowing: the given options that are allowed with `every` only.
    """
    if narrowing and every is None:
        raise UsageError(
            f"{', '.join(narrowing)} can be used only with --all", "Give --all, or the ids of notifications."
        )
    if bool(notification_ids) == (every is not None):
        raise UsageError(
            "give either ids of notifications or --all",
            "python -m notifier status lists the failed notifications with their ids.",
        )
    wanted = None if every is None else _wanted(every, channels)
    with opened(store_url) as (_, stores):
        if every is None or wanted is None:
            found = _by_id(stores, notification_ids, channels)
        else:
            require_tenant(stores, every.tenant)
            logs = LogFilter(frozenset(map(LogStatus, every.statuses)), frozenset(channels))
            found = retry_all(stores.notifications, wanted, logs, wall_clock_ms, limit=every.limit)
    if as_json:
        retried = [{"id": one, "channels": again} for one, again in found.channels.items()]
        counts = {"notifications": len(found.channels), "messages": found.messages, "expired": found.expired}
        print_json({"retried": retried, **counts, "complete": found.after is None})
    else:
        _print_message(found)


def _print_message(found: RetryResult) -> None:
    for notification_id, again in found.channels.items():
        typer.echo(f"{notification_id} is sent again over {', '.join(again)}.")
    if not found.channels:
        typer.echo("There is nothing to send again.")
    if found.expired:
        print_message(f"Left out, because they have expired: {found.expired:,}.")
    if found.after is not None:
        print_message("There may be more: run the same command again, or with a higher --limit.", "warning")


def _wanted(every: RetryFilter, channels: Sequence[str]) -> NotificationFilter:
    if strange := [channel for channel in channels if not is_channel_name(channel)]:
        raise UsageError(
            f"{strange[0][:64]!r} cannot be the name of a channel", "Name a channel of NOTIFY_SENDERS, such as sms."
        )
    since = every.since
    from_ms = wall_clock_ms() - round(since * _HOUR_MS) if isinstance(since, float) else None
    if isinstance(since, str):
        from_ms = parse_instant("--from", since)
    before_ms = None if every.until is None else parse_instant("--to", every.until)
    return NotificationFilter(every.tenant, from_ms=from_ms, before_ms=before_ms)


def _by_id(stores: Stores, notification_ids: Sequence[str], channels: Sequence[str]) -> RetryResult:
    """All or none: errors are raised before any message is sent again."""
    found = [require_notification(stores, notification_id) for notification_id in dict.fromkeys(notification_ids)]
    for stored in found:
        _require_possible(stored, channels)
    retried = RetryResult()
    for stored in found:
        chosen = channels or stored.notification.channels
        if again := retry(stores.notifications, stored, chosen, wall_clock_ms):
            retried.channels[stored.notification.id] = again
    return retried


def _require_possible(stored: StoredNotification, channels: Sequence[str]) -> None:
    notification = stored.notification
    if strange := unknown_channels(notification, channels):
        raise UsageError(
            f"notification {notification.id} is not sent over {', '.join(strange)}",
            f"Its channels are {', '.join(notification.channels)}.",
        )
    if notification.has_expired(wall_clock_ms()):
        raise ServiceError(
            f"notification {notification.id} has expired: it would not be sent",
            "Send a new message if it still matters.",
        )
    chosen = channels or notification.channels
    if all(stored.log(channel).state.status not in RETRIABLE for channel in chosen):
        raise ServiceError(
            f"notification {notification.id} has nothing to send again: {statuses_in_words(stored, chosen)}",
            "Only dead, unknown and printed messages are sent again.",
        )
