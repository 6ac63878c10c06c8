"""The interface of the store of notifications and of what happened to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from core.notifications.events import Event, LogState, LogStatus, initial
from core.notifications.model import Notification, NotificationStatus, status_of


@dataclass(frozen=True, slots=True)
class Log:
    """The delivery of a notification over one channel: all its events, and how it stands after them."""

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
        """How the notification stands as a whole."""
        return status_of([log.state.status for log in self.logs])


@dataclass(frozen=True, slots=True)
class Listed:
    """A notification in a list: `status` is a copy, which may be a moment behind its logs."""

    notification: Notification
    status: NotificationStatus


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Logs of one of `statuses`, over one of `channels` or, where there are none, any channel."""

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
    """How many logs of a channel stand so, by the copies: see `Listed`."""

    channel: str
    status: LogStatus
    count: int


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many notifications have logs with these statuses, by the copies: see `Listed`.

    :param logs: channel and status of each log, by channel.
    """

    logs: tuple[tuple[str, LogStatus], ...]
    count: int


class NotificationStore(Protocol):
    """Where notifications are kept. Threads may share an instance, and take turns; processes may not.

    Beside the events, which alone decide, every log has a *copy* of its state, by which lists are made and due logs
    found. It may be written after the event: a crash in between leaves one that is behind, never one that is ahead.
    `due` gives a log whose copy is behind when that copy was due, which is never later than its lease ended if it is
    being sent, and at once if somebody retried it; the worker that receives it reads the log and calls `repair_copies`.
    """

    def add(self, notification: Notification, queue_at_ms: int) -> StoredNotification:
        """Keep `notification` with a pending log for each channel; all of it is durable when this returns, or nothing.

        Where one of that id is kept already it stays as it is, however many add it at the same moment.

        :param queue_at_ms: from when `due` gives its logs, milliseconds since 1970 UTC.
        :returns: what is kept under the id now: compare its ``request_digest`` to tell whether it is this one.
        :raises StoreUnavailable: the store could not be written; ask again, with the same id.
        """

    def get(self, notification_id: str) -> StoredNotification | None:
        """The notification and its logs, folded from their events; None when there is none of that id.

        :raises StoreUnavailable: the store does not answer.
        """

    def append(self, notification: Notification, channel: str, state: LogState, event: Event) -> LogState | None:
        """Let `event` happen to the log of `channel`, which stood as `state` when the caller last looked.

        :returns: how it stands then; or None when another event has happened since: look again. Durable when it
            returns.
        :raises NotPossible: `event` cannot follow `state`.
        :raises StoreUnavailable: the store could not be written, or it is not known whether it was: look again.
        """

    def repair_copies(self, stored: StoredNotification, queue_at_ms: int | None = None) -> None:
        """Bring the copies of ``kept.notification``, which was just read, to what its events say.

        A log to which something has happened since `stored` was read is given when it is due.

        :param queue_at_ms: `due` gives its open logs when they are due, but none before this.
        :raises StoreUnavailable: the store could not be written.
        """

    def due(self, now_ms: int, limit: int) -> list[str]:
        """The ids of notifications with a log to be queued by `now_ms`, the longest waiting first, each once.

        :param limit: at most so many.
        :raises StoreUnavailable: the store does not answer.
        """

    def postpone(self, notification_ids: Sequence[str], now_ms: int, until_ms: int) -> None:
        """Give none of those logs of these notifications that `due` gives by `now_ms` again before `until_ms`.

        One to which something happens meanwhile is given when it is due.

        :raises StoreUnavailable: the store could not be written.
        """

    def listed(
        self, wanted: NotificationFilter = ALL, *, after: tuple[int, str] | None = None, limit: int
    ) -> list[Listed]:
        """Notifications, the newest first: by ``created_at_ms``, then by id, both descending.

        :param after: ``created_at_ms`` and id of the last one of the page before.
        :param limit: at most so many.
        :raises StoreUnavailable: the store does not answer.
        """

    def finished(
        self, before_ms: int, *, unknown: bool, after: tuple[int, str] | None = None, limit: int
    ) -> list[Notification]:
        """Notifications of which nothing has been left to do since before `before_ms`, the oldest first.

        They were made before that, no log of theirs is open, and each was finished before that.

        :param unknown: whether also those with a log that is ``unknown``, for which somebody may still have to care.
        :param after: ``created_at_ms`` and id of the last one of the page before.
        :param limit: at most so many.
        :raises StoreUnavailable: the store does not answer.
        """

    def remove(self, notification_ids: Sequence[str], before_ms: int, *, unknown: bool) -> int:
        """Remove those of the notifications that are still `finished`, with their logs and events.

        From then on another may be added under the same id. A crash leaves each removed, or as it was.

        :returns: how many were removed.
        :raises StoreUnavailable: the store could not be written.
        """

    def counts(self) -> list[ChannelCounts]:
        """How many logs there are of each channel and status that any has, by channel and status.

        :raises StoreUnavailable: the store does not answer.
        """

    def state_counts(self, wanted: NotificationFilter = ALL, *, limit: int) -> list[StateCount]:
        """How many notifications there are of each combination of logs and their statuses, by `StateCount.logs`.

        :param limit: at most so many notifications are counted, the newest: counting takes as long as there are many.
        :raises StoreUnavailable: the store does not answer.
        """

    def due_count(self, now_ms: int) -> int:
        """How many notifications have an open log that has been due by `now_ms`, whether or not it was postponed.

        :raises StoreUnavailable: the store does not answer.
        """

    def oldest_due_ms(self, now_ms: int) -> int | None:
        """Since when the open log has been due that has been longest of all by `now_ms`; None when none is.

        Counted from when the log was due, not from when it was queued or postponed.

        :raises StoreUnavailable: the store does not answer.
        """


def is_finished(stored: StoredNotification, before_ms: int, *, unknown: bool) -> bool:
    """Whether nothing has been left to do of `stored` since before `before_ms`: see `NotificationStore.finished`."""
    return stored.notification.created_at_ms < before_ms and all(
        log.state.finished_at_ms is not None
        and log.state.finished_at_ms < before_ms
        and (unknown or log.state.status is not LogStatus.UNKNOWN)
        for log in stored.logs
    )


def new_notification(notification: Notification) -> StoredNotification:
    """`notification` as it is kept when nothing has happened to it yet."""
    state = initial(notification.created_at_ms)
    return StoredNotification(notification, tuple(Log(channel, (), state) for channel in notification.channels))
