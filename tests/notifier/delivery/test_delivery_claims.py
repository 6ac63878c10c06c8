"""Claims and leases: which worker may send when several could, over the real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery_parts import (
    LEASE_S,
    NOW_MS,
    RETRY_POLICY,
    DeliveryHarness,
    ScriptedIdempotentSender,
    ScriptedSender,
    delivery_harness,
    raising,
)

from core.errors import StoreUnavailable
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus
from core.stores.notifications import NotificationStore, StoredNotification
from notifier.senders.base import Ambiguous, Message, PermanentFailure, Receipt, TemporaryFailure


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender()}) as made:
        yield made


class InterceptedStore:
    """A store with hooks before or after some of its calls."""

    def __init__(self, store: NotificationStore, **acts: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._store = store
        self._acts = acts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._acts[name](found) if name in self._acts else found


def _failing(
    times: int, *, after: bool, error: Exception | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Calls that fail so many times, before or `after` the store has executed them."""
    left = [times]

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any) -> Any:
            if left[0] <= 0:
                return call(*arguments)
            left[0] -= 1
            if after:
                call(*arguments)
            raise error or StoreUnavailable("the store went away")

        return failing

    return wrap


def _during(act: Callable[[], object]) -> Callable[[Message], Receipt | None]:
    """A step of a sender during which something else happens."""

    def step(_: Message) -> Receipt | None:
        act()
        return None

    return step


