"""``python -m notifier announce`` and ``sweep``: on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from announcing_cli import Notifier
from announcing_shop import Shop
from delivery_broker import RedisProcess
from gateway_http import closed_port
from notification_examples import NOW_MS, notification

from core.calendar import Mode
from core.calendar.days import LocalDays
from core.stores import wall_clock_ms


@pytest.fixture
def broker_url(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[str]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisProcess(folder, missing)
    server.start()
    yield server.url(0)
    server.kill()


def test_due_messages_are_queued_once(tmp_path: Path, broker_url: str) -> None:
    notifier = Notifier(tmp_path, CELERY_BROKER_URL=broker_url)
    with notifier.stores() as stores:
        for number in range(3):
            stores.notifications.add(notification(number), NOW_MS)
    assert notifier("sweep").out == "Queued 3 notifications.\n"
    assert notifier("sweep", "--json").json == {"queued": 0}
    assert "Queue  3 notifications wait\n" in notifier("status").out


def test_a_sweep_without_a_broker_fails_with_one_sentence(tmp_path: Path) -> None:
    notifier = Notifier(tmp_path, CELERY_BROKER_URL=f"redis://:secret-word@127.0.0.1:{closed_port()}/0")
    with notifier.stores() as stores:
        stores.notifications.add(notification(), NOW_MS)
        output = notifier("sweep")
        assert "the queue does not answer" in output.failure(1)
        assert "secret-word" not in output.out + output.err
        assert stores.notifications.due(wall_clock_ms(), 10) == [notification().id]


def test_announcements_can_be_made_by_hand_once(tmp_path: Path) -> None:
    notifier = Notifier(tmp_path)
    with notifier.stores() as stores:
        shop = Shop(stores)
        now_ms = wall_clock_ms()
        yesterday = shop.calendar.period_of(Mode.DAILY, LocalDays(shop.fingerprint.time_zone).day_of(now_ms) - 1)
        shop.subscribe(channels=("email",))
        shop.rebuild({"m1": {yesterday.key: (5, 2)}}, now_ms)
        assert notifier("announce", NOTIFY_SETTLING_S="0").out == "Created 1 notification; the sweep will queue them.\n"
        assert notifier("announce", "--json", NOTIFY_SETTLING_S="0").json == {"made": 0}
        (announcement,) = shop.announcements()
    assert announcement.title == "Daily summary for merchant m1"
