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
    """Send again those of `channels` whose logs have one of `statuses`, whether or not others are open.

    :returns: the channels over which it is sent again; none of a notification that has expired, which would not be.
    :raises StoreUnavailable: the store could not be written, or that is not known.
    """
    if stored.notification.has_expired(clock()):
        return []
    return [channel for channel in channels if _happens(store, stored, channel, EventKind.RETRY, clock, statuses)]


@dataclass(slots=True)
class RetryResult:
    """The result of `retry_all`.

    :param channels: over which each notification is sent again, by its id.
    :param expired: how many notifications were left out, as they would not be sent any more.
    :param after: ``created_at_ms`` and id of the last that was examined, where there may be more; else None.
    """

    channels: dict[str, list[str]] = field(default_factory=dict)
    expired: int = 0
    after: tuple[int, str] | None = None

    @property
    def messages(self) -> int:
        """How many messages are sent again: one for each channel of a notification."""
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
    :param limit: at most so many notifications are examined.
    :param after: where an earlier call has stopped: its `RetryResult.after`.
    :raises StoreUnavailable: the store could not be written, or that is not known: some may be sent again already.
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
    """Cancel all open logs; an attempt under way is completed.

    :returns: the channels that were open.
    :raises StoreUnavailable: the store could not be written, or that is not known.
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
    """Whether `kind` could happen to the log of `channel`, and has."""
    state = stored.log(channel).state
    while state.status in statuses and is_possible(state, kind):
        if store.append(stored.notification, channel, state, Event(state.number + 1, kind, clock())) is not None:
            return True
        found = store.get(stored.notification.id)
        if found is None:  # removed meanwhile
            return False
        state = found.log(channel).state
    return False
