"""Eight worker processes on notifications that are queued several times: each is sent once (idempotency)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from effort import THOROUGH
from gateway_channels import KAVENEGAR, Gateways, gateways, short_messages
from notifier_services import CeleryProcess, NotifierServices, notifier_services, wait_until

from core.notifications.broker import queue_delivery
from core.notifications.events import LogStatus
from core.notifications.model import NotificationStatus
from core.stores.notifications import NotificationFilter

_NOTIFICATIONS = 1000
_KILLED_WITHIN = 300 if THOROUGH else 30
_TIMES_QUEUED = 2
_TOGETHER = 5  # processes, and so not those of one worker alone
_MEETING_S = 45


@pytest.fixture
def there() -> Iterator[Gateways]:
    with gateways() as running:
        yield running


@pytest.fixture
def running(tmp_path: Path, missing: Callable[[str], NoReturn], there: Gateways) -> Iterator[NotifierServices]:
    with notifier_services(tmp_path, missing) as made:
        made.stores.contacts.replace("u1", there.addresses)
        yield made


def _add(running: NotifierServices, count: int) -> dict[str, str]:
    """Add so many notifications without queueing them; returns their texts by id."""
    return {running.add("sms", body=f"no. {number}", queued=0): f"title\nno. {number}" for number in range(count)}


def _run_two_workers(running: NotifierServices, there: Gateways, lease_s: float) -> list[CeleryProcess]:
    settings = {
        "NOTIFY_LEASE_S": str(lease_s),
        "NOTIFY_SEND_TIMEOUT_S": str(lease_s / 4),
        "NOTIFY_MAX_ATTEMPTS": "15",
    }
    workers = [running.run_worker(4, **there.variables, **settings) for _ in range(2)]
    running.wait_for_workers()
    return workers


def _queue(running: NotifierServices, texts: dict[str, str]) -> None:
    """Queue all; what is queued twice in a row meets in two processes at the same moment, the rest some time later."""
    for one in texts:
        for _ in range(_TIMES_QUEUED):
            queue_delivery(running.app, one)
    for one in random.sample(list(texts), len(texts) // 4):
        queue_delivery(running.app, one)


@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 sends a thousand")
def test_each_notification_is_sent_once_however_often_it_is_queued(running: NotifierServices, there: Gateways) -> None:
    texts = _add(running, _NOTIFICATIONS)
    _run_two_workers(running, there, lease_s=240)
    meeting = threading.Barrier(_TOGETHER)

    def meet(handler: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(_MEETING_S)
        KAVENEGAR(handler)

    there.kavenegar.behaviours[:] = [*[meet] * _TOGETHER, KAVENEGAR]
    _queue(running, texts)
    logs = running.ended(*texts, timeout_s=120)

    assert Counter(one.form["message"] for one in short_messages(there.kavenegar)) == Counter(texts.values())
    assert len(there.kavenegar.requests) == _NOTIFICATIONS
    assert {(log.state.status, log.state.attempts) for log in logs} == {(LogStatus.SUCCESS, 1)}
    listed = running.stores.notifications.listed(
        NotificationFilter(status=NotificationStatus.SENT), limit=_NOTIFICATIONS + 1
    )
    assert {one.notification.id for one in listed} == set(texts)
    assert not meeting.broken  # so many sent at the same moment
    assert len({log.events[0].worker for log in logs}) >= _TOGETHER


def test_each_notification_is_sent_once_when_half_of_the_workers_are_killed(
    running: NotifierServices, there: Gateways
) -> None:
    texts = _add(running, _KILLED_WITHIN)
    killed, _ = _run_two_workers(running, there, lease_s=8)

    def slow(handler: Any) -> None:
        time.sleep(0.1)
        KAVENEGAR(handler)

    there.kavenegar.behaviours[:] = [slow]
    _queue(running, texts)
    wait_until(lambda: len(there.kavenegar.requests) > _KILLED_WITHIN // 4, 60, running.logs)
    killed.kill_all()
    running.running.remove(killed)
    running.run("beat")
    logs = running.ended(*texts, timeout_s=90)

    assert Counter(one.form["message"] for one in short_messages(there.kavenegar)) == Counter(texts.values())
    assert {log.state.status for log in logs} == {LogStatus.SUCCESS}
