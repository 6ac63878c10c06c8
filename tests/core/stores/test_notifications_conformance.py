"""Conformance tests of notification stores, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from notification_examples import FAR_MS, LEASE_MS, NOW_MS, event, happen, notification
from prepared_store import open_prepared

from core.calendar.periods import Mode
from core.notifications.events import Event, EventKind, LogStatus, NotPossible, initial_state
from core.notifications.model import AnnouncedTotals, Notification, NotificationStatus
from core.stores import Stores, open_stores
from core.stores.notifications import (
    ChannelCounts,
    Listed,
    Log,
    LogFilter,
    NotificationFilter,
    NotificationStore,
    StoredNotification,
)

A, S, F, D, U, C, R = (
    EventKind.ATTEMPT,
    EventKind.SUCCESS,
    EventKind.FAILED,
    EventKind.DEAD,
    EventKind.UNKNOWN,
    EventKind.CANCEL,
    EventKind.RETRY,
)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def store(stores: Stores) -> NotificationStore:
    return stores.notifications


def stored_in(store: NotificationStore, wanted: Notification) -> StoredNotification:
    found = store.get(wanted.id)
    assert found is not None
    return found


def status_in_list(store: NotificationStore, wanted: Notification) -> NotificationStatus:
    return next(found.status for found in store.listed(limit=100) if found.notification.id == wanted.id)


def test_a_new_store_has_no_notifications(store: NotificationStore) -> None:
    assert store.get("n1") is None
    assert store.due(FAR_MS, 10) == []
    assert store.listed(limit=10) == []
    assert store.counts() == []
    assert store.oldest_due_ms(FAR_MS) is None
    store.postpone([], NOW_MS, FAR_MS)


def test_a_notification_is_stored_with_a_pending_delivery_per_channel(store: NotificationStore, store_url: str) -> None:
    full = Notification(
        id="a" * 26,
        user_id='کاربر\u200c۱"',
        title="خلاصهٔ فروش",
        body="«سلام»\nb\x00c 😀" + "م" * 20_000,
        channels=("telegram", "sms", "email"),
        locale="fa",
        created_at_ms=-1,
        expires_at_ms=FAR_MS,
        sender_key_id="k1",
        request_digest="0" * 64,
        announces=True,
        merchant_id="پذیرنده\x00",
        announced=AnnouncedTotals(Mode.WEEKLY, "1403/W14", NOW_MS, NOW_MS + 1, -(2**63), 2**63 - 1, "IRR", 2),
    )
    added = [store.add(one, NOW_MS) for one in (full, notification())]
    assert added[0] == StoredNotification(full, tuple(Log(channel, (), initial_state(-1)) for channel in full.channels))
    with open_stores(store_url, timeout_s=10, create=False) as others:
        assert [others.notifications.get(one.notification.id) for one in added] == added
        assert others.notifications.listed(limit=10) == [
            Listed(one.notification, NotificationStatus.PENDING) for one in reversed(added)
        ]


def test_text_that_is_not_valid_utf_8_is_escaped(store: NotificationStore) -> None:
    broken = replace(notification(), user_id="u\ud800", title="t\ud800", body="\udcff")
    added = store.add(broken, NOW_MS)
    assert (added.notification.user_id, added.notification.body) == ("u\\ud800", "\\udcff")
    assert store.get(broken.id) == added
    assert [found.notification for found in store.listed(NotificationFilter(user_id="u\ud800"), limit=1)] == [
        added.notification
    ]
    failed = Event(1, A, NOW_MS, NOW_MS, error="\ud800", reference="\ud801", worker="\ud802", sender="\ud803")
    state = store.append(broken, "sms", added.log("sms").state, failed)
    assert stored_in(store, broken).log("sms").state == state


def test_a_duplicate_id_keeps_the_first_notification(store: NotificationStore) -> None:
    first = notification(1, "sms", "email")
    store.add(first, NOW_MS)
    happen(store, first, A, channel="email")
    before = stored_in(store, first)
    for second in (first, replace(first, body="other", channels=("telegram",), request_digest="d")):
        assert store.add(second, NOW_MS - 1) == before
    assert stored_in(store, first) == before
    assert len(store.listed(limit=10)) == 1
    assert {(found.channel, found.count) for found in store.counts()} == {("sms", 1), ("email", 1)}
    assert store.due(NOW_MS - 1, 10) == []


def test_events_are_read_back_exactly(store: NotificationStore) -> None:
    one = notification(1, "sms", "email")
    state = store.add(one, NOW_MS).log("sms").state
    events = (
        Event(1, A, NOW_MS, NOW_MS + 1, worker="میزبان:1234", sender="my_package.PigeonSender"),
        Event(2, F, -1, FAR_MS, error="«مشغول» a\x00b\n" + "خطا" * 10_000, reference="r\x001"),
        Event(3, A, 0, 0),
        Event(4, C, 0),
        Event(5, U, 2**40, error="", reference="r2"),
        Event(6, R, 2**40),
    )
    for happened in events:
        then = store.append(one, "sms", state, happened)
        assert then is not None
        state = then
    stored = stored_in(store, one)
    assert stored.logs == (Log("sms", events, state), Log("email", (), initial_state(NOW_MS)))


def test_ten_or_more_events_are_in_numeric_order(store: NotificationStore) -> None:
    one = store.add(notification(), NOW_MS).notification
    happen(store, one, *[A, F] * 6, A, S)
    log = stored_in(store, one).log("sms")
    assert [found.number for found in log.events] == list(range(1, 15))
    assert (log.state.status, log.state.attempts) == (LogStatus.SUCCESS, 7)


def test_a_stale_event_changes_nothing(store: NotificationStore) -> None:
    one = notification()
    pending = store.add(one, NOW_MS).log("sms").state
    claim = event(1, A)
    state = store.append(one, "sms", pending, claim)
    for late in (claim, event(1, D), event(1, C)):
        assert store.append(one, "sms", pending, late) is None
    assert stored_in(store, one).logs == (Log("sms", (claim,), state),)  # type: ignore[arg-type]
    assert status_in_list(store, one) is NotificationStatus.PENDING


def test_an_invalid_transition_is_refused(store: NotificationStore) -> None:
    one = notification()
    stored = store.add(one, NOW_MS)
    for wrong in (event(1, S), event(2, A), event(1, R)):
        with pytest.raises(NotPossible):
            store.append(one, "sms", stored.log("sms").state, wrong)
    assert stored_in(store, one) == stored


def test_the_listed_status_follows_the_deliveries(store: NotificationStore) -> None:
    one = store.add(notification(1, "sms", "email"), NOW_MS).notification
    steps = [
        ("sms", A, NotificationStatus.PENDING),
        ("sms", S, NotificationStatus.PENDING),
        ("email", A, NotificationStatus.PENDING),
        ("email", U, NotificationStatus.FAILED),
        ("email", R, NotificationStatus.PENDING),
        ("email", A, NotificationStatus.PENDING),
        ("email", U, NotificationStatus.FAILED),
        ("email", S, NotificationStatus.SENT),
    ]
    for channel, kind, status in steps:
        happen(store, one, kind, channel=channel)
        assert status_in_list(store, one) is stored_in(store, one).status is status
        assert [found.notification for found in store.listed(NotificationFilter(status=status), limit=2)] == [one]
    other = store.add(notification(2), NOW_MS).notification
    happen(store, other, C)
    assert status_in_list(store, other) is NotificationStatus.CANCELLED


def test_printed_notifications_are_listed_counted_and_can_be_retried(store: NotificationStore) -> None:
    one = store.add(notification(1, "sms", "email"), NOW_MS).notification
    happen(store, one, A, EventKind.PRINTED)
    happen(store, one, A, S, channel="email")
    assert status_in_list(store, one) is stored_in(store, one).status is NotificationStatus.PRINTED
    assert ChannelCounts("sms", LogStatus.PRINTED, 1) in store.counts()
    assert store.due(FAR_MS, 10) == []
    happen(store, one, R, at_ms=NOW_MS + 5)
    assert store.due(NOW_MS + 5, 10) == [one.id]
    happen(store, one, A, S)
    assert status_in_list(store, one) is NotificationStatus.SENT


def test_due_notifications_are_returned_once_longest_waiting_first(store: NotificationStore) -> None:
    ids = {}
    for number, queue_at_ms in enumerate((30, 10, 20, 40, 20), 1):
        one = notification(number, "sms", "email")
        store.add(one, NOW_MS + queue_at_ms)
        ids[number] = one.id
    tied = sorted((ids[3], ids[5]))
    assert store.due(NOW_MS + 9, 10) == []
    assert store.due(NOW_MS + 10, 10) == [ids[2]]
    assert store.due(NOW_MS + 30, 10) == [ids[2], *tied, ids[1]]
    assert store.due(NOW_MS + 40, 3) == [ids[2], *tied]
    assert store.due(NOW_MS + 40, 0) == []


def test_a_delivery_is_due_after_its_lease_or_wait_until_finished(
    store: NotificationStore,
) -> None:
    one = store.add(notification(), NOW_MS).notification
    for kind in (A, F):
        due_at_ms = happen(store, one, kind).due_at_ms
        assert due_at_ms == NOW_MS + LEASE_MS
        assert store.due(due_at_ms - 1, 10) == []
        assert store.due(due_at_ms, 10) == [one.id]
    happen(store, one, A, D)
    assert store.due(FAR_MS, 10) == []
    happen(store, one, R, at_ms=NOW_MS + 5)
    assert store.due(NOW_MS + 4, 10) == []
    assert store.due(NOW_MS + 5, 10) == [one.id]
    happen(store, one, A, S)
    assert store.due(FAR_MS, 10) == []


def test_only_due_deliveries_are_postponed(store: NotificationStore) -> None:
    one, other = notification(1, "sms", "email"), notification(2)
    for each in (one, other):
        store.add(each, NOW_MS)
    happen(store, one, A, channel="email")
    store.postpone([one.id], NOW_MS, FAR_MS)
    assert store.due(NOW_MS, 10) == [other.id]
    assert store.due(NOW_MS + LEASE_MS - 1, 10) == [other.id]
    assert store.due(NOW_MS + LEASE_MS, 10) == [other.id, one.id], "the lease of its other log ends"
    store.postpone([one.id, other.id], NOW_MS + LEASE_MS, FAR_MS)
    assert store.due(FAR_MS - 1, 10) == []
    assert store.due(FAR_MS, 10) == sorted([one.id, other.id])


def test_an_event_ends_the_postponement_of_a_delivery(store: NotificationStore) -> None:
    one = store.add(notification(1, "sms", "email"), NOW_MS).notification
    store.postpone([one.id], NOW_MS, FAR_MS)
    happen(store, one, A)
    assert store.due(NOW_MS + LEASE_MS, 10) == [one.id]
    happen(store, one, S)
    assert store.due(FAR_MS - 1, 10) == [], "the other log stays postponed"
    assert store.due(FAR_MS, 10) == [one.id]


def test_repaired_deliveries_are_returned_when_due(
    store: NotificationStore,
) -> None:
    one = store.add(notification(1, "sms", "email", "telegram"), FAR_MS).notification
    happen(store, one, A, F, channel="email")
    happen(store, one, A, S, channel="telegram")
    store.repair_copies(stored_in(store, one))
    assert store.due(NOW_MS, 10) == [one.id]
    store.repair_copies(stored_in(store, one), NOW_MS + 1000)
    assert store.due(NOW_MS + 999, 10) == []
    assert store.due(NOW_MS + 1000, 10) == [one.id]
    happen(store, one, C)
    assert store.due(NOW_MS + LEASE_MS - 1, 10) == []
    assert store.due(NOW_MS + LEASE_MS, 10) == [one.id], "the failure waits no shorter than it did"
    store.repair_copies(stored_in(store, one), FAR_MS)
    happen(store, one, C, channel="email")
    store.repair_copies(stored_in(store, one), NOW_MS)
    assert store.due(FAR_MS, 10) == [], "nothing is open"


def test_repairing_with_a_stale_state_changes_nothing(store: NotificationStore) -> None:
    one = store.add(notification(), NOW_MS).notification
    old = stored_in(store, one)
    happen(store, one, A)
    store.repair_copies(old, FAR_MS)
    assert store.due(NOW_MS + LEASE_MS, 10) == [one.id]
    happen(store, one, S)
    store.repair_copies(old)
    assert store.due(FAR_MS, 10) == []
    assert status_in_list(store, one) is NotificationStatus.SENT


def test_pages_hold_each_notification_once_despite_inserts(store: NotificationStore) -> None:
    expected = []
    for number in range(12):
        one = notification(number, user_id=f"u{number % 2}", created_at_ms=NOW_MS + number // 4)
        store.add(one, NOW_MS)
        if number % 3 == 0:
            happen(store, one, A, S)
        expected.append(one)
    expected.sort(key=lambda one: (one.created_at_ms, one.id), reverse=True)

    def pages(user_id: str | None, status: NotificationStatus | None) -> list[Notification]:
        wanted = NotificationFilter(user_id=user_id, status=status)
        seen: list[Notification] = []
        after: tuple[int, str] | None = None
        while page := store.listed(wanted, after=after, limit=2):
            assert all(status in (None, found.status) for found in page)
            seen += [found.notification for found in page]
            after = (seen[-1].created_at_ms, seen[-1].id)
            newer = notification(len(seen) * 1000, user_id=user_id or "u0", created_at_ms=NOW_MS + 1000)
            store.add(newer, NOW_MS)
        return [one for one in seen if one in expected]

    sent = {expected[at].id for at in range(12) if int(expected[at].title.split()[1]) % 3 == 0}
    assert pages(None, None) == expected
    assert pages("u1", None) == [one for one in expected if one.user_id == "u1"]
    assert pages(None, NotificationStatus.SENT) == [one for one in expected if one.id in sent]
    assert pages("u0", NotificationStatus.PENDING) == [
        one for one in expected if one.user_id == "u0" and one.id not in sent
    ]
    assert store.listed(limit=0) == []
    assert store.listed(NotificationFilter(user_id="nobody"), limit=5) == []


def test_deliveries_are_counted_by_channel_and_status(store: NotificationStore) -> None:
    ones = [store.add(notification(number, "sms", "email"), NOW_MS).notification for number in range(4)]
    happen(store, ones[0], A, S)
    happen(store, ones[1], A, S)
    happen(store, ones[2], A)
    happen(store, ones[3], A, D, R, channel="email")
    assert store.counts() == [
        ChannelCounts("email", LogStatus.PENDING, 4),
        ChannelCounts("sms", LogStatus.PENDING, 1),
        ChannelCounts("sms", LogStatus.SENDING, 1),
        ChannelCounts("sms", LogStatus.SUCCESS, 2),
    ]


def test_the_newest_notifications_are_counted_by_delivery_status(store: NotificationStore) -> None:
    made = [notification(number, "sms", "email", created_at_ms=NOW_MS + number) for number in range(4)]
    mine = replace(notification(4, "sms", user_id="u2", created_at_ms=NOW_MS + 4), tenant="acme")
    theirs = replace(notification(5, created_at_ms=NOW_MS + 5), announces=True, merchant_id="m1")
    for one in (*made, mine, theirs):
        store.add(one, NOW_MS)
    happen(store, made[0], A, S)
    happen(store, made[1], A, S)
    happen(store, made[1], A, D, channel="email")
    happen(store, made[2], A)
    pending = ("email", LogStatus.PENDING)
    sms = {status: ("sms", status) for status in LogStatus}

    def counts(limit: int = 100, **requested: Any) -> dict[tuple[tuple[str, LogStatus], ...], int]:
        found = store.state_counts(NotificationFilter(**requested), limit=limit)
        assert [one.logs for one in found] == sorted(one.logs for one in found)
        return {one.logs: one.count for one in found}

    assert counts() == {
        (("email", LogStatus.DEAD), sms[LogStatus.SUCCESS]): 1,
        (pending, sms[LogStatus.PENDING]): 1,
        (pending, sms[LogStatus.SENDING]): 1,
        (pending, sms[LogStatus.SUCCESS]): 1,
        (sms[LogStatus.PENDING],): 2,
    }
    assert counts(2) == {(sms[LogStatus.PENDING],): 2}
    assert counts(3, from_ms=NOW_MS, before_ms=NOW_MS + 4) == {
        (("email", LogStatus.DEAD), sms[LogStatus.SUCCESS]): 1,
        (pending, sms[LogStatus.PENDING]): 1,
        (pending, sms[LogStatus.SENDING]): 1,
    }
    assert counts(tenant="acme") == counts(user_id="u2") == {(sms[LogStatus.PENDING],): 1}
    assert counts(merchants=[], from_ms=NOW_MS + 5) == {}
    assert counts(merchants=["m1"], from_ms=NOW_MS + 5) == {(sms[LogStatus.PENDING],): 1}
    assert counts(tenant="acme", before_ms=NOW_MS) == counts(0) == {}
    dead = {(("email", LogStatus.DEAD), sms[LogStatus.SUCCESS]): 1}
    assert counts(logs=LogFilter(frozenset({LogStatus.DEAD}))) == counts(status=NotificationStatus.FAILED) == dead


def test_due_notifications_are_counted_once_even_if_postponed(
    store: NotificationStore,
) -> None:
    for number in (1, 2, 3):
        store.add(notification(number, "sms", "email"), NOW_MS + 500)
    assert [store.due_count(at_ms) for at_ms in (NOW_MS - 1, NOW_MS)] == [0, 3]
    happen(store, notification(1, "sms", "email"), A, S, channel="sms")
    happen(store, notification(2, "sms", "email"), A, channel="sms")
    happen(store, notification(2, "sms", "email"), A, S, channel="email")
    assert [store.due_count(at_ms) for at_ms in (NOW_MS, NOW_MS + LEASE_MS)] == [2, 3]


def test_the_age_of_the_oldest_due_does_not_depend_on_queueing(store: NotificationStore) -> None:
    one = store.add(notification(1, "sms", "email"), NOW_MS + 500).notification
    other = store.add(notification(2, created_at_ms=NOW_MS + 100), NOW_MS).notification
    assert store.oldest_due_ms(NOW_MS - 1) is None
    assert store.oldest_due_ms(NOW_MS) == NOW_MS
    store.postpone([one.id, other.id], NOW_MS + 500, FAR_MS)
    assert store.oldest_due_ms(NOW_MS + 600) == NOW_MS
    happen(store, one, A)
    happen(store, one, A, S, channel="email")
    assert store.oldest_due_ms(NOW_MS + 600) == NOW_MS + 100
    happen(store, other, C)
    assert store.oldest_due_ms(NOW_MS + 600) is None
    assert store.oldest_due_ms(NOW_MS + LEASE_MS) == NOW_MS + LEASE_MS


def test_pages_can_be_limited_to_a_tenant_and_merchants(store: NotificationStore) -> None:
    made = [
        replace(
            notification(number, user_id="u1" if number % 2 else "u2", created_at_ms=NOW_MS + number // 3),
            tenant="acme" if number % 3 else "operator",
            announces=number % 4 > 0,
            merchant_id=(None, "m1", "m2", None)[number % 4],
        )
        for number in range(24)
    ]
    for one in made:
        store.add(one, NOW_MS)
    made.sort(key=lambda one: (one.created_at_ms, one.id), reverse=True)
    for tenant, readable, user_id in product(
        (None, "acme", "operator", "none"), (None, {"m1"}, {"m1", "m2"}, set()), (None, "u1")
    ):
        expected = [
            one
            for one in made
            if tenant in (None, one.tenant)
            and (readable is None or not one.announces or one.merchant_id in readable)
            and user_id in (None, one.user_id)
        ]
        wanted = NotificationFilter(tenant, readable, user_id, NotificationStatus.PENDING)
        found: list[Notification] = []
        after = None
        while page := store.listed(wanted, after=after, limit=5):
            found += [listed.notification for listed in page]
            after = (found[-1].created_at_ms, found[-1].id)
        assert found == expected


def test_lists_can_be_filtered_by_delivery_status_channel_and_interval(
    store: NotificationStore,
) -> None:
    made = [notification(number, "sms", "email", created_at_ms=NOW_MS + number) for number in range(5)]
    for one in made:
        store.add(one, NOW_MS)
    for number, channel, outcome in ((0, "sms", D), (1, "email", D), (2, "sms", U), (3, "sms", D), (4, "sms", S)):
        happen(store, made[number], A, outcome, channel=channel)
    happen(store, made[3], R, channel="sms")

    def numbers(*statuses: LogStatus, channels: tuple[str, ...] = (), after: Any = None, **requested: Any) -> list[int]:
        logs = LogFilter(frozenset(statuses), frozenset(channels))
        page = store.listed(NotificationFilter(logs=logs, **requested), after=after, limit=10)
        return [made.index(found.notification) for found in page]

    assert numbers(LogStatus.DEAD) == [1, 0]
    assert numbers(LogStatus.DEAD, channels=("sms",)) == [0]
    assert numbers(LogStatus.DEAD, channels=("sms", "email")) == [1, 0]
    assert numbers(LogStatus.DEAD, LogStatus.UNKNOWN) == [2, 1, 0]
    assert numbers(LogStatus.SUCCESS, channels=("email", "fax")) == []
    assert numbers(LogStatus.DEAD, LogStatus.UNKNOWN, from_ms=NOW_MS + 1, before_ms=NOW_MS + 2) == [1]
    assert numbers(LogStatus.DEAD, after=(made[1].created_at_ms, made[1].id), from_ms=NOW_MS) == [0]
    assert numbers(LogStatus.DEAD, after=(made[1].created_at_ms, made[1].id), from_ms=NOW_MS + 1) == []
    whole = store.listed(NotificationFilter(from_ms=NOW_MS + 3), limit=10)
    assert [found.notification for found in whole] == [made[4], made[3]]
