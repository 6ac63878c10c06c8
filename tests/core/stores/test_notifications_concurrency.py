"""Conformance tests of notification stores under concurrency and with killed processes."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest
from effort import THOROUGH
from examples import Script
from notification_examples import FAR_MS, NOW_MS, event, happen, notification
from notification_hammer import CHANNELS, SHARED
from prepared_store import open_prepared

from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus
from core.stores import Stores, open_stores
from core.stores.notifications import NotificationStore, StoredNotification

T = TypeVar("T")

A, S, F = EventKind.ATTEMPT, EventKind.SUCCESS, EventKind.FAILED


@pytest.fixture
def is_slow(store_url: str) -> bool:
    """Whether one thing takes milliseconds, so that fewer must do."""
    return store_url.startswith("mongodb")


@pytest.fixture
def store(store_url: str) -> Iterator[NotificationStore]:
    with open_prepared(store_url, timeout_s=20) as opened:
        yield opened.notifications


@contextmanager
def each_with_its_own(store_url: str, count: int) -> Iterator[list[Stores]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_stores(store_url, timeout_s=20)) for _ in range(count)]


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """The results of `calls`, made concurrently, each on a thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait(timeout=60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, call) for call in calls]]


def test_of_concurrent_inserts_under_one_id_one_succeeds(
    store: NotificationStore, store_url: str, is_slow: bool
) -> None:
    rounds = 3 if is_slow else 20
    with each_with_its_own(store_url, 4) as own:
        for number in range(rounds):
            drafts = [
                replace(notification(number, *channels), body=channels[0])
                for channels in (("sms", "email"), ("telegram",), ("email", "sms", "webhook"), ("webhook",))
            ]
            answers = at_once(
                [partial(one.notifications.add, draft, NOW_MS) for one, draft in zip(own, drafts, strict=True)]
            )
            (winner,) = {answer.notification.body: answer for answer in answers}.values()
            assert winner.notification in drafts
            assert store.get(winner.notification.id) == winner
            assert tuple(log.channel for log in winner.logs) == winner.notification.channels
    listed = store.listed(limit=100)
    assert len(listed) == rounds
    assert sorted(store.due(FAR_MS, 100)) == sorted(found.notification.id for found in listed)
    expected = Counter(channel for found in listed for channel in found.notification.channels)
    assert {found.channel: found.count for found in store.counts()} == expected


def test_of_concurrent_appends_of_one_event_number_one_succeeds(
    store: NotificationStore, store_url: str, is_slow: bool
) -> None:
    one = store.add(notification(), NOW_MS).notification
    with each_with_its_own(store_url, 8) as own:
        for number in range(1, 5 if is_slow else 31):
            stored = store.get(one.id)
            assert stored is not None
            happening = event(number, A if number % 2 else F)
            before = stored.logs[0].state
            answers = at_once([partial(each.notifications.append, one, "sms", before, happening) for each in own])
            after = store.get(one.id)
            assert after is not None
            assert [answer for answer in answers if answer is not None] == [after.logs[0].state]
            assert after.logs[0].events == (*stored.logs[0].events, happening)


def test_threads_may_share_a_store(store: NotificationStore, is_slow: bool) -> None:
    ones = [store.add(notification(number), NOW_MS).notification for number in range(4)]
    at_once([partial(happen, store, one, *[A, F] * (1 if is_slow else 10), A, S) for one in ones])
    assert {found.status for found in store.listed(limit=10)} == {NotificationStatus.SENT}


def test_the_listed_status_is_right_when_two_deliveries_end_concurrently(
    store: NotificationStore, store_url: str, is_slow: bool
) -> None:
    rounds = 5 if is_slow else 30
    with each_with_its_own(store_url, 2) as own:
        for number in range(rounds):
            one = store.add(notification(number, "sms", "email"), NOW_MS).notification
            for channel in one.channels:
                happen(store, one, A, channel=channel)
            at_once(
                [
                    partial(happen, each.notifications, one, S, channel=channel)
                    for each, channel in zip(own, one.channels, strict=True)
                ]
            )
    assert {found.status for found in store.listed(limit=100)} == {NotificationStatus.SENT}
    assert {(found.status, found.count) for found in store.counts()} == {(LogStatus.SUCCESS, rounds)}
    assert store.due(FAR_MS, 100) == []


@pytest.mark.parametrize("seed", range(10 if THOROUGH else 1))
def test_killed_processes_lose_no_event_and_claim_nothing_twice(
    store: NotificationStore, store_url: str, is_slow: bool, seed: int
) -> None:
    store.add(replace(notification(0, *CHANNELS), id=SHARED), NOW_MS)
    with ExitStack() as stack:
        processes = [stack.enter_context(Script("notification_hammer.py", store_url, f"{seed}{n}")) for n in "abc"]
        lines = []
        for _ in range(random.Random(seed).randint(4, 12 if is_slow else 40)):
            lines += [process.stdout.readline() for process in processes]
        for process in processes:
            process.kill()
        for process in processes:
            lines += process.stdout.readlines()
    reported = [line.split() for line in lines if line.endswith("\n")]
    assert len(reported) == len({tuple(words) for words in reported}), "two processes made the same event"
    stored = settled(store)
    for words in reported:
        if words[0] == "added":
            assert tuple(log.channel for log in stored[words[1]].logs) == CHANNELS
        else:
            assert len(stored[words[0]].log(words[1]).events) >= int(words[2])
    made = sum(len(log.events) for one in stored.values() for log in one.logs)
    acknowledged = sum(len(words) == 3 for words in reported)
    assert acknowledged <= made <= acknowledged + len(processes)
    require_correct_once_repaired(store, stored)


def settled(store: NotificationStore) -> dict[str, StoredNotification]:
    """Everything, once a server has done what the processes had asked for when they were killed."""
    found: dict[str, StoredNotification] = {}
    while (before := found) != (found := everything(store)) or not before:
        time.sleep(0.2)
    return found


def everything(store: NotificationStore) -> dict[str, StoredNotification]:
    stored = {found.notification.id: store.get(found.notification.id) for found in store.listed(limit=100_000)}
    assert None not in stored.values()
    return stored  # type: ignore[return-value]


def require_correct_once_repaired(store: NotificationStore, stored: dict[str, StoredNotification]) -> None:
    given = store.due(FAR_MS, 100_000)
    open_ones = {one.notification.id for one in stored.values() if one.status is NotificationStatus.PENDING}
    assert open_ones <= set(given), "whatever is open is found"
    for notification_id in given:
        store.repair_copies(stored[notification_id])
    assert set(store.due(FAR_MS, 100_000)) == open_ones
    statuses = {found.notification.id: found.status for found in store.listed(limit=100_000)}
    assert statuses == {notification_id: one.status for notification_id, one in stored.items()}
    counted = {(found.channel, found.status): found.count for found in store.counts()}
    assert counted == Counter((log.channel, log.state.status) for one in stored.values() for log in one.logs)
