"""The interface of the store of notifications and their events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from core.notifications.events import Event, LogState, LogStatus, fold_events
from core.notifications.model import Notification, NotificationStatus, status_of


@dataclass(frozen=True, slots=True)
class Log:
    """The delivery of a notification over one channel: its events, and its state after them."""

    channel: str
    events: tuple[Event, ...]
    state: LogState


@dataclass(frozen=True, slots=True)
class StoredNotification:
    """A notification with its logs, in the order of its channels."""

    notification: Notification
    logs: tuple[Log, ...]

    def log(self, channel: str) -> Log:
        """The log of `channel`, which is one of the notification's."""
        return next(log for log in self.logs if log.channel == channel)

    @property
    def status(self) -> NotificationStatus:
        """The status of the notification as a whole."""
        return status_of([log.state.status for log in self.logs])


@dataclass(frozen=True, slots=True)
class Listed:
    """A notification in a list: `status` is a copy, which may be a moment older than its logs."""

    notification: Notification
    status: NotificationStatus


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Selects logs with one of `statuses`, of one of `channels`; without channels, of any channel."""

    statuses: frozenset[LogStatus]
    channels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NotificationFilter:
    """Selects notifications; without a value, a field selects all.

    :param tenant: those of this tenant.
    :param merchants: of announcements those of summaries of one of these merchants.
    :param user_id: those to this user.
    :param status: those with this status, by the copy: see `Listed`.
    :param logs: those with such a log, by its copy.
    :param from_ms: those created at that instant or later; before `before_ms` likewise.
    """

    tenant: str | None = None
    merchants: Collection[str] | None = None
    user_id: str | None = None
    status: NotificationStatus | None = None
    logs: LogFilter | None = None
    from_ms: int | None = None
    before_ms: int | None = None


ALL: Final = NotificationFilter()
"""Selects every notification."""


@dataclass(frozen=True, slots=True)
class ChannelCounts:
    """The number of logs of a channel that have a status, by the copies: see `Listed`."""

    channel: str
    status: LogStatus
    count: int


@dataclass(frozen=True, slots=True)
class StateCount:
    """The number of notifications whose logs have these statuses, by the copies: see `Listed`.

    :param logs: channel and status of each log, by channel.
    """

    logs: tuple[tuple[str, LogStatus], ...]
    count: int


class NotificationStore(Protocol):
    """Stores notifications. Threads may share an instance, and wait for each other; processes may not share one.

    The events of a log decide its state. Each log also has a *copy* of its state, for lists and for finding due logs.
    The copy may be written after the event: a crash in between leaves it older than the events, never newer. `due`
    returns a log with an old copy when the copy was due: at the latest when the lease of a current attempt ends, and
    at once after a retry. The worker that receives it reads the log and calls `repair_copies`.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def add(self, notification: Notification, queue_at_ms: int) -> StoredNotification:
        """Store `notification` with a pending log for each channel, durably and as a whole.

        A notification that is stored under that id already does not change, also when several processes add it at once.

        :param queue_at_ms: from when `due` returns its logs, milliseconds since 1970 UTC.
        :returns: what is stored under the id now: compare its ``request_digest`` to see whether it is this one.
        :raises StoreUnavailable: the store could not be written; try again with the same id.
        """

    def get(self, notification_id: str) -> StoredNotification | None:
        """The notification and its logs, folded from their events; None if there is no such notification."""

    def append(self, notification: Notification, channel: str, state: LogState, event: Event) -> LogState | None:
        """Append `event`, durably, to the log of `channel`, whose state was `state` when the caller read it.

        :returns: the new state; or None if another event was appended since: read the log again.
        :raises NotPossible: `event` cannot follow `state`.
        :raises StoreUnavailable: the store was not written, or may have been: read the log again.
        """

    def repair_copies(self, stored: StoredNotification, queue_at_ms: int | None = None) -> None:
        """Update the copies of ``stored.notification``, which was just read, from its events.

        A log that has got an event since `stored` was read is returned by `due` when it is due.

        :param queue_at_ms: `due` returns its open logs when they are due, but not before this.
        """

    def due(self, now_ms: int, limit: int) -> list[str]:
        """The ids of notifications with a log to be queued at `now_ms`, the longest waiting first, each once."""

    def postpone(self, notification_ids: Sequence[str], now_ms: int, until_ms: int) -> None:
        """Postpone the logs of these notifications that `due` returns at `now_ms` until `until_ms`.

        A log that gets an event in the meantime is returned when it is due.
        """

    def listed(
        self, wanted: NotificationFilter = ALL, *, after: tuple[int, str] | None = None, limit: int
    ) -> list[Listed]:
        """Notifications, the newest first: by ``created_at_ms``, then by id, both descending.

        :param after: ``created_at_ms`` and id of the last notification of the page before.
        """

    def finished(
        self, before_ms: int, *, unknown: bool, after: tuple[int, str] | None = None, limit: int
    ) -> list[Notification]:
        """Notifications that were created, and all of whose logs were finished, before `before_ms`; the oldest first.

        :param unknown: whether to include those with a log that is ``unknown``, which may still need attention.
        :param after: ``created_at_ms`` and id of the last notification of the page before.
        """

    def remove(self, notification_ids: Sequence[str], before_ms: int, *, unknown: bool) -> int:
        """Remove those of the notifications that are still `finished`, with their logs and events.

        Their ids can be used again. A crash leaves each removed or unchanged. Returns the number of removed ones.
        """

    def counts(self) -> list[ChannelCounts]:
        """The number of logs of each channel and status, without zeros, ordered by channel and status."""

    def state_counts(self, wanted: NotificationFilter, *, limit: int) -> list[StateCount]:
        """The number of notifications with each combination of logs and statuses, ordered by `StateCount.logs`.

        :param limit: only so many are counted, the newest: the time to count grows with the number.
        """

    def due_count(self, now_ms: int) -> int:
        """The number of notifications with an open log that is due at `now_ms`, also if it was postponed."""

    def oldest_due_ms(self, now_ms: int) -> int | None:
        """When the open log became due that has been due the longest at `now_ms`; None if no log is due.

        Queueing or postponing the log does not change this.
        """


def is_finished(stored: StoredNotification, before_ms: int, *, unknown: bool) -> bool:
    """Whether `stored` was finished before `before_ms`: see `NotificationStore.finished`."""
    return stored.notification.created_at_ms < before_ms and all(
        log.state.finished_at_ms is not None
        and log.state.finished_at_ms < before_ms
        and (unknown or log.state.status is not LogStatus.UNKNOWN)
        for log in stored.logs
    )


def with_events(notification: Notification, events: Mapping[str, Sequence[Event]]) -> StoredNotification:
    """`notification` with the `events` of each of its channels, from which the states are folded."""
    created_at_ms = notification.created_at_ms
    logs = (Log(channel, tuple(of_log), fold_events(created_at_ms, of_log)) for channel, of_log in events.items())
    return StoredNotification(notification, tuple(logs))


def new_notification(notification: Notification) -> StoredNotification:
    """`notification` as it is stored before its first event."""
    return with_events(notification, dict.fromkeys(notification.channels, ()))
