"""Real workers: two on the same messages, one killed, one stopped, one with invalid settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from notifier_services import NotifierServices, notifier_services

from core.notifications.events import LogStatus

_MESSAGES = 200


@pytest.fixture
def idle(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[NotifierServices]:
    with notifier_services(tmp_path, missing) as made:
        yield made


@pytest.mark.thorough
def test_two_workers_on_the_same_messages_send_each_once(idle: NotifierServices) -> None:
    added = [idle.add("plain", queued=2) for _ in range(_MESSAGES)]
    idle.run_worker()
    idle.run_worker()
    logs = idle.ended(*added)
    assert {(log.state.status, log.state.attempts) for log in logs} == {(LogStatus.SUCCESS, 1)}
    taken = idle.gateway.lines("taken")
    assert Counter(found for found, _ in taken) == Counter(f"{one}:plain" for one in added)
    assert len({pid for _, pid in taken}) > 2


def test_the_messages_of_a_killed_worker_are_taken_over(idle: NotifierServices) -> None:
    killed = idle.run_worker()
    added = [idle.add("lookup", "idempotent", body="slow 1"), idle.add("plain", body="slow 1")]
    for channel, one in zip(("lookup", "plain"), added, strict=True):
        idle.sender_of(f"{one}:{channel}")
    killed.kill_all()
    idle.run_worker()
    idle.run("beat")
    logs = idle.ended(*added)
    assert [log.state.status for log in logs] == [LogStatus.SUCCESS, LogStatus.SUCCESS, LogStatus.UNKNOWN]
    counts = Counter(found for found, _ in idle.gateway.lines("taken"))
    assert set(counts.values()) == {1}
    assert len(counts) == 3


def test_a_stopped_worker_finishes_its_running_deliveries(idle: NotifierServices) -> None:
    worker = idle.run_cold(*idle.worker())
    last = idle.add("plain", body="slow 1")
    idle.sender_of(f"{last}:plain")
    assert worker.stop() == 0
    assert [log.state.status for log in idle.stored(last).logs] == [LogStatus.SUCCESS]


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("NOTIFY_SENDERS", "sms=delivery_senders.UnconfiguredSender", "SMS_TEST_KEY is not set. "),
        ("NOTIFY_LEASE_S", "1.9", "NOTIFY_LEASE_S is '1.9': it must be at least four times NOTIFY_SEND_TIMEOUT_S"),
    ],
)
def test_a_worker_with_invalid_settings_does_not_start(
    idle: NotifierServices, variable: str, value: str, sentence: str
) -> None:
    worker = idle.run("worker", **{variable: value})
    assert worker.process.wait(timeout=60) == 1
    assert worker.log.read_text().startswith(sentence)
