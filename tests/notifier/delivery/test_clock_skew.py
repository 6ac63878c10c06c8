"""Workers with clock skew over one store: guarantees for any skew, and those that need agreeing clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from delivery_parts import LEASE_S, DeliveryHarness, ScriptedSender, Step, delivery_harness, raising

from core.notifications.events import EventKind, LogStatus
from notifier.senders.base import Message, Receipt, TemporaryFailure

SKEW_S = 600.0
"""More than the lease."""


@contextmanager
def _skewed_hosts(folder: Path, sender: ScriptedSender, *skews_s: float) -> Iterator[list[DeliveryHarness]]:
    """Hosts whose clocks are ahead by `skews_s`, with one gateway."""
    with ExitStack() as opened:
        url = f"sqlite:///{folder / 's.db'}"
        hosts = [opened.enter_context(delivery_harness(url, {"sms": sender})) for _ in skews_s]
        for host, skew_s in zip(hosts, skews_s, strict=True):
            host.clock.advance_s(skew_s)
        yield hosts


def _meanwhile(act: Callable[[], object]) -> Step:
    """Call `act` while the gateway handles the message."""

    def step(_: Message) -> Receipt | None:
        act()
        return None

    return step


def _kinds(host: DeliveryHarness, notification_id: str) -> list[EventKind]:
    return [event.kind for event in host.log(notification_id).events]


@pytest.mark.parametrize("skew_s", [-SKEW_S, -LEASE_S / 2, LEASE_S - 1])
def test_no_duplicate_while_the_lease_is_valid_by_both_clocks(tmp_path: Path, skew_s: float) -> None:
    sender = ScriptedSender()
    with _skewed_hosts(tmp_path, sender, 0, skew_s) as (harness, there):
        sent = harness.add()
        sender.steps = [_meanwhile(lambda: there.delivery(worker="there:2").deliver(sent))]
        harness.delivery().deliver(sent)
        assert (len(sender.sent), _kinds(harness, sent)) == (1, [EventKind.ATTEMPT, EventKind.SUCCESS])


def test_a_slow_clock_delays_but_does_not_prevent_sending(tmp_path: Path) -> None:
    sender = ScriptedSender()
    with _skewed_hosts(tmp_path, sender, 0, -SKEW_S) as (harness, there):
        sent = harness.add()
        there.sweep(there.delivery().deliver).run()
        assert sender.sent == []
        there.clock.advance_s(SKEW_S)
        there.sweep(there.delivery().deliver).run()
        assert _kinds(harness, sent) == [EventKind.ATTEMPT, EventKind.SUCCESS]


def test_a_clock_that_is_ahead_for_a_while_during_a_send_does_not_delay_the_other_channel(tmp_path: Path) -> None:
    sender = ScriptedSender()
    with delivery_harness(f"sqlite:///{tmp_path / 's.db'}", {"sms": sender, "email": sender}) as harness:
        sender.steps = [_meanwhile(lambda: harness.clock.advance_s(SKEW_S))]
        sent = harness.add("sms", "email")
        harness.delivery().deliver(sent)
        harness.clock.advance_s(-SKEW_S + 2 * LEASE_S)
        assert (len(sender.sent), harness.due()) == (1, [sent])


def test_a_retry_waits_by_the_clock_of_the_reading_worker(tmp_path: Path) -> None:
    sender = ScriptedSender(raising(TemporaryFailure("busy")))
    with _skewed_hosts(tmp_path, sender, SKEW_S, 0) as (ahead, behind):
        sent = behind.add()
        ahead.delivery().deliver(sent)
        behind.clock.advance_s(SKEW_S - 1)
        behind.delivery().deliver(sent)
        assert len(sender.sent) == 1
        behind.clock.advance_s(LEASE_S)
        behind.delivery().deliver(sent)
        assert _kinds(behind, sent) == [EventKind.ATTEMPT, EventKind.FAILED, EventKind.ATTEMPT, EventKind.SUCCESS]


def test_a_clock_ahead_of_the_lease_gives_unknown_until_the_success(
    tmp_path: Path,
) -> None:
    sender = ScriptedSender()
    with _skewed_hosts(tmp_path, sender, 0, SKEW_S) as (harness, ahead):
        sent = harness.add()
        sender.steps = [_meanwhile(lambda: ahead.delivery(worker="ahead:2").deliver(sent))]
        harness.delivery().deliver(sent)
        assert len(sender.sent) == 1
        assert _kinds(harness, sent) == [EventKind.ATTEMPT, EventKind.UNKNOWN, EventKind.SUCCESS]


def test_a_clock_ahead_of_the_lease_looks_up_the_status_first(tmp_path: Path) -> None:
    sender = ScriptedSender(answers=[lambda _: Receipt("taken")])
    with _skewed_hosts(tmp_path, sender, 0, SKEW_S) as (harness, ahead):
        sent = harness.add()
        sender.steps = [_meanwhile(lambda: ahead.delivery(worker="ahead:2").deliver(sent))]
        harness.delivery().deliver(sent)
        assert (len(sender.sent), _kinds(harness, sent)) == (1, [EventKind.ATTEMPT, EventKind.SUCCESS])


def test_skew_beyond_the_lease_reuses_one_idempotency_key_at_the_gateway(
    tmp_path: Path,
) -> None:
    """Asked before it has the message of the first, the gateway knows nothing: all that is left is that it compares."""
    sender = ScriptedSender(answers=[lambda _: None])
    with _skewed_hosts(tmp_path, sender, 0, SKEW_S) as (harness, ahead):
        sent = harness.add()

        def judged_and_repeated() -> None:
            ahead.delivery(worker="ahead:2").deliver(sent)
            ahead.clock.advance_s(LEASE_S)
            ahead.delivery(worker="ahead:2").deliver(sent)

        sender.steps = [_meanwhile(judged_and_repeated)]
        harness.delivery().deliver(sent)

        log = harness.log(sent)
        assert [event.kind for event in log.events] == [
            EventKind.ATTEMPT,
            EventKind.FAILED,
            EventKind.ATTEMPT,
            EventKind.SUCCESS,
        ]
        assert (log.state.status, log.state.attempts) == (LogStatus.SUCCESS, 2)
        assert len({message.number_id for message in sender.sent}) == 1
