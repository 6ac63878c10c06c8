"""Pauses of gateways that refuse every message: shared by all workers in Redis, or per worker without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from delivery_broker import RedisProcess
from delivery_parts import DeliveryHarness, ManualClock, RecordingObserver, ScriptedSender, delivery_harness, raising
from gateway_http import answers, gateway
from gateway_mail import mail_server
from redis import Redis

from core.notifications.events import EventKind, LogStatus
from notifier.circuit_breaker import CircuitBreaker
from notifier.event_recorder import OpenLog
from notifier.gateway_pauses import RedisBreakerStates
from notifier.senders.base import (
    Gateway,
    PermanentFailure,
    Receipt,
    Refused,
    Sender,
    TemporaryFailure,
    Unreachable,
)
from notifier.senders.dialling import is_public
from notifier.senders.http import HttpGateway
from notifier.senders.smtp import MailFrom, SmtpSender
from notifier.senders.telegram import TelegramSender
from notifier.senders.webhook import WebhookSender

SMS, EMAIL = Gateway("sms"), Gateway("email")
ONE, OTHER, THIRD = (Gateway("telegram", receiver=name) for name in ("one", "other", "third"))
FIRST_S, LONGEST_S = 60.0, 900.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Iterator[RedisProcess]:
    made = RedisProcess(tmp_path_factory.mktemp("redis"), missing)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def shared(redis: RedisProcess) -> Iterator[RedisBreakerStates]:
    with Redis.from_url(redis.url(1)) as client:
        client.flushdb()
    made = RedisBreakerStates(redis.url(1))
    yield made
    made.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def worker(
    clock: ManualClock, shared: RedisBreakerStates | None = None, recorder: RecordingObserver | None = None
) -> CircuitBreaker:
    return CircuitBreaker(
        10.0, recorder or RecordingObserver(), chance=lambda: 1.0, now_s=lambda: clock() / 1000, shared=shared
    )


def test_a_refusal_pauses_one_gateway_for_its_retry_after(clock: ManualClock) -> None:
    recorder = RecordingObserver()
    alone = worker(clock, recorder=recorder)
    alone.failed(SMS, Refused("credit", 34.0))
    assert (alone.wait_s(SMS), alone.wait_s(EMAIL)) == (34.0, 0)
    assert recorder.gateways == [("sms", 34.0)]
    clock.advance_s(34)
    assert alone.wait_s(SMS) == 0


def test_pauses_without_retry_after_back_off_exponentially(clock: ManualClock) -> None:
    alone = worker(clock)
    pauses = []
    for _ in range(6):
        alone.failed(SMS, Refused("login"))
        pauses.append(alone.wait_s(SMS))
        clock.advance_s(pauses[-1])
        assert alone.wait_s(SMS) == 0
    assert pauses == [60, 120, 240, 480, 900, 900]
    alone.answered(SMS)
    alone.failed(SMS, Refused("login"))
    assert alone.wait_s(SMS) == FIRST_S


def test_a_permanent_error_ends_a_pause_but_not_its_backoff(clock: ManualClock) -> None:
    alone = worker(clock)
    alone.failed(SMS, Refused("login"))
    clock.advance_s(FIRST_S)
    assert alone.wait_s(SMS) == 0
    alone.failed(SMS, PermanentFailure("no such number"))
    assert alone.wait_s(SMS) == 0
    alone.failed(SMS, Refused("login"))
    assert alone.wait_s(SMS) == 2 * FIRST_S


@pytest.mark.parametrize(
    ("refusal", "left_s"), [(None, FIRST_S), (Refused("x"), FIRST_S), (Refused("x", 600.0), 600), (Refused("x", 1), 60)]
)
def test_responses_to_earlier_messages_do_not_end_a_pause(
    clock: ManualClock, refusal: Refused | None, left_s: float
) -> None:
    alone = worker(clock)
    alone.failed(SMS, Refused("login"))
    for _ in range(4):
        alone.answered(SMS) if refusal is None else alone.failed(SMS, refusal)
    assert alone.wait_s(SMS) == left_s


def test_an_unanswered_probe_continues_the_backoff(clock: ManualClock) -> None:
    alone = worker(clock)
    alone.failed(SMS, Refused("login"))
    clock.advance_s(FIRST_S)
    assert alone.wait_s(SMS) == 0
    alone.failed(SMS, Unreachable("no connection"))
    alone.release(SMS)
    assert alone.wait_s(SMS) == 0
    alone.failed(SMS, Refused("login"))
    assert alone.wait_s(SMS) == 2 * FIRST_S


@pytest.mark.parametrize("result", [None, PermanentFailure("given up since"), TemporaryFailure("answer 502")])
def test_a_status_lookup_does_not_end_a_pause(clock: ManualClock, result: Exception | None) -> None:
    recorder = RecordingObserver()
    alone = worker(clock, recorder=recorder)
    for pause_s in (60, 120, 240, 480):
        alone.failed(SMS, Refused("418: no credit"))
        clock.advance_s(pause_s)
        assert alone.lookup_wait_s(SMS) == 0
        alone.lookup_answered(SMS) if result is None else alone.lookup_failed(SMS, result)
        assert [alone.wait_s(SMS) > 0 for _ in range(3)] == [False, True, True]
    alone.failed(SMS, Refused("418: no credit"))
    assert alone.wait_s(SMS) == LONGEST_S
    assert alone.lookup_wait_s(SMS) == LONGEST_S
    assert recorder.gateways == [("sms", pause_s) for pause_s in (60, 120, 240, 480, 900)]


def test_a_refused_status_lookup_pauses_the_gateway(clock: ManualClock) -> None:
    alone = worker(clock)
    alone.lookup_failed(SMS, Refused("418: no credit"))
    assert alone.wait_s(SMS) == FIRST_S


def test_a_status_lookup_waits_for_a_running_probe(clock: ManualClock) -> None:
    alone = worker(clock)
    alone.failed(SMS, Refused("418: no credit"))
    clock.advance_s(FIRST_S)
    assert [alone.wait_s(SMS), alone.lookup_wait_s(SMS)] == [0, FIRST_S]


@pytest.mark.parametrize("named_s", [0.0, 0.2, -3.0])
def test_a_pause_lasts_at_least_a_second(clock: ManualClock, named_s: float) -> None:
    alone = worker(clock)
    alone.failed(SMS, Refused("429", named_s))
    assert alone.wait_s(SMS) == 1


def test_a_second_refused_chat_pauses_the_channel(clock: ManualClock) -> None:
    recorder = RecordingObserver()
    alone = worker(clock, recorder=recorder)
    alone.failed(ONE, Refused("429", 30.0, receiver_only=True))
    assert (alone.wait_s(ONE), alone.wait_s(OTHER)) == (30, 0)
    alone.failed(ONE, Refused("429", 30.0, receiver_only=True))
    assert alone.wait_s(OTHER) == 0  # the same chat again does not count as a second one
    alone.answered(OTHER)
    assert alone.wait_s(ONE) == 30  # an accepted message to another chat does not help
    clock.advance_s(10)
    alone.failed(OTHER, Refused("429", 30.0, receiver_only=True))
    assert [alone.wait_s(chat) for chat in (ONE, OTHER, THIRD)] == [30, 30, 30]
    assert recorder.gateways == [("telegram one", 30.0), ("telegram", 30.0)]


def test_chats_refused_at_different_times_do_not_pause_the_channel(clock: ManualClock) -> None:
    alone = worker(clock)
    alone.failed(ONE, Refused("429", 30.0, receiver_only=True))
    clock.advance_s(30)
    alone.failed(OTHER, Refused("429", 30.0, receiver_only=True))
    assert alone.wait_s(THIRD) == 0


def test_a_refusal_pauses_all_workers_despite_clock_skew(
    clock: ManualClock, shared: RedisBreakerStates, redis: RedisProcess
) -> None:
    ahead = ManualClock()
    ahead.advance_s(3600)
    there = RedisBreakerStates(redis.url(1))
    one, other = worker(clock, shared), worker(ahead, there)
    one.failed(SMS, Refused("418: no credit \ud800"))  # as a plug-in may say it
    assert all(FIRST_S - 5 < one_of.wait_s(SMS) <= FIRST_S for one_of in (one, other))
    [pause] = shared.paused()
    assert (pause.gateway, pause.reason) == (SMS, "418: no credit \\ud800")
    assert FIRST_S - 5 < pause.left_s <= FIRST_S
    there.close()


def test_after_a_pause_one_worker_probes_for_all(
    clock: ManualClock, shared: RedisBreakerStates, redis: RedisProcess
) -> None:
    others = [RedisBreakerStates(redis.url(1)) for _ in range(3)]
    workers = [worker(clock, states) for states in (shared, *others)]
    workers[0].failed(SMS, Refused("429", 1.0))
    _wait_until_over(shared)
    waits = [one.wait_s(SMS) for one in workers]
    assert (waits[0], [wait_s > 0 for wait_s in waits[1:]]) == (0, [True] * 3)
    workers[0].release(SMS)  # it was held up by something else
    assert workers[1].wait_s(SMS) == 0
    workers[2].release(SMS)  # who has no probe gives none back
    assert workers[3].wait_s(SMS) > 0
    [probed] = shared.paused()
    assert (probed.gateway, probed.left_s, probed.reason, probed.probed, probed.is_over) == (SMS, 0, "429", True, False)
    assert 1 <= probed.refused_s < 60
    workers[1].answered(SMS)
    assert [one.wait_s(SMS) for one in workers] == [0] * 4
    assert shared.paused() == []
    for states in others:
        states.close()


def test_without_redis_each_worker_pauses_separately(
    clock: ManualClock, tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    gone = RedisProcess(tmp_path, missing)  # which was never started
    one, other = (worker(clock, RedisBreakerStates(gone.url(1))) for _ in range(2))
    one.failed(SMS, Refused("454"))
    assert (one.wait_s(SMS), other.wait_s(SMS)) == (FIRST_S, 0)
    assert worker(clock, RedisBreakerStates("memory://")).wait_s(SMS) == 0


def test_an_unwritable_redis_is_treated_as_none(
    clock: ManualClock, shared: RedisBreakerStates, redis: RedisProcess
) -> None:
    one = worker(clock, shared)
    with Redis.from_url(redis.url(1)) as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            one.failed(SMS, Refused("454"))
        finally:
            client.config_set("min-replicas-to-write", 0)
    assert one.wait_s(SMS) == FIRST_S
    assert worker(clock, RedisBreakerStates(redis.url(1))).wait_s(SMS) == 0


@pytest.mark.parametrize(
    "stored", [b"", b"\xff", b"{", b"[]", b"null", b'{"channel": "sms", "until_s": "soon"}', b'{"receivers": [1]}']
)
def test_a_state_that_cannot_be_read_is_none(
    clock: ManualClock, shared: RedisBreakerStates, redis: RedisProcess, stored: bytes
) -> None:
    with Redis.from_url(redis.url(1)) as client:
        client.set("notifier:paused:sms", stored)
    one = worker(clock, shared)
    assert (one.wait_s(SMS), shared.paused()) == (0, [])
    one.failed(SMS, Refused("418: no credit"))
    assert one.wait_s(SMS) > 0
    assert [pause.gateway for pause in shared.paused()] == [SMS]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(
        f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender(), "email": ScriptedSender()}
    ) as made:
        yield made


def test_waiting_for_a_paused_gateway_uses_no_attempts(harness: DeliveryHarness) -> None:
    sender = harness.senders["sms"] = ScriptedSender(raising(Refused("418: no credit", 600.0)))
    delivery = harness.delivery()
    added = [harness.add() for _ in range(4)]
    for _ in range(5):
        for one in added:
            delivery.deliver(one)
        harness.clock.advance_s(100)
    assert len(sender.sent) == 1
    assert [harness.log(one).state.attempts for one in added] == [1, 0, 0, 0]
    assert {harness.log(one, "email").state.status for one in added} == {LogStatus.SUCCESS}
    harness.clock.advance_s(700)
    for one in harness.due():
        delivery.deliver(one)
    assert {harness.log(one).state.status for one in added} == {LogStatus.SUCCESS}


def _too_long(url: str) -> tuple[Sender, dict[str, str], str]:
    return TelegramSender(HttpGateway("Telegram", 10.0), url, "1:a"), {"telegram": "42"}, "x" * 5000


def _bad_address(url: str) -> tuple[Sender, dict[str, str], str]:
    return TelegramSender(HttpGateway("Telegram", 10.0), url, "1:a"), {"telegram": "no such"}, "body"


def _closed_port(url: str) -> tuple[Sender, dict[str, str], str]:
    return WebhookSender(HttpGateway("webhook", 10.0), "s", ports=[443]), {"webhook": f"{url}/a"}, "body"


def _private_host(url: str) -> tuple[Sender, dict[str, str], str]:
    http = HttpGateway("webhook", 10.0, may_connect=is_public)
    return WebhookSender(http, "s"), {"webhook": f"{url}/a"}, "body"


@pytest.mark.parametrize("unusable", [_too_long, _bad_address, _closed_port, _private_host])
def test_a_message_that_never_reaches_the_gateway_does_not_end_a_pause(
    harness: DeliveryHarness, unusable: Callable[[str], tuple[Sender, dict[str, str], str]]
) -> None:
    with gateway(answers(200, {})) as server:
        sender, contacts, body = unusable(server.url)
        [channel] = contacts
        harness.senders = {channel: sender}
        harness.stores.contacts.replace("u1", contacts)
        delivery = harness.delivery()
        one = harness.add(body=body)
        message = delivery._message(OpenLog(harness.stored(one).notification, channel, harness.log(one, channel).state))
        delivery._breaker.failed(message.gateway, Refused("429", 60.0))
        harness.clock.advance_s(60)
        delivery.deliver(one)
        sender.close()
        assert harness.log(one, channel).state.status is LogStatus.DEAD
        assert [delivery._breaker.wait_s(message.gateway) > 0 for _ in range(2)] == [False, True]
    assert server.requests == []
    assert len(harness.recorder.gateways) == 1


def test_messages_of_a_dead_worker_do_not_end_a_pause(harness: DeliveryHarness) -> None:
    """Kavenegar answers status lookups without credit (418), too."""
    refusals = [raising(Refused("418: no credit"))] * 9
    sender = harness.senders["sms"] = ScriptedSender(*refusals, answers=[lambda _: Receipt("r")])
    delivery = harness.delivery()
    for pause_s in (60, 120, 240, 480):
        delivery.deliver(harness.add("sms"))
        harness.clock.advance_s(pause_s)
        left_off = harness.add("sms")
        harness.append(left_off, EventKind.ATTEMPT, harness.clock() + 1)
        harness.clock.advance_s(1)
        delivery.deliver(left_off)
        assert harness.log(left_off).state.status is LogStatus.SUCCESS
    waiting = [harness.add("sms") for _ in range(3)]
    for one in waiting:
        delivery.deliver(one)
    assert [harness.log(one).state.attempts for one in waiting] == [1, 0, 0]
    assert [pause_s for _, pause_s in harness.recorder.gateways] == [60, 120, 240, 480, 900]
    assert len(sender.sent) == 5


def test_a_message_can_expire_during_a_pause(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(raising(Refused("later", 86_400.0)))
    delivery = harness.delivery()
    delivery.deliver(harness.add("sms"))
    one = harness.add("sms", expires_at_ms=harness.clock() + 90_000)
    delivery.deliver(one)
    harness.clock.advance_s(90)
    assert harness.due() == [one]
    delivery.deliver(one)
    assert (harness.log(one).state.status, harness.log(one).state.attempts) == (LogStatus.DEAD, 0)
    assert harness.log(one).state.error_message == "it expired before it was sent"


def test_no_status_lookup_of_abandoned_messages_during_a_pause(harness: DeliveryHarness) -> None:
    sender = harness.senders["sms"] = ScriptedSender(raising(Refused("later", 600.0)), answers=[lambda _: None])
    delivery = harness.delivery()
    delivery.deliver(harness.add("sms"))
    left_off = harness.add("sms")
    harness.append(left_off, EventKind.ATTEMPT, harness.clock() + 1)
    harness.clock.advance_s(1)
    delivery.deliver(left_off)
    assert sender.asked == []


def test_a_moved_telegram_chat_replaces_the_contact(harness: DeliveryHarness) -> None:
    def moved(handler: object) -> None:
        body = {"ok": False, "error_code": 400, "parameters": {"migrate_to_chat_id": -1001}}
        answers(400, body)(handler)  # type: ignore[arg-type]

    sent = answers(200, {"ok": True, "result": {"message_id": 1}})
    with gateway(moved, sent) as server:
        harness.senders["telegram"] = TelegramSender(HttpGateway("Telegram", 10.0), server.url, "1:a")
        for tenant in ("operator", "acme"):
            harness.stores.contacts.replace("u1", {"telegram": "42", "sms": "1"}, tenant=tenant)
        for _ in range(2):
            harness.delivery().deliver(harness.add("telegram", tenant="acme"))
        harness.senders["telegram"].close()
    assert [request.json["chat_id"] for request in server.requests] == [42, -1001, -1001]
    assert harness.stores.contacts.get("u1", tenant="acme") == {"telegram": "-1001", "sms": "1"}
    assert harness.stores.contacts.get("u1", tenant="operator") == {"telegram": "42", "sms": "1"}


def test_a_concurrently_changed_contact_is_not_moved(harness: DeliveryHarness) -> None:
    def changed(handler: object) -> None:
        harness.stores.contacts.replace("u1", {"telegram": "77"})
        answers(200, {"ok": True, "result": {"message_id": 1}})(handler)  # type: ignore[arg-type]

    moved = answers(400, {"ok": False, "error_code": 400, "parameters": {"migrate_to_chat_id": -1001}})
    with gateway(moved, changed) as server:
        harness.senders["telegram"] = TelegramSender(HttpGateway("Telegram", 10.0), server.url, "1:a")
        harness.stores.contacts.replace("u1", {"telegram": "42"})
        one = harness.add("telegram")
        harness.delivery().deliver(one)
        harness.senders["telegram"].close()
    assert harness.log(one, "telegram").state.status is LogStatus.SUCCESS
    assert harness.stores.contacts.get("u1") == {"telegram": "77"}


def test_a_refused_smtp_login_is_not_repeated_per_mail(harness: DeliveryHarness, shared: RedisBreakerStates) -> None:
    with mail_server({"AUTH": "454 4.7.0 later"}, auth_require_tls=False) as server:
        mail_from = MailFrom("", "a@shop.example")
        harness.senders["email"] = SmtpSender("127.0.0.1", server.port, "none", "u", "p", mail_from, 10.0)
        harness.stores.contacts.replace("u1", {"email": "reader@shop.example"})
        added = [harness.add("email") for _ in range(60)]
        workers = [harness.delivery(f"here:{number}", shared=shared) for number in range(2)]
        for _ in range(3):
            for number, one in enumerate(added):
                workers[number % 2].deliver(one)
    assert server.stages.count("greeting") == 1
    assert sum(harness.log(one, "email").state.attempts for one in added) == 1


def test_telegram_rate_limit_bans_are_respected(
    harness: DeliveryHarness, shared: RedisBreakerStates, redis: RedisProcess
) -> None:
    """The gateway accepts five, and then bans clients that continue."""
    left, answered = [5], []

    def limited(handler: object) -> None:
        left[0] -= 1
        answered.append(left[0] >= 0)
        body = {"ok": False, "error_code": 429, "parameters": {"retry_after": 3}}
        if answered[-1]:
            body = {"ok": True, "result": {"message_id": 1}}
        answers(200 if answered[-1] else 429, body)(handler)  # type: ignore[arg-type]

    there = RedisBreakerStates(redis.url(1))
    with gateway(limited) as server:
        harness.senders["telegram"] = TelegramSender(HttpGateway("Telegram", 10.0), server.url, "1:a")
        workers = [harness.delivery(f"here:{number}", shared=states) for number, states in enumerate((shared, there))]
        added = []
        for number in range(20):
            harness.stores.contacts.replace("u1", {"telegram": str(1000 + number)})  # each to a chat of its own
            added.append(harness.add("telegram"))
            workers[number % 2].deliver(added[-1])
        assert answered == [True] * 5 + [False] * 2
        assert [harness.log(one, "telegram").state.attempts for one in added] == [1] * 7 + [0] * 13
        _wait_until_over(shared)
        left[0] = 5
        for number, one in enumerate(added[7:]):
            harness.stores.contacts.replace("u1", {"telegram": str(2000 + number)})
            harness.clock.advance_s(1)
            workers[number % 2].deliver(one)
        harness.senders["telegram"].close()
    assert answered[7:] == [True] * 5 + [False] * 2
    there.close()


def _wait_until_over(shared: RedisBreakerStates) -> None:
    deadline = time.monotonic() + 60
    while any(pause.left_s for pause in shared.paused()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
