"""The store of notifications on SQLite: the tables ``notifications``, ``notification_events``, ``notification_logs``.

Every change is one transaction, which also writes the copies: here they are never old.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from core.notifications.events import Event, LogState, LogStatus, apply_event
from core.notifications.model import Notification, NotificationStatus, status_of, statuses_with
from core.stores.notification_records import (
    COPIED,
    event_from_record,
    event_to_record,
    notification_from_record,
    notification_to_record,
    state_count,
    state_to_record,
)
from core.stores.notifications import (
    ALL,
    ChannelCounts,
    Listed,
    NotificationFilter,
    NotificationStore,
    StateCount,
    StoredNotification,
    new_notification,
    with_events,
)
from core.stores.records import storable
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert

_EVENTS: Final = "SELECT * FROM notification_events WHERE notification_id = ? ORDER BY channel, number"
_COPY: Final = (
    f"UPDATE notification_logs SET {', '.join(f'{name} = :{name}' for name in COPIED)}, queue_at_ms = :due_at_ms "
    "WHERE notification_id = :notification_id AND channel = :channel AND number = :number - 1"
)
_DUE: Final = (
    "SELECT notification_id FROM notification_logs WHERE queue_at_ms <= ? ORDER BY queue_at_ms, notification_id"
)
_FINISHED: Final = (
    "status <> 'pending' AND created_at_ms < :before_ms AND NOT EXISTS ("
    "SELECT 1 FROM notification_logs WHERE notification_id = notifications.id "
    "AND (finished_at_ms IS NULL OR finished_at_ms >= :before_ms OR (status = 'unknown' AND NOT :unknown)))"
)
_WITH_LOG: Final = (
    "EXISTS (SELECT 1 FROM notification_logs AS log WHERE log.notification_id = notifications.id "
    "AND log.status IN (SELECT value FROM json_each(?)) AND (? OR log.channel IN (SELECT value FROM json_each(?))))"
)
_LOGS: Final = (
    "SELECT group_concat(channel || ':' || status) FROM (SELECT channel, status FROM notification_logs "
    "WHERE notification_id = counted.id ORDER BY channel)"
)
_DUE_COUNT: Final = "SELECT count(DISTINCT notification_id) FROM notification_logs WHERE due_at_ms <= ?"
_OLDEST_DUE: Final = "SELECT min(due_at_ms) FROM notification_logs WHERE due_at_ms <= ?"


class SqliteNotificationStore(NotificationStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, notification: Notification, queue_at_ms: int) -> StoredNotification:
        record = notification_to_record(notification)
        stored = new_notification(notification_from_record(record))
        with self._database.transaction() as connection:
            if (found := _get(connection, notification.id)) is not None:
                return found
            insert(connection, "notifications", {**record, "status": stored.status.value})
            for log in stored.logs:
                copy = {"notification_id": notification.id, "channel": log.channel, **state_to_record(log.state)}
                insert(connection, "notification_logs", {**copy, "queue_at_ms": queue_at_ms})
        return stored

    def get(self, notification_id: str) -> StoredNotification | None:
        with self._database.connection() as connection:
            return _get(connection, notification_id)

    def append(self, notification: Notification, channel: str, state: LogState, event: Event) -> LogState | None:
        record = event_to_record(event)
        then = apply_event(state, event_from_record(record))
        log = {"notification_id": notification.id, "channel": channel}
        with self._database.transaction() as connection:
            if not connection.execute(_COPY, {**state_to_record(then), **log}).rowcount:
                return None
            insert(connection, "notification_events", {**log, **record})
            if not (state.is_open and then.is_open):
                _copy_status(connection, notification.id)
        return then

    def repair_copies(self, stored: StoredNotification, queue_at_ms: int | None = None) -> None:
        logs = [
            (max(log.state.due_at_ms, queue_at_ms or 0), stored.notification.id, log.channel, log.state.number)
            for log in stored.logs
            if log.state.due_at_ms is not None
        ]
        if logs:
            with self._database.transaction() as connection:
                connection.executemany(
                    "UPDATE notification_logs SET queue_at_ms = ?1 "
                    "WHERE notification_id = ?2 AND channel = ?3 AND number = ?4 AND queue_at_ms <> ?1",
                    logs,
                )

    def due(self, now_ms: int, limit: int) -> list[str]:
        found: dict[str, None] = {}
        # Several logs of a notification may be due, so the number of rows to read is not known before.
        with self._database.connection() as connection, closing(connection.execute(_DUE, (now_ms,))) as rows:
            while len(found) < limit and (row := rows.fetchone()) is not None:
                found[row["notification_id"]] = None
        return list(found)

    def postpone(self, notification_ids: Sequence[str], now_ms: int, until_ms: int) -> None:
        if notification_ids:
            with self._database.transaction() as connection:
                connection.executemany(
                    "UPDATE notification_logs SET queue_at_ms = ? WHERE notification_id = ? AND queue_at_ms <= ?",
                    [(until_ms, notification_id, now_ms) for notification_id in notification_ids],
                )

    def listed(
        self, wanted: NotificationFilter = ALL, *, after: tuple[int, str] | None = None, limit: int
    ) -> list[Listed]:
        where, values = _where(wanted, after)
        query = f"SELECT * FROM notifications {where}ORDER BY created_at_ms DESC, id DESC LIMIT ?"
        with self._database.connection() as connection:
            rows = connection.execute(query, (*values, max(limit, 0))).fetchall()
        return [Listed(notification_from_record(from_row(row)), NotificationStatus(row["status"])) for row in rows]

    def finished(
        self, before_ms: int, *, unknown: bool, after: tuple[int, str] | None = None, limit: int
    ) -> list[Notification]:
        created_at_ms, last_id = after or (-(2**62), "")
        query = (
            f"SELECT * FROM notifications WHERE (created_at_ms, id) > (:created_at_ms, :last_id) AND {_FINISHED} "
            "ORDER BY created_at_ms, id LIMIT :limit"
        )
        values = {"created_at_ms": created_at_ms, "last_id": last_id, "limit": max(limit, 0)}
        with self._database.connection() as connection:
            rows = connection.execute(query, {**values, "before_ms": before_ms, "unknown": unknown}).fetchall()
        return [notification_from_record(from_row(row)) for row in rows]

    def remove(self, notification_ids: Sequence[str], before_ms: int, *, unknown: bool) -> int:
        removed = 0
        with self._database.transaction() as connection:
            for notification_id in notification_ids:
                values = {"id": notification_id, "before_ms": before_ms, "unknown": unknown}
                if connection.execute(f"DELETE FROM notifications WHERE id = :id AND {_FINISHED}", values).rowcount:
                    removed += 1
                    connection.execute("DELETE FROM notification_events WHERE notification_id = :id", values)
                    connection.execute("DELETE FROM notification_logs WHERE notification_id = :id", values)
        return removed

    def counts(self) -> list[ChannelCounts]:
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT channel, status, count FROM notification_counts WHERE count > 0 ORDER BY channel, status"
            ).fetchall()
        return [ChannelCounts(channel, LogStatus(status), count) for channel, status, count in rows]

    def state_counts(self, wanted: NotificationFilter, *, limit: int) -> list[StateCount]:
        where, values = _where(wanted)
        newest = f"SELECT id FROM notifications {where}ORDER BY created_at_ms DESC, id DESC LIMIT ?"
        query = f"SELECT ({_LOGS}) AS logs, count(*) FROM ({newest}) AS counted GROUP BY logs ORDER BY logs"
        with self._database.connection() as connection:
            rows = connection.execute(query, (*values, max(limit, 0))).fetchall()
        return [state_count(logs, count) for logs, count in rows]

    def due_count(self, now_ms: int) -> int:
        with self._database.connection() as connection:
            return int(connection.execute(_DUE_COUNT, (now_ms,)).fetchone()[0])

    def oldest_due_ms(self, now_ms: int) -> int | None:
        with self._database.connection() as connection:
            oldest: int | None = connection.execute(_OLDEST_DUE, (now_ms,)).fetchone()[0]
        return oldest


def _get(connection: sqlite3.Connection, notification_id: str) -> StoredNotification | None:
    row = connection.execute("SELECT * FROM notifications WHERE id = ?", (notification_id,)).fetchone()
    if row is None:
        return None
    notification = notification_from_record(from_row(row))
    events: dict[str, list[Event]] = {channel: [] for channel in notification.channels}
    for found in connection.execute(_EVENTS, (notification_id,)):
        events[found["channel"]].append(event_from_record(dict(found)))
    return with_events(notification, events)


def _copy_status(connection: sqlite3.Connection, notification_id: str) -> None:
    logs = connection.execute("SELECT status FROM notification_logs WHERE notification_id = ?", (notification_id,))
    status = status_of([LogStatus(row["status"]) for row in logs])
    connection.execute(
        "UPDATE notifications SET status = ?1 WHERE id = ?2 AND status <> ?1", (status.value, notification_id)
    )


def _where(wanted: NotificationFilter, after: tuple[int, str] | None = None) -> tuple[str, list[int | str]]:
    """The WHERE clause of `wanted`, for rows after `after` in the order of lists, and its values."""
    parts: list[tuple[str, Sequence[int | str]]] = []
    if wanted.tenant is not None:
        parts.append(("tenant = ?", (storable(wanted.tenant),)))
    if wanted.merchants is not None:
        readable = json.dumps([storable(merchant_id) for merchant_id in wanted.merchants])
        parts.append(("(announces = 0 OR merchant_id IN (SELECT value FROM json_each(?)))", (readable,)))
    if wanted.user_id is not None:
        parts.append(("user_id = ?", (storable(wanted.user_id),)))
    if wanted.status is not None:
        # The unary plus hides the indexes of statuses: a user has few notifications, a status has many.
        parts.append(("status = ?" if wanted.user_id is None else "+status = ?", (wanted.status.value,)))
    if (logs := wanted.logs) is not None:
        statuses, channels = json.dumps(sorted(logs.statuses)), json.dumps(sorted(logs.channels))
        # The index of statuses narrows first: most notifications have been sent.
        parts.append(
            ("status IN (SELECT value FROM json_each(?))", (json.dumps(sorted(statuses_with(logs.statuses))),))
        )
        parts.append((_WITH_LOG, (statuses, not logs.channels, channels)))
    if wanted.from_ms is not None:
        parts.append(("created_at_ms >= ?", (wanted.from_ms,)))
    if wanted.before_ms is not None:
        parts.append(("created_at_ms < ?", (wanted.before_ms,)))
    if after is not None:
        parts.append(("(created_at_ms, id) < (?, ?)", after))
    clause = f"WHERE {' AND '.join(condition for condition, _ in parts)} " if parts else ""
    return clause, [value for _, values in parts for value in values]
