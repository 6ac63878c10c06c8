"""Notifications on SQLite: indexes, triggers, migration, and a locked database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from notification_examples import FAR_MS, LEASE_MS, NOW_MS, event, happen, notification
from prepared_store import open_prepared

from core.errors import StoreUnavailable
from core.notifications.events import EventKind, LogStatus, fold_events
from core.notifications.model import NotificationStatus
from core.stores import Stores, open_stores
from core.stores.generations import SUMMARIES
from core.stores.notification_records import event_to_record, notification_to_record, state_to_record
from core.stores.notifications import ChannelCounts, LogFilter, NotificationFilter
from core.stores.sqlite.notifications import _DUE, _EVENTS, _OLDEST_DUE, _where
from core.stores.sqlite.rows import insert
from core.stores.sqlite.schema import SCHEMA

A, S, F, D = EventKind.ATTEMPT, EventKind.SUCCESS, EventKind.FAILED, EventKind.DEAD
P = EventKind.PRINTED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def stores(path: Path) -> Iterator[Stores]:
    with open_prepared(f"sqlite:///{path}", timeout_s=0.2) as opened:
        yield opened


def execute(path: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def plan(path: Path, query: str, *values: object) -> list[str]:
    return [str(step[3]) for step in execute(path, f"EXPLAIN QUERY PLAN {query}", *values)]


def test_due_notifications_are_found_by_index_without_sorting(stores: Stores, path: Path) -> None:
    assert plan(path, _DUE, NOW_MS) == [
        "SEARCH notification_logs USING COVERING INDEX notification_logs_to_queue (queue_at_ms<?)"
    ]
    assert plan(path, _OLDEST_DUE, NOW_MS) == [
        "SEARCH notification_logs USING COVERING INDEX notification_logs_due (due_at_ms<?)"
    ]


def test_events_of_a_notification_are_found_by_primary_key(stores: Stores, path: Path) -> None:
    assert plan(path, _EVENTS, "n1") == ["SEARCH notification_events USING PRIMARY KEY (notification_id=?)"]


@pytest.mark.parametrize(
    ("tenant", "user_id", "status", "index"),
    [
        (None, None, None, "notifications_newest"),
        (None, None, NotificationStatus.SENT, "notifications_of_status"),
        ("acme", None, None, "notifications_of_tenant"),
        ("acme", None, NotificationStatus.SENT, "notifications_of_tenant_and_status"),
        ("acme", "u1", None, "notifications_of_user"),
        ("acme", "u1", NotificationStatus.SENT, "notifications_of_user"),
    ],
)
def test_a_page_of_one_tenant_is_found_by_index_without_sorting(
    stores: Stores, path: Path, tenant: str | None, user_id: str | None, status: NotificationStatus | None, index: str
) -> None:
    where, values = _where(NotificationFilter(tenant, None, user_id, status), (NOW_MS, "n1"))
    query = f"SELECT * FROM notifications {where}ORDER BY created_at_ms DESC, id DESC LIMIT 9"
    (step,) = plan(path, query, *values)
    assert f"USING INDEX {index} (" in step
    assert "(created_at_ms,id)<(?,?)" in step
    assert tenant is None or "tenant=?" in step


def test_a_page_of_users_of_one_id_in_all_tenants_is_found_by_index(stores: Stores, path: Path) -> None:
    where, values = _where(NotificationFilter(user_id="u1"), (NOW_MS, "n1"))
    query = f"SELECT * FROM notifications {where}ORDER BY created_at_ms DESC, id DESC LIMIT 9"
    assert "USING INDEX notifications_of_user (user_id=?" in plan(path, query, *values)[0]


def test_dead_deliveries_are_found_by_index(stores: Stores, path: Path) -> None:
    dead = LogFilter(frozenset({LogStatus.DEAD}))
    where, values = _where(NotificationFilter(logs=dead, from_ms=NOW_MS, before_ms=NOW_MS + 1))
    query = f"SELECT * FROM notifications {where}ORDER BY created_at_ms DESC, id DESC LIMIT 9"
    first, *others = plan(path, query, *values)
    assert "USING INDEX notifications_of_status (status=? AND created_at_ms>? AND created_at_ms<?)" in first
    assert any("log USING PRIMARY KEY (notification_id=?" in step for step in others)


def test_counts_stay_correct_after_manual_deletion(stores: Stores, path: Path) -> None:
    for number in range(3):
        one = stores.notifications.add(notification(number, "sms", "email"), NOW_MS).notification
        happen(stores.notifications, one, A, S)
    execute(path, "DELETE FROM notification_logs WHERE notification_id = ?", notification(1).id)
    assert stores.notifications.counts() == [
        ChannelCounts("email", LogStatus.PENDING, 2),
        ChannelCounts("sms", LogStatus.SUCCESS, 2),
    ]


def test_the_table_for_analysts_has_the_status_after_each_event(stores: Stores, path: Path) -> None:
    one = stores.notifications.add(notification(), NOW_MS).notification
    query = "SELECT status, number, attempts, last_attempt_at_ms, error_message FROM notification_logs"
    assert execute(path, query) == [("pending", 0, 0, None, None)]
    happen(stores.notifications, one, A, F, A, at_ms=NOW_MS + 5)
    assert execute(path, query) == [("sending", 3, 2, NOW_MS + 5, None)]


def test_a_locked_database_gives_an_error_and_no_change(stores: Stores, path: Path) -> None:
    one = notification()
    stored = stores.notifications.add(one, NOW_MS)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another process has locked it"):
            stores.notifications.append(one, "sms", stored.logs[0].state, event(1, A))
        with pytest.raises(StoreUnavailable):
            stores.notifications.add(notification(2), NOW_MS)
        assert stores.notifications.get(one.id) == stored
        writer.execute("ROLLBACK")
    assert stores.notifications.get(notification(2).id) is None
    happen(stores.notifications, one, A)


def test_the_migration_of_the_failed_status_is_complete(path: Path) -> None:
    tried, gone = notification(1, "sms", "email"), notification(2)
    with closing(sqlite3.connect(path)) as connection:
        for script in sorted(SCHEMA.glob("000[1-4]*.sql")):
            connection.executescript(script.read_text("utf-8"))
        connection.executescript((SCHEMA / "generation.sql").read_text("utf-8").replace("{table}", SUMMARIES))
        for one, status in ((tried, "pending"), (gone, "failed")):
            record = notification_to_record(one)
            del record["tenant"], record["announced"]
            insert(connection, "notifications", {**record, "status": status})
        for one, channel, kinds, word in (
            (tried, "sms", (A, F), "failed"),
            (tried, "email", (A, S), "success"),
            (gone, "sms", (A, D), "dead"),
        ):
            log = {"notification_id": one.id, "channel": channel}
            events = [event(number, kind) for number, kind in enumerate(kinds, 1)]
            for happened in events:
                record = event_to_record(happened)
                del record["sender"]
                insert(connection, "notification_events", {**log, **record})
            state = state_to_record(fold_events(NOW_MS, events))
            insert(connection, "notification_logs", {**log, **state, "status": word, "queue_at_ms": state["due_at_ms"]})
        connection.execute("PRAGMA user_version = 4")
        connection.commit()
    before = execute(path, "SELECT channel, kind, at_ms, until_ms FROM notification_events ORDER BY 1, 3, 2")
    with open_stores(f"sqlite:///{path}", timeout_s=1, create=False) as opened:
        assert opened.notifications.counts() == [
            ChannelCounts("email", LogStatus.SUCCESS, 1),
            ChannelCounts("sms", LogStatus.DEAD, 1),
            ChannelCounts("sms", LogStatus.RETRYING, 1),
        ]
        assert execute(path, "SELECT status, count(*) FROM notification_logs GROUP BY 1") == [
            ("dead", 1),
            ("retrying", 1),
            ("success", 1),
        ]
        assert [found.status.value for found in opened.notifications.listed(limit=9)] in (
            ["pending", "failed"],
            ["failed", "pending"],
        )
        assert opened.notifications.due(NOW_MS + LEASE_MS, 9) == [tried.id]
        happen(opened.notifications, tried, A, P)
        assert opened.notifications.due_count(FAR_MS) == 0
        assert [
            found.notification
            for found in opened.notifications.listed(NotificationFilter(status=NotificationStatus.PRINTED), limit=9)
        ] == [tried]
        assert ChannelCounts("sms", LogStatus.PRINTED, 1) in opened.notifications.counts()
    after = execute(path, "SELECT channel, kind, at_ms, until_ms FROM notification_events ORDER BY 1, 3, 2")
    assert set(before) < set(after)
