"""Poison messages and hanging gateways do not block a worker of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest
from gateway_http import Gateway, answers, gateway, hangs
from notifier_services import NotifierServices, notifier_services, wait_until

from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus

_MAX_ATTEMPTS = 6
_HELD_UP = 20
_TIMEOUT_S = 90


@pytest.fixture(scope="module")
def telegram() -> Iterator[Gateway]:
    with gateway(answers(200, {"ok": True, "result": {"message_id": 7}})) as running:
        yield running


@pytest.fixture(scope="module")
def webhook() -> Iterator[Gateway]:
    with gateway(hangs) as running:
        yield running


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
    missing: Callable[[str], NoReturn],
    telegram: Gateway,
    webhook: Gateway,
) -> Iterator[NotifierServices]:
    with ExitStack() as stack:
        made = stack.enter_context(notifier_services(tmp_path_factory.mktemp("notifier"), missing))
        made.stores.contacts.replace("u1", {"telegram": "123456789", "webhook": f"{webhook.url}/in"})
        senders = {
            "telegram": "telegram",
            "webhook": "webhook",
            "early": "poison_senders.EarlyCrashSender",
            "asked": "poison_senders.LookupCrashSender",
        }
        made.run_worker(
            1,
            NOTIFY_SENDERS=",".join(f"{channel}={sender}" for channel, sender in senders.items()),
            NOTIFY_MAX_ATTEMPTS=str(_MAX_ATTEMPTS),
            TELEGRAM_URL=telegram.url,
            TELEGRAM_BOT_TOKEN="123:token",
            WEBHOOK_SECRET="secret",
            WEBHOOK_ALLOW_PRIVATE="true",
            WEBHOOK_PORTS=str(webhook.port),
        )
        made.run("beat")
        made.wait_for_workers()
        yield made


def test_a_hanging_gateway_does_not_delay_other_channels(
    running: NotifierServices, telegram: Gateway, webhook: Gateway
) -> None:
    held_up = [running.add("webhook") for _ in range(_HELD_UP)]
    others = [running.add("telegram") for _ in range(_HELD_UP)]
    assert {log.state.status for log in running.ended(*others, timeout_s=_TIMEOUT_S)} == {LogStatus.SUCCESS}
    # They were queued behind all of those that hang, of which most have not been tried.
    assert 3 <= len(webhook.requests) <= _HELD_UP // 2
    assert sum(not running.stored(one).log("webhook").events for one in held_up) >= _HELD_UP // 2
    worker = running.running[0].log
    wait_until(lambda: '"event":"gateway-paused"' in worker.read_text(), _TIMEOUT_S, running.logs)
    assert '"gateway":"webhook 127.0.0.1"' in worker.read_text()
    webhook.behaviours[:] = [answers(204)]
    webhook.over.set()
    assert {log.state.status for log in running.ended(*held_up, timeout_s=_TIMEOUT_S)} == {LogStatus.SUCCESS}
    wait_until(lambda: '"event":"gateway-resumed"' in worker.read_text(), _TIMEOUT_S, running.logs)


def test_a_poison_message_ends_dead_before_and_unknown_after_sending(
    running: NotifierServices,
) -> None:
    before, after = running.add("early", "telegram"), running.add("asked")
    early, other, requested = running.ended(before, after, timeout_s=_TIMEOUT_S)
    assert (early.state.status, early.state.attempts) == (LogStatus.DEAD, 0)
    assert early.state.error_message == "given up: each attempt to deliver it crashed or failed unexpectedly"
    assert other.state.status is LogStatus.SUCCESS
    assert [event.kind for event in requested.events] == [EventKind.ATTEMPT, EventKind.UNKNOWN]
    one = running.add("telegram")
    wait_until(lambda: running.stored(one).status is NotificationStatus.SENT, _TIMEOUT_S, running.logs)
