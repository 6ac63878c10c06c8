"""Clock skew: for any clocks of two hosts and any schedule, how often a gateway receives a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from delivery_parts import LEASE_S, NOW_MS, RETRY_POLICY, DeliveryHarness, ScriptedSender, delivery_harness
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from core.notifications.events import EventKind, LogStatus
from notifier.senders.base import Ambiguous, Message, Receipt, TemporaryFailure

_EXAMPLE_S = 10 * 86_400.0
_ROUNDS = RETRY_POLICY.max_attempts * 3


@dataclass(frozen=True)
class ScheduledDelivery:
    """`host` delivers the message after so many seconds; while it is sent, the `meanwhile` hosts deliver it too.

    :param lasts_s: seconds until the others deliver it.
    :param ends: accepted, accepted without a response, or refused.
    """

    after_s: float
    host: int
    lasts_s: float
    meanwhile: list[int]
    ends: str


def _schedules() -> st.SearchStrategy[list[ScheduledDelivery]]:
    return st.lists(
        st.builds(
            ScheduledDelivery,
            after_s=st.sampled_from([0.0, 1.0, LEASE_S / 2, LEASE_S]),
            host=st.integers(0, 1),
            lasts_s=st.sampled_from([0.0, LEASE_S / 4]),
            meanwhile=st.lists(st.integers(0, 1), max_size=2),
            ends=st.sampled_from(["taken", "lost", "refused"]),
        ),
        min_size=1,
        max_size=5,
    )


@dataclass
class Hosts:
    """Two hosts over one store, and one gateway, perhaps with status lookup."""

    hosts: list[DeliveryHarness]
    sender: ScriptedSender
    has_status_lookup: bool
    now_s: float = NOW_MS / 1000
    skews_s: tuple[float, float] = (0, 0)
    taken: list[str] = field(default_factory=list)

    def begin(self, *skews_s: float) -> str:
        """Add a notification, long after the previous ones; returns its id."""
        self.skews_s = (skews_s[0], skews_s[1])
        self.taken.clear()
        self.sender.sent.clear()
        self.sender.answers = [self._asked] if self.has_status_lookup else None
        self.advance_s(_EXAMPLE_S)
        return self.hosts[0].add()

    def advance_s(self, seconds: float) -> None:
        """Advance both clocks."""
        self.now_s += seconds
        for host, skew_s in zip(self.hosts, self.skews_s, strict=True):
            host.clock.now_ms = round((self.now_s + skew_s) * 1000)

    def deliver(self, host: int, notification_id: str) -> None:
        """Deliver with a worker of the host."""
        self.hosts[host].delivery(worker=f"host{host}:1").deliver(notification_id)

    def run(self, scheduled: ScheduledDelivery, notification_id: str) -> None:
        """One turn; whatever else is sent during it is taken."""
        self.advance_s(scheduled.after_s)

        def first(message: Message) -> Receipt | None:
            self.advance_s(scheduled.lasts_s)
            self.sender.steps = [self._taken] * len(scheduled.meanwhile)
            for other in scheduled.meanwhile:
                self.deliver(other, notification_id)
            if scheduled.ends == "refused":
                raise TemporaryFailure("busy")
            self.taken.append(message.id)
            if scheduled.ends == "lost":
                raise Ambiguous("no answer")
            return None

        self.sender.steps = [first]
        self.deliver(scheduled.host, notification_id)

    def settle(self, notification_id: str) -> None:
        """Both handle it until it has ended; the gateway accepts everything."""
        for _ in range(_ROUNDS):
            self.advance_s(LEASE_S * 20)
            self.sender.steps = [self._taken] * 2
            for host in (0, 1):
                self.deliver(host, notification_id)

    def _taken(self, message: Message) -> None:
        self.taken.append(message.id)

    def _asked(self, message: Message) -> Receipt | None:
        return Receipt("ref") if message.id in self.taken else None


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder: Path = tmp_path_factory.mktemp("hosts")
    sender = ScriptedSender()
    with ExitStack() as stack:
        hosts = [
            stack.enter_context(delivery_harness(f"sqlite:///{folder / 's.db'}", {"sms": sender})) for _ in range(2)
        ]
        yield Hosts(hosts, sender, has_status_lookup=False)


@given(skew_s=st.sampled_from([-600.0, -LEASE_S, -1.0, 0.0, 60.0, LEASE_S, 600.0, 86_400.0]), schedule=_schedules())
@tries(200)
def test_with_any_clock_skew_an_ambiguous_message_is_never_sent_again(
    opened: Hosts, skew_s: float, schedule: list[ScheduledDelivery]
) -> None:
    opened.has_status_lookup = False
    sent = opened.begin(0, skew_s)
    for scheduled in schedule:
        opened.run(scheduled, sent)
    opened.settle(sent)

    log = opened.hosts[0].log(sent)
    assert len(opened.taken) <= 1
    assert len(opened.sender.sent) <= sum(event.kind is EventKind.ATTEMPT for event in log.events)
    assert log.state.status in (LogStatus.SUCCESS, LogStatus.UNKNOWN, LogStatus.DEAD)
    if log.state.status is not LogStatus.UNKNOWN:
        assert len(opened.taken) == (log.state.status is LogStatus.SUCCESS)


@given(skew_s=st.floats(-LEASE_S / 2, LEASE_S / 2), schedule=_schedules())
@tries(200)
def test_with_clock_skew_of_half_a_lease_nothing_is_claimed_twice(
    opened: Hosts, skew_s: float, schedule: list[ScheduledDelivery]
) -> None:
    opened.has_status_lookup = True
    sent = opened.begin(0, skew_s)
    for scheduled in schedule:
        opened.run(scheduled, sent)
    opened.settle(sent)

    log = opened.hosts[0].log(sent)
    assert (log.state.status, len(opened.taken)) in ((LogStatus.SUCCESS, 1), (LogStatus.DEAD, 0))
