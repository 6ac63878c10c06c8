"""A real worker with the built-in senders and a loopback gateway for each."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest
from gateway_channels import (
    CHAT,
    KAVENEGAR,
    MAIL_ADDRESS,
    TELEGRAM,
    WEBHOOK,
    Gateways,
    gateways,
)
from gateway_http import Behaviour, Gateway, Request, hangs
from gateway_messages import PERSIAN_BODY, PERSIAN_TITLE
from notifier_services import NotifierServices, notifier_services, wait_until
from redis import Redis

from core.notifications.broker import DELIVERIES, queue_delivery
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import Notification, NotificationStatus, new_id
from core.stores import wall_clock_ms
from core.stores.notifications import Log, NotificationFilter

_CHANNELS = ("sms", "email", "telegram", "webhook")
# Long enough for a busy machine to begin four messages within a time-out of one.
_SEND_TIMEOUT_S, _LEASE_S = 3.0, 12.0
_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def there() -> Iterator[Gateways]:
    with gateways() as running:
        yield running


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn], there: Gateways
) -> Iterator[NotifierServices]:
    with notifier_services(tmp_path_factory.mktemp("notifier"), missing) as made:
        made.stores.contacts.replace("u1", there.addresses)
        yield made


@pytest.fixture(scope="module")
def killed(running: NotifierServices, there: Gateways) -> dict[str, str]:
    """By channel, the notification whose gateway had it, and had not answered, when the worker was killed.

    Another worker, and beat, run from then on.
    """
    usual: list[tuple[Gateway, Behaviour]] = [
        (there.kavenegar, KAVENEGAR),
        (there.telegram, TELEGRAM),
        (there.webhook, WEBHOOK),
    ]
    for one, behaviour in usual:
        one.behaviours[:] = [hangs, behaviour]
    there.mail.script = {"end": "hang"}
    times = {"NOTIFY_SEND_TIMEOUT_S": str(_SEND_TIMEOUT_S), "NOTIFY_LEASE_S": str(_LEASE_S)}
    worker = running.run_worker(4, **there.variables, **times)
    running.wait_for_workers()
    added = {channel: running.add(channel, body=f"held-{channel}") for channel in _CHANNELS}
    wait_until(
        lambda: there.mail.stages[-1:] == ["end"] and all(one.requests for one, _ in usual), _TIMEOUT_S, running.logs
    )
    worker.kill_all()
    there.mail.script = {}
    running.running.remove(worker)
    running.run_worker(2, **there.variables, **times)
    running.run("beat")
    running.wait_for_workers()
    return added


def test_the_status_of_an_sms_of_a_dead_worker_is_looked_up(
    running: NotifierServices, there: Gateways, killed: dict[str, str]
) -> None:
    log = _settled(running, killed["sms"])
    sent = _only([one for one in there.kavenegar.requests if b"held-sms" in one.body])
    about_it = [one for one in there.kavenegar.requests if one.form["localid"] == sent.form["localid"]]
    sending, *asking = [one.path.rpartition("/")[2] for one in about_it]
    assert sending == "send.json"
    assert set(asking) == {"statuslocalmessageid.json"}  # once, or by each of two workers at the same time
    assert _kinds(log) == [EventKind.ATTEMPT, EventKind.SUCCESS]
    assert log.state.reference == str(int(sent.form["localid"]) % 10**9)


def test_a_mail_of_a_dead_worker_is_unknown_and_not_sent_again(
    running: NotifierServices, there: Gateways, killed: dict[str, str]
) -> None:
    log = _settled(running, killed["email"])
    assert _kinds(log) == [EventKind.ATTEMPT, EventKind.UNKNOWN]
    assert (log.state.error_message or "").startswith("the worker died")
    assert sum(killed["email"].encode() in mail.content for mail in there.mail.mails) == 1


def test_a_telegram_message_of_a_dead_worker_is_unknown_and_not_sent_again(
    running: NotifierServices, there: Gateways, killed: dict[str, str]
) -> None:
    log = _settled(running, killed["telegram"])
    assert _kinds(log) == [EventKind.ATTEMPT, EventKind.UNKNOWN]
    assert sum(b"held-telegram" in one.body for one in there.telegram.requests) == 1


def test_a_webhook_of_a_dead_worker_is_retried_with_its_idempotency_key(
    running: NotifierServices, there: Gateways, killed: dict[str, str]
) -> None:
    log = _settled(running, killed["webhook"])
    assert _kinds(log) == [EventKind.ATTEMPT, EventKind.MAYBE, EventKind.ATTEMPT, EventKind.SUCCESS]
    first, second = [one for one in there.webhook.requests if b"held-webhook" in one.body]
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == f"{killed['webhook']}:webhook"
    assert first.body == second.body


@pytest.mark.usefixtures("killed")
def test_one_notification_arrives_over_all_channels_with_its_persian_text(
    running: NotifierServices, there: Gateways
) -> None:
    _settle_all(running)
    made = Notification(new_id(), "u1", PERSIAN_TITLE, PERSIAN_BODY, _CHANNELS, "fa", wall_clock_ms())
    running.stores.notifications.add(made, made.created_at_ms + 60_000)
    queue_delivery(running.app, made.id)

    logs = running.ended(made.id, timeout_s=_TIMEOUT_S)

    assert {(log.state.status, log.state.attempts) for log in logs} == {(LogStatus.SUCCESS, 1)}
    assert running.stored(made.id).status is NotificationStatus.SENT
    sms = there.kavenegar.requests[-1].form
    assert (sms["receptor"], sms["message"]) == ("09123456789", f"{PERSIAN_TITLE}\n{PERSIAN_BODY}")
    assert there.telegram.requests[-1].json == {"chat_id": CHAT, "text": f"{PERSIAN_TITLE}\n\n{PERSIAN_BODY}"}
    webhook = there.webhook.requests[-1].json
    assert (webhook["id"], webhook["title"], webhook["body"]) == (f"{made.id}:webhook", PERSIAN_TITLE, PERSIAN_BODY)
    mail = there.mail.mails[-1]
    found = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert (mail.receivers, found["Subject"]) == ([MAIL_ADDRESS], PERSIAN_TITLE)
    assert found.get_content().splitlines() == PERSIAN_BODY.splitlines()


@pytest.mark.usefixtures("killed")
def test_a_gateway_that_hangs_does_not_stop_the_sweep(running: NotifierServices, there: Gateways) -> None:
    _settle_all(running)
    there.webhook.behaviours[:] = [hangs]
    try:
        # Two processes, each held for a time-out by each of these: without an order of queues a minute goes by.
        hanging = [running.add("webhook") for _ in range(40)]
        seen = len(there.webhook.requests)
        wait_until(lambda: len(there.webhook.requests) > seen + 1, _TIMEOUT_S, running.logs)

        found = running.add("sms", queued=0)
        with Redis.from_url(running.redis.url(0), socket_timeout=5) as broker:

            def was_queued() -> bool:
                waiting: list[bytes] = broker.lrange(DELIVERIES, 0, -1)
                return any(found.encode() in one for one in waiting) or bool(running.stored(found).log("sms").events)

            wait_until(was_queued, _TIMEOUT_S, running.logs)
        assert any(running.stored(one).status is NotificationStatus.PENDING for one in hanging)
    finally:
        there.webhook.behaviours[:] = [WEBHOOK]
    assert _settled(running, found).state.status is LogStatus.SUCCESS


def _settled(running: NotifierServices, notification_id: str) -> Log:
    return running.ended(notification_id, timeout_s=_TIMEOUT_S)[0]


def _settle_all(running: NotifierServices) -> None:
    """Wait until every earlier delivery has ended."""
    stores = running.stores.notifications
    wait_until(
        lambda: not stores.listed(NotificationFilter(status=NotificationStatus.PENDING), limit=1),
        _TIMEOUT_S,
        running.logs,
    )


def _kinds(log: Log) -> list[EventKind]:
    return [event.kind for event in log.events]


def _only(requests: list[Request]) -> Request:
    (request,) = requests
    return request
