"""What is particular to notifications on SQLite: its indexes, its triggers, its migration, and a writer that stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from notification_examples import NOW_MS, event, happen, notification

from core.errors import StoreUnavailable
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus
from core.stores import Stores, open_stores
from core.stores.notifications import ChannelCounts
from core.stores.sqlite.notifications import _DUE, _EVENTS, _OLDEST_DUE, _conditions

A, S, F, D = EventKind.ATTEMPT, EventKind.SUCCESS, EventKind.FAILED, EventKind.DEAD


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def stores(path: Path) -> Iterator[Stores]:
    with open_stores(f"sqlite:///{path}", timeout_s=0.2) as opened:
        yield opened


def execute(path: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def plan(path: Path, query: str, *values: object) -> list[str]:
    return [str(step[3]) for step in execute(path, f"EXPLAIN QUERY PLAN {query}", *values)]


def test_what_is_due_is_found_by_index_without_sorting(stores: Stores, path: Path) -> None:
    assert plan(path, _DUE, NOW_MS) == [
        "SEARCH notification_logs USING COVERING INDEX notification_logs_to_queue (queue_at_ms<?)"
    ]
    assert plan(path, _OLDEST_DUE, NOW_MS) == [
        "SEARCH notification_logs USING COVERING INDEX notification_logs_due (due_at_ms<?)"
    ]


def test_the_events_of_a_notification_are_found_by_their_key_without_sorting(stores: Stores, path: Path) -> None:
    assert plan(path, _EVENTS, "n1") == ["SEARCH notification_events USING PRIMARY KEY (notification_id=?)"]


@pytest.mark.parametrize(
    ("user_id", "status", "index"),
    [
        (None, None, "notifications_newest"),
        ("u1", None, "notifications_of_user"),
        (None, NotificationStatus.SENT, "notifications_of_status"),
        ("u1", NotificationStatus.SENT, "notifications_of_user"),
    ],
)
def test_a_page_is_found_by_index_without_sorting(
    stores: Stores, path: Path, user_id: str | None, status: NotificationStatus | None, index: str
) -> None:
    conditions, values = _conditions(user_id, status, (NOW_MS, "n1"))
    query = f"SELECT * FROM notifications WHERE {' AND '.join(conditions)} ORDER BY created_at_ms DESC, id DESC LIMIT 9"
    (step,) = plan(path, query, *values)
    assert f"USING INDEX {index} (" in step
    assert "(created_at_ms,id)<(?,?)" in step


def test_the_counts_stay_right_when_an_operator_removes_old_notifications(stores: Stores, path: Path) -> None:
    for number in range(3):
        one = stores.notifications.add(notification(number, "sms", "email"), NOW_MS).notification
        happen(stores.notifications, one, A, S)
    execute(path, "DELETE FROM notification_logs WHERE notification_id = ?", notification(1).id)
    assert stores.notifications.counts() == [
        ChannelCounts("email", LogStatus.PENDING, 2),
        ChannelCounts("sms", LogStatus.SUCCESS, 2),
    ]


def test_a_log_shows_analysts_how_it_stands_after_each_event(stores: Stores, path: Path) -> None:
    one = stores.notifications.add(notification(), NOW_MS).notification
    query = "SELECT status, number, attempts, last_attempt_at_ms, error_message FROM notification_logs"
    assert execute(path, query) == [("pending", 0, 0, None, None)]
    happen(stores.notifications, one, A, F, A, at_ms=NOW_MS + 5)
    assert execute(path, query) == [("sending", 3, 2, NOW_MS + 5, None)]


def test_while_another_writes_nothing_happens_and_it_is_told(stores: Stores, path: Path) -> None:
    one = notification()
    kept = stores.notifications.add(one, NOW_MS)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another process has been writing"):
            stores.notifications.append(one, "sms", kept.logs[0].state, event(1, A))
        with pytest.raises(StoreUnavailable):
            stores.notifications.add(notification(2), NOW_MS)
        assert stores.notifications.get(one.id) == kept
        writer.execute("ROLLBACK")
    assert stores.notifications.get(notification(2).id) is None
    happen(stores.notifications, one, A)
