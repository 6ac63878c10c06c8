"""The circuit breaker: a gateway that times out is paused, then probed by one message (half-open)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from delivery_parts import (
    LEASE_S,
    NOW_MS,
    RETRY_POLICY,
    SEND_TIMEOUT_S,
    DeliveryHarness,
    ManualClock,
    RecordingObserver,
    ScriptedIdempotentSender,
    ScriptedRateLimiter,
    ScriptedSender,
    delivery_harness,
    raising,
)
from prometheus_client import CollectorRegistry

from core.notifications.actions import retry
from core.notifications.events import EventKind, LogStatus
from core.stores.notifications import NotificationStore
from notifier.circuit_breaker import CircuitBreaker
from notifier.observability import WorkerObserver
from notifier.retry_policy import RetryPolicy
from notifier.senders.base import (
    Ambiguous,
    Gateway,
    Message,
    NotSent,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
    UnclearAnswer,
    Unreachable,
)

SMS, EMAIL = Gateway("sms"), Gateway("email")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 3 * SEND_TIMEOUT_S, 30 * SEND_TIMEOUT_S


@dataclass
class CountingRateLimiter(ScriptedRateLimiter):
    asked: list[str] = field(default_factory=list)

    def wait_s(self, channel: str) -> float:
        self.asked.append(channel)
        return 0.0


@dataclass
class Parts:
    clock: ManualClock
    recorder: RecordingObserver
    breaker: CircuitBreaker
    chance: float = 1.0

    def fails(self, failure: Exception, times: int = 1, gateway: Gateway = SMS) -> None:
        for _ in range(times):
            self.breaker.failed(gateway, failure)


@pytest.fixture
def parts() -> Parts:
    clock, recorder = ManualClock(), RecordingObserver()
    made = Parts(
        clock,
        recorder,
        CircuitBreaker(SEND_TIMEOUT_S, recorder, chance=lambda: made.chance, now_s=lambda: clock() / 1000),
    )
    return made


@pytest.mark.parametrize("silence", [Unreachable("x"), Ambiguous("x"), RuntimeError("a sender that broke off")])
def test_three_consecutive_timeouts_open_the_circuit_of_one_gateway(parts: Parts, silence: Exception) -> None:
    parts.fails(silence, times=2)
    assert parts.breaker.wait_s(SMS) == 0
    parts.fails(silence)
    assert parts.breaker.wait_s(SMS) == FIRST_PAUSE_S
    assert parts.breaker.wait_s(EMAIL) == 0
    assert parts.recorder.gateways == [("sms", FIRST_PAUSE_S)]


@pytest.mark.parametrize(
    "refusal", [PermanentFailure("no such number"), TemporaryFailure("busy"), UnclearAnswer("answer 502")]
)
def test_refusals_never_open_the_circuit(parts: Parts, refusal: Exception) -> None:
    parts.fails(refusal, times=100)
    assert parts.breaker.wait_s(SMS) == 0
    assert parts.recorder.gateways == []


def test_a_success_resets_the_failure_count(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=2)
    parts.breaker.answered(SMS)
    parts.fails(Unreachable("x"), times=2)
    assert parts.breaker.wait_s(SMS) == 0


def test_any_response_resets_the_count_of_consecutive_timeouts(parts: Parts) -> None:
    for _ in range(5):
        parts.fails(Unreachable("x"), times=2)
        parts.fails(PermanentFailure("no such page"))
    assert parts.breaker.wait_s(SMS) == 0
    assert parts.recorder.gateways == []


def test_an_unused_probe_is_given_to_the_next_message(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=3)
    parts.breaker.release(SMS)  # no message had a probe
    assert parts.breaker.wait_s(SMS) == FIRST_PAUSE_S
    parts.clock.advance_s(FIRST_PAUSE_S)
    assert parts.breaker.wait_s(SMS) == 0
    parts.breaker.release(SMS)
    assert [parts.breaker.wait_s(SMS) for _ in range(2)] == [0, FIRST_PAUSE_S]
    parts.fails(Unreachable("x"))
    parts.breaker.release(SMS)
    assert parts.breaker.wait_s(SMS) == 2 * FIRST_PAUSE_S


def test_an_outage_starts_at_the_first_unanswered_send(parts: Parts) -> None:
    assert parts.breaker.silent_s(SMS) == 0
    parts.fails(Unreachable("x"))
    parts.clock.advance_s(100)
    parts.fails(Ambiguous("x"), times=2)
    assert (parts.breaker.silent_s(SMS), parts.breaker.silent_s(EMAIL)) == (100, 0)
    parts.fails(PermanentFailure("no such number"))  # an answer to a probe
    assert parts.breaker.silent_s(SMS) == 0
    parts.fails(Unreachable("x"))
    parts.clock.advance_s(7)
    assert parts.breaker.silent_s(SMS) == 7


def test_while_a_probe_runs_other_messages_wait(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=3)
    for pause_s in (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S):
        parts.clock.advance_s(pause_s)
        parts.fails(Unreachable("x"))
    parts.clock.advance_s(4 * FIRST_PAUSE_S)
    assert [parts.breaker.wait_s(SMS) for _ in range(2)] == [0, 4 * FIRST_PAUSE_S]


def test_a_half_open_circuit_allows_one_probe(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=3)
    parts.clock.advance_s(FIRST_PAUSE_S - 1)
    assert parts.breaker.wait_s(SMS) == 1
    parts.clock.advance_s(1)
    assert [parts.breaker.wait_s(SMS) for _ in range(3)] == [0, FIRST_PAUSE_S, FIRST_PAUSE_S]


def test_a_lost_probe_is_followed_by_another(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=3)
    parts.clock.advance_s(FIRST_PAUSE_S)
    assert parts.breaker.wait_s(SMS) == 0
    parts.clock.advance_s(FIRST_PAUSE_S)
    assert parts.breaker.wait_s(SMS) == 0


def test_a_successful_probe_closes_the_circuit(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=3)
    parts.clock.advance_s(FIRST_PAUSE_S)
    parts.breaker.wait_s(SMS)
    parts.breaker.answered(SMS)
    assert [parts.breaker.wait_s(SMS) for _ in range(3)] == [0, 0, 0]
    assert parts.recorder.gateways[-1] == ("sms", None)


def test_a_failure_before_reaching_the_gateway_does_not_count(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=2)
    parts.fails(NotSent("the text is too long"))  # which is no answer between two silences
    parts.fails(Unreachable("x"))
    parts.clock.advance_s(FIRST_PAUSE_S)
    assert parts.breaker.wait_s(SMS) == 0
    parts.fails(NotSent("the text is too long"))
    assert parts.breaker.wait_s(SMS) > 0
    parts.breaker.release(SMS)
    assert [parts.breaker.wait_s(SMS) for _ in range(2)] == [0, FIRST_PAUSE_S]
    assert parts.recorder.gateways == [("sms", FIRST_PAUSE_S)]


def test_a_refused_probe_closes_the_circuit(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=3)
    parts.clock.advance_s(FIRST_PAUSE_S)
    parts.breaker.wait_s(SMS)
    parts.fails(PermanentFailure("no such number"))
    assert parts.breaker.wait_s(SMS) == 0
    parts.fails(Unreachable("x"))
    assert parts.breaker.wait_s(SMS) == 2 * FIRST_PAUSE_S


def test_pauses_back_off_to_a_maximum_and_reset_after_a_success(parts: Parts) -> None:
    parts.fails(Unreachable("x"), times=2)
    pauses = []
    for _ in range(6):
        parts.fails(Unreachable("x"))
        pauses.append(parts.breaker.wait_s(SMS))
        parts.clock.advance_s(pauses[-1])
        assert parts.breaker.wait_s(SMS) == 0
    assert pauses == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S, 8 * FIRST_PAUSE_S, *[LONGEST_PAUSE_S] * 2]
    parts.breaker.answered(SMS)
    parts.fails(Unreachable("x"), times=3)
    assert parts.breaker.wait_s(SMS) == FIRST_PAUSE_S


def test_jitter_shortens_a_pause_by_at_most_half(parts: Parts) -> None:
    parts.chance = 0.0
    parts.fails(Unreachable("x"), times=3)
    assert parts.breaker.wait_s(SMS) == FIRST_PAUSE_S / 2


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Shop.example:8443/hook?a=1", "shop.example"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
        ("https://[broken", ""),
        ("+989123456789", ""),
        ("", ""),
    ],
)
def test_each_webhook_host_has_its_own_circuit(address: str, host: str) -> None:
    assert Message("n:webhook", "t", "b", "en", NOW_MS, address).gateway.whole == Gateway("webhook", host)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(
        f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender(), "email": ScriptedSender()}
    ) as made:
        yield made


def test_messages_wait_without_an_attempt_while_the_circuit_is_open(harness: DeliveryHarness) -> None:
    silent = harness.senders["sms"] = ScriptedSender(*[raising(Unreachable("no answer in time"))] * 3)
    delivery = harness.delivery()
    added = [harness.add() for _ in range(5)]
    for one in added:
        delivery.deliver(one)
    assert len(silent.sent) == 3
    assert [harness.log(one).state.attempts for one in added] == [1, 1, 1, 0, 0]
    assert {harness.log(one, "email").state.status for one in added} == {LogStatus.SUCCESS}
    harness.clock.advance_s(FIRST_PAUSE_S - 1)
    assert set(harness.due()) == set(added[:3])  # which failed, and are tried again after their own time
    harness.clock.advance_s(1)
    assert set(harness.due()) == set(added)
    delivery.deliver(added[4])
    assert harness.log(added[4]).state.status is LogStatus.SUCCESS
    assert harness.recorder.gateways == [("sms", FIRST_PAUSE_S), ("sms", None)]


def test_an_open_circuit_sends_no_requests(harness: DeliveryHarness) -> None:
    silent = harness.senders["sms"] = ScriptedSender(*[raising(Unreachable("x"))] * 3)
    delivery = harness.delivery()
    added = [harness.add("sms") for _ in range(3)]
    for one in added:
        delivery.deliver(one)
    harness.clock.advance_s(FIRST_PAUSE_S - 0.5)
    delivery.deliver(added[0])
    assert len(silent.sent) == 3


def test_held_back_messages_do_not_count_towards_the_rate_limit(harness: DeliveryHarness) -> None:
    harness.rate_limiter = rate_limiter = CountingRateLimiter()
    harness.senders["sms"] = ScriptedSender(*[raising(Unreachable("x"))] * 3)
    delivery = harness.delivery()
    for _ in range(3):
        delivery.deliver(harness.add("sms"))
    before = len(rate_limiter.asked)
    delivery.deliver(harness.add("sms"))
    assert (before, len(rate_limiter.asked)) == (3, 3)


PATIENT = RetryPolicy(max_attempts=15, lease_s=120.0, backoff_s=10.0, backoff_max_s=3600.0)


def test_messages_for_a_dead_gateway_end_when_retries_would_have(harness: DeliveryHarness) -> None:
    class Gone(ScriptedSender):
        def send(self, message: Message) -> Receipt:
            raise Unreachable("no connection")

    harness.senders["sms"] = Gone()
    delivery = harness.delivery(retry_policy=PATIENT)
    added = [harness.add("sms") for _ in range(20)]
    looks = 0
    while harness.clock() - NOW_MS < (PATIENT.patience_s + 3600) * 1000:
        for one in harness.due():
            delivery.deliver(one)
            looks += 1
        harness.clock.advance_s(60)
        if harness.clock() - NOW_MS < PATIENT.patience_s * 1000:
            assert {harness.log(one).state.is_open for one in added} == {True}
    ends = [harness.log(one).state for one in added]
    assert {state.status for state in ends} == {LogStatus.DEAD}
    assert "given up: the gateway has not answered for 6 h" in {state.error_message for state in ends}
    assert looks < 50 * len(added)


def test_a_manual_retry_during_an_outage_restarts_the_wait(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(*[raising(Unreachable("x"))] * 100)
    delivery = harness.delivery()
    for _ in range(3):
        delivery.deliver(harness.add("sms"))
    one = harness.add("sms")
    for _ in range(10):
        harness.clock.advance_s(RETRY_POLICY.patience_s / 10)
        delivery._breaker.failed(SMS, Unreachable("x"))
    delivery.deliver(one)
    assert harness.log(one).state.error_message == "given up: the gateway has not answered for 1 h"
    assert retry(harness.stores.notifications, harness.stored(one), ["sms"], harness.clock) == ["sms"]
    delivery.deliver(one)
    assert harness.log(one).state.status is LogStatus.PENDING


def test_a_short_outage_does_not_end_a_long_waiting_message(
    harness: DeliveryHarness,
) -> None:
    old = harness.add("sms")
    harness.clock.advance_s(100 * RETRY_POLICY.patience_s)
    harness.senders["sms"] = ScriptedSender(*[raising(Unreachable("x"))] * 3)
    delivery = harness.delivery()
    for _ in range(3):
        delivery.deliver(harness.add("sms"))
    delivery.deliver(old)
    assert harness.log(old).state.status is LogStatus.PENDING


def test_an_ambiguous_message_of_a_dead_gateway_is_unknown(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedIdempotentSender(*[raising(Ambiguous("x"))] * 100)
    delivery = harness.delivery()
    ones = [harness.add("sms") for _ in range(3)]
    for one in ones:
        delivery.deliver(one)
    harness.clock.advance_s(RETRY_POLICY.patience_s)
    delivery._breaker.failed(SMS, Unreachable("x"))
    delivery.deliver(ones[0])
    assert harness.log(ones[0]).state.status is LogStatus.UNKNOWN


def test_a_probe_prevented_by_rate_limit_or_claim_is_not_lost(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(*[raising(Unreachable("x"))] * 3)
    delivery = harness.delivery()
    for _ in range(3):
        delivery.deliver(harness.add("sms"))
    harness.clock.advance_s(FIRST_PAUSE_S)
    limited, overtaken, sent = (harness.add("sms") for _ in range(3))
    harness.rate_limiter.waits["sms"] = 1.0
    delivery.deliver(limited)
    harness.rate_limiter.waits.clear()

    class Overtaken:
        def __getattr__(self, name: str) -> Any:
            if name == "append":
                harness.append(overtaken, EventKind.ATTEMPT, harness.clock() + 1000)
            return getattr(harness.stores.notifications, name)

    delivery._recorder._store = cast(NotificationStore, Overtaken())
    delivery.deliver(overtaken)
    delivery._recorder._store = harness.stores.notifications
    delivery.deliver(sent)
    assert harness.log(sent).state.status is LogStatus.SUCCESS


def test_an_open_circuit_sends_no_status_lookups(harness: DeliveryHarness) -> None:
    sender = ScriptedSender(*[raising(Unreachable("x"))] * 3, answers=[lambda _: None])
    harness.senders["sms"] = sender
    delivery = harness.delivery()
    for _ in range(3):
        delivery.deliver(harness.add("sms"))
    left_off = harness.add("sms")
    harness.append(left_off, EventKind.ATTEMPT, harness.clock() + 1)
    harness.clock.advance_s(1)
    delivery.deliver(left_off)
    assert sender.asked == []
    harness.clock.advance_s(LEASE_S)
    delivery.deliver(left_off)
    assert len(sender.asked) == 1
    assert harness.recorder.gateways[-1] == ("sms", None)


def test_unanswered_status_lookups_count_as_timeouts(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(answers=[raising(Unreachable("x"))])
    delivery = harness.delivery()
    left_off = [harness.add("sms") for _ in range(3)]
    for one in left_off:
        harness.append(one, EventKind.ATTEMPT, harness.clock() + 1)
    harness.clock.advance_s(1)
    for one in left_off:
        delivery.deliver(one)
    assert harness.recorder.gateways == [("sms", FIRST_PAUSE_S)]


def test_circuit_breaker_pauses_are_logged_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    registry = CollectorRegistry()
    observer = WorkerObserver(["webhook"], ManualClock(), registry)
    observer.paused(Gateway("webhook", "shop.example"), 1.5, refused=True)
    observer.resumed(Gateway("webhook", "shop.example"))
    paused, resumed = capsys.readouterr().out.splitlines()
    assert '"level":"warning","event":"gateway-paused","gateway":"webhook shop.example","one_receiver":false' in paused
    assert '"pause_s":1.5,"refused":true' in paused
    assert '"event":"gateway-resumed"' in resumed
    name = "transaction_summary_notifier_gateway_pauses_total"
    counts = [
        registry.get_sample_value(name, {"channel": "webhook", "cause": cause}) for cause in ("refused", "silent")
    ]
    assert counts == [1, 0]
