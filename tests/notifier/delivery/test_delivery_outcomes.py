"""Outcomes of delivery attempts over the real store: retry, backoff, dead, unknown, rate limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_parts import (
    FAR_MS,
    LEASE_S,
    NOW_MS,
    DeliveryHarness,
    ScriptedAddressSender,
    ScriptedIdempotentSender,
    ScriptedSender,
    Step,
    delivery_harness,
    raising,
)

from core.calendar import Mode
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import AnnouncedTotals, NotificationStatus
from core.tenants import OPERATOR
from notifier.senders.base import Ambiguous, Message, PermanentFailure, Receipt, TemporaryFailure


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender()}) as made:
        yield made


def _sms(harness: DeliveryHarness, sender: ScriptedSender) -> ScriptedSender:
    harness.senders["sms"] = sender
    return sender


def test_a_sent_message_is_recorded_with_its_reference(harness: DeliveryHarness) -> None:
    sent = harness.add()
    harness.delivery(worker="host:7").deliver(sent)
    log = harness.log(sent)
    assert [event.kind for event in log.events] == [EventKind.ATTEMPT, EventKind.SUCCESS]
    assert (log.state.status, log.state.attempts, log.state.reference) == (LogStatus.SUCCESS, 1, "ref-1")
    attempt = log.events[0]
    assert (attempt.worker, attempt.sender, log.state.last_attempt_at_ms) == ("host:7", "sms-gateway", NOW_MS)
    assert harness.stored(sent).status is NotificationStatus.SENT


def test_a_message_has_its_text_delivery_id_and_address(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedAddressSender())
    harness.stores.contacts.replace("u1", {"sms": "+989123456789"})
    sent = harness.add(body="سلام")
    harness.delivery().deliver(sent)
    message = Message(f"{sent}:sms", "title", "سلام", "en", NOW_MS, "+989123456789", attempted_at_ms=NOW_MS)
    assert sender.sent == [message]


def test_the_message_of_an_announcement_has_its_totals_and_its_merchant(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender())
    totals = AnnouncedTotals(Mode.DAILY, "1403/04/04", 0, 86_400_000, 12_000, 3, "IRR", 0)
    harness.delivery().deliver(harness.add(announced=totals, merchant_id="shop-1"))
    assert [(message.announced, message.merchant_id) for message in sender.sent] == [(totals, "shop-1")]


def test_a_finished_delivery_is_not_sent_again(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender())
    sent = harness.add()
    for _ in range(3):
        harness.delivery().deliver(sent)
    assert len(sender.sent) == 1


def test_an_unknown_notification_id_is_ignored(harness: DeliveryHarness) -> None:
    harness.delivery().deliver("a" * 26)


def test_a_temporary_failure_is_retried_with_exponential_backoff(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(TemporaryFailure("busy")), raising(TemporaryFailure("busier"))))
    sent = harness.add()
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.error_message, state.due_at_ms) == (LogStatus.RETRYING, "busy", NOW_MS + 10_000)
    harness.clock.advance_s(9.999)
    harness.delivery().deliver(sent)
    assert len(sender.sent) == 1
    harness.clock.advance_s(0.001)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.due_at_ms == harness.clock() + 20_000
    harness.clock.advance_s(20)
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.attempts, state.error_message) == (LogStatus.SUCCESS, 3, None)
    assert [event.error for event in harness.log(sent).events if event.kind is EventKind.FAILED] == ["busy", "busier"]


def test_the_backoff_has_jitter(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(*[raising(TemporaryFailure("busy"))] * 2)
    waits = []
    for chance in (0.0, 1.0):
        harness.chance = chance
        sent = harness.add()
        harness.delivery().deliver(sent)
        waits.append((harness.log(sent).state.due_at_ms or 0) - harness.clock())
    assert waits == [5_000, 10_000]


@pytest.mark.parametrize(("retry_after_s", "waits_ms"), [(300.0, 300_000), (1e12, 86_400_000)])
def test_retry_after_of_the_gateway_is_respected_up_to_a_day(
    harness: DeliveryHarness, retry_after_s: float, waits_ms: int
) -> None:
    _sms(harness, ScriptedSender(raising(TemporaryFailure("slow down", retry_after_s))))
    harness.chance = 0.0
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.due_at_ms == NOW_MS + waits_ms


def test_a_permanent_failure_is_dead_at_once(harness: DeliveryHarness) -> None:
    _sms(harness, ScriptedSender(raising(PermanentFailure("no such number"))))
    sent = harness.add()
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.error_message, state.attempts) == (LogStatus.DEAD, "no such number", 1)
    assert harness.stored(sent).status is NotificationStatus.FAILED


def test_the_last_failed_retry_is_dead(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(*[raising(TemporaryFailure("busy"))] * 9))
    sent = harness.add()
    for _ in range(9):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(3600)
    state = harness.log(sent).state
    assert (state.status, state.attempts, len(sender.sent)) == (LogStatus.DEAD, 3, 3)
    assert state.error_message == "given up after 3 attempts: busy"


def test_a_manually_retried_message_has_all_attempts_again(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(PermanentFailure("no")), *[raising(TemporaryFailure("busy"))] * 2))
    sent = harness.add()
    harness.delivery().deliver(sent)
    harness.append(sent, EventKind.RETRY)
    assert harness.log(sent).state.error_message is None
    for _ in range(3):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(3600)
    state = harness.log(sent).state
    assert (state.status, state.attempts, len(sender.sent)) == (LogStatus.SUCCESS, 4, 4)
    assert [message.edition for message in sender.sent] == [0, 1, 1, 1]


def test_an_expired_message_is_not_sent(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender())
    sent = harness.add(expires_at_ms=NOW_MS)
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.error_message, state.attempts) == (LogStatus.DEAD, "it expired before it was sent", 0)
    assert sender.sent == []


def test_a_message_that_expires_between_attempts_keeps_the_reason_of_the_last_one(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(TemporaryFailure("busy"))))
    sent = harness.add(expires_at_ms=NOW_MS + 5_000)
    harness.delivery().deliver(sent)
    harness.clock.advance_s(10)
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.error_message, len(sender.sent)) == (LogStatus.DEAD, "it expired; busy", 1)


def test_a_missing_address_does_not_use_an_attempt(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedAddressSender())
    sent = harness.add()
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.error_message) == (LogStatus.DEAD, "the user has no address for sms")
    assert (state.attempts, sender.sent) == (0, [])


def test_the_address_is_looked_up_at_each_attempt(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedAddressSender(raising(TemporaryFailure("busy"))))
    sent = harness.add()
    for address in ("+989120000001", "+989120000002"):
        harness.stores.contacts.replace("u1", {"sms": address})
        harness.delivery().deliver(sent)
        harness.clock.advance_s(10)
    assert [message.address for message in sender.sent] == ["+989120000001", "+989120000002"]


def test_a_moved_receiver_gets_messages_at_the_new_address(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedAddressSender(lambda _: Receipt("1", moved_to="-1001")))
    harness.stores.contacts.replace("u1", {"sms": "4711", "email": "4711"})
    for _ in range(2):
        harness.delivery().deliver(harness.add())
    assert [message.address for message in sender.sent] == ["4711", "-1001"]
    assert harness.stores.contacts.get("u1") == {"sms": "-1001", "email": "4711"}


def test_a_moved_receiver_changes_only_the_contacts_of_its_tenant(harness: DeliveryHarness) -> None:
    _sms(harness, ScriptedAddressSender(lambda _: Receipt("1", moved_to="-1001")))
    for tenant in ("acme", OPERATOR):
        harness.stores.contacts.replace("u1", {"sms": "4711"}, tenant=tenant)
    harness.delivery().deliver(harness.add(tenant="acme"))
    found = [harness.stores.contacts.get("u1", tenant=tenant) for tenant in ("acme", OPERATOR)]
    assert found == [{"sms": "-1001"}, {"sms": "4711"}]


def test_a_channel_without_a_sender_is_dead(harness: DeliveryHarness) -> None:
    sent = harness.add("pigeon")
    harness.delivery().deliver(sent)
    assert harness.log(sent, "pigeon").state.error_message == "no sender is configured for pigeon"


def test_channels_are_independent(harness: DeliveryHarness) -> None:
    harness.senders.update(
        email=ScriptedSender(raising(RuntimeError("defect"))),
        telegram=ScriptedSender(raising(PermanentFailure("blocked"))),
        webhook=ScriptedSender(raising(TemporaryFailure("busy"))),
        sms=ScriptedSender(),
    )
    sent = harness.add("email", "telegram", "webhook", "sms")
    harness.delivery().deliver(sent)
    statuses = [log.state.status for log in harness.stored(sent).logs]
    assert statuses == [LogStatus.UNKNOWN, LogStatus.DEAD, LogStatus.RETRYING, LogStatus.SUCCESS]
    assert harness.stored(sent).status is NotificationStatus.PENDING


def test_an_ambiguous_message_is_unknown_and_not_sent_again(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(Ambiguous("no answer"))))
    sent = harness.add()
    for _ in range(3):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(LEASE_S * 10)
    state = harness.log(sent).state
    assert (state.status, state.error_message, len(sender.sent)) == (LogStatus.UNKNOWN, "no answer", 1)
    assert harness.stored(sent).status is NotificationStatus.FAILED


def test_an_internal_error_of_a_sender_gives_unknown(harness: DeliveryHarness) -> None:
    _sms(harness, ScriptedSender(raising(ValueError("https://gateway.example/SECRET"))))
    sent = harness.add()
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert state.status is LogStatus.UNKNOWN
    assert (state.error_message or "").startswith("the sender failed with ValueError at delivery_parts.py:")


def test_a_sender_that_returns_no_receipt_is_unknown(harness: DeliveryHarness) -> None:
    class Careless(ScriptedSender):
        def send(self, message: Message) -> Receipt:
            return None  # type: ignore[return-value]

    _sms(harness, Careless())
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.UNKNOWN


def test_an_ambiguous_message_is_retried_at_an_idempotent_gateway(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedIdempotentSender(raising(Ambiguous("no answer"))))
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.RETRYING
    harness.clock.advance_s(10)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.SUCCESS
    assert [message.id for message in sender.sent] == [f"{sent}:sms"] * 2


@pytest.mark.parametrize(
    ("steps", "expires_after_s", "error"),
    [
        ([], 5, "it expired; no answer"),
        ([raising(PermanentFailure("404"))], None, "404"),
        ([raising(TemporaryFailure("refused"))] * 2, None, "given up after 3 attempts: refused"),
    ],
    ids=["expired", "refused for good", "used up"],
)
def test_giving_up_after_an_ambiguous_attempt_gives_unknown(
    harness: DeliveryHarness, steps: list[Step], expires_after_s: int | None, error: str
) -> None:
    _sms(harness, ScriptedIdempotentSender(raising(Ambiguous("no answer")), *steps))
    sent = harness.add(expires_at_ms=None if expires_after_s is None else NOW_MS + expires_after_s * 1000)
    for _ in range(4):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(60)
    log = harness.log(sent)
    assert [event.kind for event in log.events[:2]] == [EventKind.ATTEMPT, EventKind.MAYBE]
    assert (log.state.status, log.state.error_message) == (LogStatus.UNKNOWN, error)


def test_cancelling_after_an_ambiguous_attempt_gives_unknown(harness: DeliveryHarness) -> None:
    _sms(harness, ScriptedIdempotentSender(raising(Ambiguous("no answer"))))
    sent = harness.add()
    harness.delivery().deliver(sent)
    harness.append(sent, EventKind.CANCEL)
    assert harness.log(sent).state.status is LogStatus.UNKNOWN


def test_an_ambiguous_last_attempt_is_unknown_and_not_dead(harness: DeliveryHarness) -> None:
    _sms(harness, ScriptedIdempotentSender(*[raising(Ambiguous("no answer"))] * 3))
    sent = harness.add()
    for _ in range(5):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(3600)
    state = harness.log(sent).state
    assert (state.status, state.attempts) == (LogStatus.UNKNOWN, 3)
    assert state.error_message == "given up after 3 attempts: no answer"


def test_a_gateway_with_status_lookup_is_queried_immediately(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(Ambiguous("no answer")), answers=[lambda _: Receipt("g1")]))
    sent = harness.add()
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.reference, len(sender.sent)) == (LogStatus.SUCCESS, "g1", 1)


@pytest.mark.parametrize("first", [lambda _: None, raising(TemporaryFailure("down")), raising(KeyError("x"))])
def test_an_unknown_status_is_looked_up_again_after_the_lease(harness: DeliveryHarness, first: Step) -> None:
    sender = _sms(
        harness,
        ScriptedSender(raising(Ambiguous("no answer")), answers=[first, lambda _: Receipt("g1")]),
    )
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.SENDING
    assert harness.due() == []
    harness.clock.advance_s(LEASE_S)
    assert harness.due() == [sent]
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.status, len(sender.sent)) == (LogStatus.SUCCESS, 1)


def test_a_message_the_gateway_never_received_is_sent_again(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(Ambiguous("no answer")), answers=[lambda _: None]))
    sent = harness.add()
    harness.delivery().deliver(sent)
    harness.clock.advance_s(LEASE_S)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.RETRYING
    harness.clock.advance_s(10)
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.status, len(sender.sent)) == (LogStatus.SUCCESS, 2)


def test_a_message_the_gateway_gave_up_is_dead(harness: DeliveryHarness) -> None:
    _sms(harness, ScriptedSender(raising(Ambiguous("?")), answers=[raising(PermanentFailure("not delivered"))]))
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.status, harness.log(sent).state.error_message) == (LogStatus.DEAD, "not delivered")


def test_status_lookups_stop_after_a_day_with_unknown(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedSender(raising(Ambiguous("?")), answers=[raising(TemporaryFailure("down"))]))
    sent = harness.add()
    for _ in range(26):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(3600)
    state = harness.log(sent).state
    assert (state.status, len(sender.sent)) == (LogStatus.UNKNOWN, 1)
    assert 20 < len(sender.asked) < 26


def test_a_rate_limit_postpones_without_an_attempt(harness: DeliveryHarness) -> None:
    harness.rate_limiter.waits["sms"] = 0.5
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.attempts, harness.due()) == (0, [])
    harness.rate_limiter.waits["sms"] = 30.0
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.attempts, harness.log(sent).state.status) == (0, LogStatus.PENDING)
    harness.clock.advance_s(29)
    assert harness.due() == []
    harness.clock.advance_s(1)
    assert harness.due() == [sent]
    harness.rate_limiter.waits.clear()
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.SUCCESS


def test_a_rate_limit_of_one_channel_does_not_delay_another(harness: DeliveryHarness) -> None:
    harness.senders["email"] = ScriptedSender(raising(TemporaryFailure("busy")))
    harness.rate_limiter.waits["sms"] = 3600.0
    sent = harness.add()
    harness.delivery().deliver(sent)
    harness.clock.advance_s(10)
    assert harness.due() == [sent]
    harness.delivery().deliver(sent)
    assert harness.log(sent, "email").state.status is LogStatus.SUCCESS
    assert harness.due() == []
    harness.clock.advance_s(3600 + 60)
    assert harness.due() == [sent]


def test_a_long_waiting_message_is_checked_less_often(harness: DeliveryHarness) -> None:
    harness.rate_limiter.waits["sms"] = 1.0
    sent = harness.add()
    looks = 0
    for _ in range(600):
        if harness.due():
            harness.delivery().deliver(sent)
            looks += 1
        harness.clock.advance_s(1)
    assert looks < 30


def test_the_sweep_skips_messages_just_delivered(harness: DeliveryHarness) -> None:
    queued: list[str] = []
    sent = harness.add()
    assert harness.sweep(queued.append).run() == 1
    assert harness.sweep(queued.append).run() == 0
    harness.delivery().deliver(sent)
    harness.clock.now_ms += FAR_MS
    assert (harness.sweep(queued.append).run(), queued) == (0, [sent])


def test_a_message_uses_only_the_contacts_of_its_tenant(harness: DeliveryHarness) -> None:
    sender = _sms(harness, ScriptedAddressSender())
    harness.stores.contacts.replace("u1", {"sms": "+989123456781"})
    harness.stores.contacts.replace("u1", {"sms": "+989123456782"}, tenant="acme")
    for tenant in ("acme", "operator", "other"):
        harness.delivery().deliver(harness.add(tenant=tenant))
    assert [message.address for message in sender.sent] == ["+989123456782", "+989123456781"]
