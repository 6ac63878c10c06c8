"""Conformance tests of notification stores: pruning (retention) of finished notifications, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from notification_examples import FAR_MS, NOW_MS, event, happen, notification
from prepared_store import open_prepared

from core.notifications.events import EventKind, LogStatus
from core.stores import Stores, open_stores
from core.stores.notifications import ChannelCounts, NotificationStore

A, S, F, D, U, C, R = (
    EventKind.ATTEMPT,
    EventKind.SUCCESS,
    EventKind.FAILED,
    EventKind.DEAD,
    EventKind.UNKNOWN,
    EventKind.CANCEL,
    EventKind.RETRY,
)
LATER_MS = NOW_MS + 1_000


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def store(stores: Stores) -> NotificationStore:
    return stores.notifications


def add(store: NotificationStore, number: int, *kinds: EventKind, at_ms: int = NOW_MS) -> str:
    """The id of the notification of that number, to whose only log these have happened."""
    stored = store.add(notification(number), NOW_MS).notification
    happen(store, stored, *kinds, at_ms=at_ms)
    return stored.id


def events(store: NotificationStore, notification_id: str) -> int:
    """How many have happened to its log."""
    stored = store.get(notification_id)
    assert stored is not None
    return len(stored.log("sms").events)


def finished(store: NotificationStore, before_ms: int = LATER_MS, *, unknown: bool = False) -> set[str]:
    return {found.id for found in store.finished(before_ms, unknown=unknown, limit=100)}


def test_notifications_that_ended_before_an_instant_are_prunable(store: NotificationStore) -> None:
    ends = [add(store, number, *kinds) for number, kinds in enumerate([(A, S), (A, D), (C,), (D,)])]
    for number, kinds in enumerate([(), (A,), (A, F), (D, R), (A, U, R)], start=10):
        add(store, number, *kinds)
    assert finished(store) == set(ends)
    assert finished(store, FAR_MS, unknown=True) == set(ends)


def test_prunability_depends_on_the_end_and_not_the_creation(
    store: NotificationStore,
) -> None:
    one = add(store, 1, A, S, at_ms=LATER_MS)
    assert finished(store, LATER_MS) == set()
    assert finished(store, LATER_MS + 1) == {one}


def test_one_open_or_later_delivery_keeps_the_notification(store: NotificationStore) -> None:
    both = notification(1, "sms", "email")
    store.add(both, NOW_MS)
    happen(store, both, A, S, channel="sms")
    assert finished(store, FAR_MS) == set()
    happen(store, both, A, S, channel="email", at_ms=LATER_MS)
    assert finished(store, LATER_MS) == set()
    assert finished(store, LATER_MS + 1) == {both.id}


def test_notifications_with_unknown_outcome_are_prunable_only_on_request(store: NotificationStore) -> None:
    one = add(store, 1, A, U)
    assert finished(store) == set()
    assert finished(store, unknown=True) == {one}
    assert store.remove([one], LATER_MS, unknown=False) == 0
    assert store.remove([one], LATER_MS, unknown=True) == 1


def test_prunable_notifications_are_returned_in_pages_oldest_first(store: NotificationStore) -> None:
    for number in range(5):
        stored = replace(notification(number), created_at_ms=NOW_MS - number // 2)
        store.add(stored, NOW_MS)
        happen(store, stored, A, U if number == 2 else S)
    wanted = sorted(
        (NOW_MS - number // 2, notification(number).id) for number in range(5) if number != 2
    )  # fmt: skip
    found, after = [], None
    while page := store.finished(LATER_MS, unknown=False, after=after, limit=2):
        after = page[-1].created_at_ms, page[-1].id
        found += [(one.created_at_ms, one.id) for one in page]
    assert found == wanted
    assert store.finished(LATER_MS, unknown=False, limit=0) == []


def test_pruning_removes_a_notification_with_its_events_only(store: NotificationStore, store_url: str) -> None:
    gone = [add(store, number, A, F, A, S) for number in (1, 2)]
    stays = add(store, 3, A, S)
    assert store.remove([*gone, "nosuch"], LATER_MS, unknown=False) == 2
    with open_stores(store_url, timeout_s=10, create=False) as others:
        assert [others.notifications.get(one) for one in gone] == [None, None]
        assert [found.notification.id for found in others.notifications.listed(limit=10)] == [stays]
        assert others.notifications.counts() == [ChannelCounts("sms", LogStatus.SUCCESS, 1)]
        assert events(others.notifications, stays) == 2
    assert store.remove(gone, LATER_MS, unknown=False) == 0


def test_a_notification_reopened_before_pruning_is_kept(store: NotificationStore) -> None:
    one = add(store, 1, A, D)
    assert finished(store) == {one}
    happen(store, notification(1), R)
    assert store.remove([one], LATER_MS, unknown=True) == 0
    assert store.due(FAR_MS, 10) == [one]


def test_a_removed_id_can_be_used_again_from_the_start(store: NotificationStore) -> None:
    one = add(store, 1, A, S)
    store.remove([one], LATER_MS, unknown=False)
    added_again = store.add(notification(1), NOW_MS)
    assert added_again.log("sms").events == ()
    assert store.get(one) == added_again
    happen(store, notification(1), A, S)
    assert events(store, one) == 2


def test_a_stale_reader_cannot_append_to_a_removed_notification(store: NotificationStore) -> None:
    stored = store.add(notification(1), NOW_MS)
    state = happen(store, stored.notification, A, D)
    store.remove([stored.notification.id], LATER_MS, unknown=False)
    store.append(stored.notification, "sms", state, event(3, R))
    assert store.get(stored.notification.id) is None
    assert store.due(FAR_MS, 10) == []
