"""What people may ask for of a notification that is kept: one rule for the API and the command line."""

from __future__ import annotations

from collections.abc import Collection

from core.notifications.events import RETRIABLE, Event, EventKind, LogStatus, is_possible
from core.notifications.model import Notification
from core.stores.holders import Clock
from core.stores.notifications import Kept, NotificationStore


def strange_channels(notification: Notification, channels: Collection[str]) -> list[str]:
    """Those of `channels` that the notification does not go over."""
    return [channel for channel in channels if channel not in notification.channels]


def standing(kept: Kept, channels: Collection[str]) -> str:
    """How the logs of `channels` stand, in words."""
    return ", ".join(f"{channel} is {kept.log(channel).state.status}" for channel in channels)


def retry(
    store: NotificationStore,
    kept: Kept,
    channels: Collection[str],
    clock: Clock,
    statuses: Collection[LogStatus] = RETRIABLE,
) -> list[str]:
    """Let those of `channels` be sent again whose logs stand as one of `statuses`, whether or not others are open.

    :returns: the channels over which it is sent again; none of a notification that has expired, which would not be.
    :raises StoreUnavailable: the store could not be written, or that is not known.
    """
    if kept.notification.has_expired(clock()):
        return []
    return [channel for channel in channels if _happens(store, kept, channel, EventKind.RETRY, clock, statuses)]


def cancel(store: NotificationStore, kept: Kept, clock: Clock) -> list[str]:
    """Let no open log be sent any more, except that an attempt under way is brought to its end.

    :returns: the channels that were open.
    :raises StoreUnavailable: the store could not be written, or that is not known.
    """
    channels = kept.notification.channels
    return [channel for channel in channels if _happens(store, kept, channel, EventKind.CANCEL, clock, LogStatus)]


def _happens(
    store: NotificationStore,
    kept: Kept,
    channel: str,
    kind: EventKind,
    clock: Clock,
    statuses: Collection[LogStatus] | type[LogStatus],
) -> bool:
    """Whether `kind` could happen to the log of `channel`, and has."""
    state = kept.log(channel).state
    while state.status in statuses and is_possible(state, kind):
        if store.append(kept.notification, channel, state, Event(state.number + 1, kind, clock())) is not None:
            return True
        found = store.get(kept.notification.id)
        if found is None:  # removed meanwhile
            return False
        state = found.log(channel).state
    return False