def test_a_claim_of_another_worker_is_respected(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    harness.append(sent, EventKind.ATTEMPT, until_ms=NOW_MS + 100_000)
    harness.clock.advance_s(99.9)
    harness.delivery().deliver(sent)
    assert (sender.sent, harness.log(sent).state.status) == ([], LogStatus.SENDING)


def test_of_two_concurrent_claims_one_sends(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()

    def other_first(append: Callable[..., Any]) -> Callable[..., Any]:
        def late(*arguments: Any) -> Any:
            if not sender.sent:
                harness.delivery(worker="else:2").deliver(sent)
            return append(*arguments)

        return late

    harness.delivery(store=InterceptedStore(harness.stores.notifications, append=other_first)).deliver(sent)
    assert len(sender.sent) == 1
    assert [event.worker for event in harness.log(sent).events] == ["else:2", None]


def test_a_worker_delayed_past_its_lease_does_not_send(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()

    def slow(append: Callable[..., Any]) -> Callable[..., Any]:
        def late(*arguments: Any) -> Any:
            state = append(*arguments)
            harness.clock.advance_s(LEASE_S / 2)
            return state

        return late

    harness.delivery(store=InterceptedStore(harness.stores.notifications, append=slow)).deliver(sent)
    state = harness.log(sent).state
    assert (sender.sent, state.status) == ([], LogStatus.RETRYING)
    assert (state.error_message or "").endswith("nothing was sent")


def test_a_delayed_worker_accepts_the_outcome_that_others_recorded(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender()
    sent = harness.add()

    def slow(append: Callable[..., Any]) -> Callable[..., Any]:
        def late(*arguments: Any) -> Any:
            state = append(*arguments)
            if harness.clock() == NOW_MS:
                harness.clock.advance_s(LEASE_S * 2)
                harness.delivery(worker="else:2").deliver(sent)
            return state

        return late

    harness.delivery(store=InterceptedStore(harness.stores.notifications, append=slow)).deliver(sent)
    assert [event.kind for event in harness.log(sent).events] == [EventKind.ATTEMPT, EventKind.UNKNOWN]


def test_no_channel_is_started_after_the_task_time_limit(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(_during(lambda: harness.clock.advance_s(LEASE_S * 0.3)))
    harness.senders["email"] = ScriptedSender()
    sent = harness.add("sms", "email")
    harness.delivery().deliver(sent)
    assert harness.log(sent, "email").state.status is LogStatus.PENDING
    assert harness.due() == [sent]
    harness.delivery().deliver(sent)
    assert harness.stored(sent).status is NotificationStatus.SENT


def test_a_channel_is_started_up_to_the_last_safe_moment(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(
        _during(lambda: harness.clock.advance_s(RETRY_POLICY.begin_within_ms / 1000))
    )
    harness.senders["email"] = ScriptedSender()
    sent = harness.add("sms", "email")
    harness.delivery().deliver(sent)
    assert harness.stored(sent).status is NotificationStatus.SENT


def test_an_abandoned_attempt_is_unknown_after_its_lease(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    harness.append(sent, EventKind.ATTEMPT, until_ms=NOW_MS + 1000)
    harness.clock.advance_s(1)
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.attempts, sender.sent) == (LogStatus.UNKNOWN, 1, [])
    assert (state.error_message or "").startswith("the worker died")


def test_the_status_of_an_abandoned_attempt_is_looked_up_where_the_gateway_can(harness: DeliveryHarness) -> None:
    sender = ScriptedSender(answers=[lambda _: Receipt("g7")])
    harness.senders["sms"] = sender
    sent = harness.add()
    harness.append(sent, EventKind.ATTEMPT, until_ms=NOW_MS + 1000)
    harness.clock.advance_s(1)
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.reference, sender.sent) == (LogStatus.SUCCESS, "g7", [])
    assert [message.attempted_at_ms for message in sender.asked] == [NOW_MS]


def test_an_abandoned_attempt_is_retried_at_an_idempotent_gateway(harness: DeliveryHarness) -> None:
    sender = ScriptedIdempotentSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    harness.append(sent, EventKind.ATTEMPT, until_ms=NOW_MS + 1000)
    harness.clock.advance_s(1)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.RETRYING
    harness.clock.advance_s(10)
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.status, len(sender.sent)) == (LogStatus.SUCCESS, 1)


def test_an_unanswered_status_lookup_is_retried_without_delaying_other_channels(harness: DeliveryHarness) -> None:
    sender = ScriptedSender(answers=[raising(TemporaryFailure("down"))])
    harness.senders["sms"] = sender
    harness.senders["email"] = ScriptedSender(raising(TemporaryFailure("busy", 2.0)))
    sent = harness.add("sms", "email")
    harness.append(sent, EventKind.ATTEMPT, until_ms=NOW_MS + 1000)
    harness.clock.advance_s(1)
    harness.delivery().deliver(sent)
    assert harness.due() == []
    harness.clock.advance_s(10)
    assert harness.due() == [sent]
    harness.delivery().deliver(sent)
    assert harness.log(sent, "email").state.status is LogStatus.SUCCESS
    assert (len(sender.asked), harness.log(sent).state.status) == (2, LogStatus.SENDING)


def test_a_message_cancelled_while_it_is_sent_is_a_success_if_it_arrived(harness: DeliveryHarness) -> None:
    sent = harness.add()
    harness.senders["sms"] = ScriptedSender(_during(lambda: harness.append(sent, EventKind.CANCEL)))
    harness.delivery().deliver(sent)
    kinds = [event.kind for event in harness.log(sent).events]
    assert kinds == [EventKind.ATTEMPT, EventKind.CANCEL, EventKind.SUCCESS]
    assert harness.log(sent).state.status is LogStatus.SUCCESS


def test_a_message_cancelled_while_it_is_sent_is_not_retried(harness: DeliveryHarness) -> None:
    sent = harness.add()

    def cancelled(message: Message) -> Receipt | None:
        harness.append(sent, EventKind.CANCEL)
        raise TemporaryFailure("busy")

    harness.senders["sms"] = ScriptedSender(cancelled)
    harness.delivery().deliver(sent)
    state = harness.log(sent).state
    assert (state.status, state.error_message) == (LogStatus.CANCELLED, "busy")


def test_a_message_cancelled_while_it_may_have_arrived_is_unknown(harness: DeliveryHarness) -> None:
    sent = harness.add()

    def cancelled(message: Message) -> Receipt | None:
        harness.append(sent, EventKind.CANCEL)
        raise Ambiguous("no answer")

    harness.senders["sms"] = ScriptedIdempotentSender(cancelled)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.UNKNOWN


@pytest.mark.parametrize(
    ("step", "status"),
    [(None, LogStatus.SUCCESS), (raising(PermanentFailure("no")), LogStatus.DEAD)],
)
def test_a_late_outcome_replaces_unknown(
    harness: DeliveryHarness, step: Callable[[Message], Receipt | None] | None, status: LogStatus
) -> None:
    sent = harness.add()

    def overtaken(message: Message) -> Receipt | None:
        harness.clock.advance_s(LEASE_S * 2)
        harness.delivery(worker="else:2").deliver(sent)
        assert harness.log(sent).state.status is LogStatus.UNKNOWN
        return step(message) if step else None

    harness.senders["sms"] = ScriptedSender(overtaken)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is status


def test_a_late_outcome_of_a_retried_attempt_changes_nothing(harness: DeliveryHarness) -> None:
    sent = harness.add()

    def overtaken(_: Message) -> Receipt | None:
        harness.append(sent, EventKind.UNKNOWN)
        harness.append(sent, EventKind.RETRY)
        raise PermanentFailure("no")

    harness.senders["sms"] = ScriptedSender(overtaken)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.PENDING


def test_a_late_outcome_is_not_assigned_to_a_later_attempt(harness: DeliveryHarness) -> None:
    sent = harness.add()

    def overtaken(_: Message) -> Receipt | None:
        harness.append(sent, EventKind.UNKNOWN)
        harness.append(sent, EventKind.RETRY)
        harness.append(sent, EventKind.ATTEMPT, until_ms=NOW_MS + 100_000)
        raise PermanentFailure("no")

    harness.senders["sms"] = ScriptedSender(overtaken)
    harness.delivery().deliver(sent)
    assert harness.log(sent).state.status is LogStatus.SENDING


@pytest.mark.parametrize("after", [False, True])
def test_an_outcome_is_recorded_after_a_store_outage(harness: DeliveryHarness, after: bool) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    fail = _failing(3, after=after)

    def only_outcomes(append: Callable[..., Any]) -> Callable[..., Any]:
        failing = fail(append)
        return lambda *arguments: (failing if sender.sent else append)(*arguments)

    harness.delivery(store=InterceptedStore(harness.stores.notifications, append=only_outcomes)).deliver(sent)
    log = harness.log(sent)
    assert [event.kind for event in log.events] == [EventKind.ATTEMPT, EventKind.SUCCESS]
    assert harness.recorder.events[-1] == ("sms", EventKind.SUCCESS, LogStatus.SUCCESS)
    assert harness.slept_s == ([0.1] if after else [0.1, 0.2, 0.4])


class SoftTimeLimit(Exception):
    """The exception that ends a task at its time limit."""


@pytest.mark.parametrize("after", [False, True])
def test_a_success_is_recorded_even_if_the_task_times_out(harness: DeliveryHarness, after: bool) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    fail = _failing(1, after=after, error=SoftTimeLimit())

    def only_outcomes(append: Callable[..., Any]) -> Callable[..., Any]:
        failing = fail(append)
        return lambda *arguments: (failing if sender.sent else append)(*arguments)

    with pytest.raises(SoftTimeLimit):
        harness.delivery(store=InterceptedStore(harness.stores.notifications, append=only_outcomes)).deliver(sent)
    log = harness.log(sent)
    assert [event.kind for event in log.events] == [EventKind.ATTEMPT, EventKind.SUCCESS]
    assert harness.recorder.events[-1] == ("sms", EventKind.SUCCESS, LogStatus.SUCCESS)


def test_a_task_cancelled_during_a_store_outage_ends(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    tries = 0

    def away(append: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any) -> Any:
            nonlocal tries
            if not sender.sent:
                return append(*arguments)
            tries += 1
            raise SoftTimeLimit if tries == 3 else StoreUnavailable("the store went away")

        return failing

    with pytest.raises(SoftTimeLimit):
        harness.delivery(store=InterceptedStore(harness.stores.notifications, append=away)).deliver(sent)
    assert tries == 4
    assert harness.log(sent).state.status is LogStatus.SENDING


def test_a_lost_outcome_is_resolved_after_the_lease(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()

    def down(call: Callable[..., Any]) -> Callable[..., Any]:
        failing = _failing(10_000, after=False)(call)
        return lambda *arguments: (failing if sender.sent else call)(*arguments)

    with pytest.raises(StoreUnavailable):
        harness.delivery(store=InterceptedStore(harness.stores.notifications, append=down, get=down)).deliver(sent)
    assert harness.log(sent).state.status is LogStatus.SENDING
    assert sum(harness.slept_s) <= LEASE_S
    harness.clock.advance_s(LEASE_S)
    harness.delivery().deliver(sent)
    assert (harness.log(sent).state.status, len(sender.sent)) == (LogStatus.UNKNOWN, 1)


def test_a_claim_whose_response_was_lost_is_valid(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    harness.delivery(store=InterceptedStore(harness.stores.notifications, append=_failing(1, after=True))).deliver(sent)
    assert (harness.log(sent).state.status, len(sender.sent)) == (LogStatus.SUCCESS, 1)


def test_without_a_claim_nothing_is_sent(harness: DeliveryHarness) -> None:
    sender = ScriptedSender()
    harness.senders["sms"] = sender
    sent = harness.add()
    with pytest.raises(StoreUnavailable):
        harness.delivery(store=InterceptedStore(harness.stores.notifications, append=_failing(1, after=False))).deliver(
            sent
        )
    assert (sender.sent, harness.due()) == ([], [sent])


def test_a_store_failure_stops_one_channel_only(harness: DeliveryHarness) -> None:
    harness.senders["email"] = ScriptedSender()
    sent = harness.add("sms", "email")
    with pytest.raises(StoreUnavailable):
        harness.delivery(store=InterceptedStore(harness.stores.notifications, append=_failing(1, after=False))).deliver(
            sent
        )
    assert harness.log(sent, "email").state.status is LogStatus.SUCCESS
    assert harness.due() == [sent]


def test_lowering_the_retry_limit_ends_messages_over_it(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(*[raising(TemporaryFailure("busy"))] * 2)
    sent = harness.add()
    for _ in range(2):
        harness.delivery().deliver(sent)
        harness.clock.advance_s(60)
    fewer = type(RETRY_POLICY)(max_attempts=1, lease_s=LEASE_S, backoff_s=1.0, backoff_max_s=1.0)
    harness.delivery(retry_policy=fewer).deliver(sent)
    assert harness.log(sent).state.error_message == "given up after 2 attempts: busy"


def test_delivering_with_nothing_due_repairs_the_copies(harness: DeliveryHarness) -> None:
    repaired: list[str] = []

    def noting(repair_copies: Callable[..., Any]) -> Callable[..., Any]:
        def noted(stored: StoredNotification) -> None:
            repaired.append(stored.notification.id)
            repair_copies(stored)

        return noted

    sent = harness.add()
    for expected in ([], [sent]):
        harness.delivery(store=InterceptedStore(harness.stores.notifications, repair_copies=noting)).deliver(sent)
        assert repaired == expected


def test_every_event_reaches_the_observer(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(raising(TemporaryFailure("busy")))
    sent = harness.add()
    harness.delivery().deliver(sent)
    assert harness.recorder.events == [
        ("sms", EventKind.ATTEMPT, LogStatus.SENDING),
        ("sms", EventKind.FAILED, LogStatus.RETRYING),
    ]
