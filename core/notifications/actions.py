"""Retry and cancel of stored notifications: one set of rules for the API and the command line."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from core.instants import Clock
from core.notifications.events import RETRIABLE, Event, EventKind, LogStatus, is_possible
from core.notifications.model import Notification
from core.stores.notifications import LogFilter, NotificationFilter, NotificationStore, StoredNotification

_PAGE: Final = 100  # read at once


def unknown_channels(notification: Notification, channels: Collection[str]) -> list[str]:
    """Those of `channels` that the notification does not have."""
    return [channel for channel in channels if channel not in notification.channels]


def statuses_in_words(stored: StoredNotification, channels: Collection[str]) -> str:
    """The status of the log of each of `channels`, in words."""
    return ", ".join(f"{channel} is {stored.log(channel).state.status}" for channel in channels)


def retry(
    store: NotificationStore,
    stored: StoredNotification,
    channels: Collection[str],
    clock: Clock,
    statuses: Collection[LogStatus] = RETRIABLE,
) -> list[str]:
    """Send again those of `channels` whose logs have one of `statuses`, also while others are open.

    :returns: the channels over which it is sent again; none if the notification has expired.
    :raises StoreUnavailable: the store was not written, or may have been.
    """
    if stored.notification.has_expired(clock()):
        return []
    return [channel for channel in channels if _happens(store, stored, channel, EventKind.RETRY, clock, statuses)]


@dataclass(slots=True)
class RetryResult:
    """The result of `retry_all`.

    :param channels: the channels over which each notification is sent again, by its id.
    :param expired: the number of notifications that were left out because they have expired.
    :param after: ``created_at_ms`` and id of the last examined notification if there may be more; else None.
    """

    channels: dict[str, list[str]] = field(default_factory=dict)
    expired: int = 0
    after: tuple[int, str] | None = None

    @property
    def messages(self) -> int:
        """The number of messages that are sent again: one for each channel of a notification."""
        return sum(map(len, self.channels.values()))


def retry_all(
    store: NotificationStore,
    wanted: NotificationFilter,
    logs: LogFilter,
    clock: Clock,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
) -> RetryResult:
    """Send again all `logs` of the notifications that `wanted` selects, the newest notifications first.

    :param wanted: its `logs` are replaced by `logs`.
    :param after: where an earlier call stopped: its `RetryResult.after`.
    :raises StoreUnavailable: the store was not written, or may have been; some may be sent again already.
    """
    wanted, found = replace(wanted, logs=logs), RetryResult(after=after)
    while limit > 0:
        page = store.listed(wanted, after=found.after, limit=min(limit, _PAGE))
        for listed in page:
            _retry_listed(store, listed.notification, logs, clock, found)
        if len(page) < min(limit, _PAGE):
            found.after = None
            break
        limit -= len(page)
        found.after = page[-1].notification.created_at_ms, page[-1].notification.id
    return found


def _retry_listed(
    store: NotificationStore, notification: Notification, logs: LogFilter, clock: Clock, found: RetryResult
) -> None:
    if notification.has_expired(clock()):
        found.expired += 1
    elif (stored := store.get(notification.id)) is not None:
        channels = [channel for channel in notification.channels if not logs.channels or channel in logs.channels]
        if again := retry(store, stored, channels, clock, logs.statuses):
            found.channels[notification.id] = again


def cancel(store: NotificationStore, stored: StoredNotification, clock: Clock) -> list[str]:
    """Cancel all open logs; an attempt in progress is completed.

    :returns: the channels that were open.
    :raises StoreUnavailable: the store was not written, or may have been.
    """
    channels = stored.notification.channels
    return [channel for channel in channels if _happens(store, stored, channel, EventKind.CANCEL, clock, LogStatus)]


def _happens(
    store: NotificationStore,
    stored: StoredNotification,
    channel: str,
    kind: EventKind,
    clock: Clock,
    statuses: Collection[LogStatus] | type[LogStatus],
) -> bool:
    """Append an event of `kind` to the log of `channel`, if possible; whether that was done."""
    state = stored.log(channel).state
    while state.status in statuses and is_possible(state, kind):
        if store.append(stored.notification, channel, state, Event(state.number + 1, kind, clock())) is not None:
            return True
        found = store.get(stored.notification.id)
        if found is None:  # removed in the meantime
            return False
        state = found.log(channel).state
    return False
