"""The sweep over the real store: due messages are queued in order, up to the capacity of the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_parts import LEASE_S, DeliveryHarness, ScriptedSender, delivery_harness

from notifier.sweep import Sweep


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(
        f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender(), "email": ScriptedSender()}
    ) as made:
        yield made


def _three(harness: DeliveryHarness) -> list[str]:
    added = []
    for _ in range(3):
        added.append(harness.add())
        harness.clock.advance_s(1)
    return added


def test_due_messages_are_queued_once_longest_waiting_first(harness: DeliveryHarness) -> None:
    added = _three(harness)
    queued: list[str] = []
    assert harness.sweep(queued.append).run() == 3
    assert queued == added


def test_the_sweep_respects_the_queue_capacity(harness: DeliveryHarness) -> None:
    added = _three(harness)
    queued: list[str] = []
    sweep = Sweep(
        harness.stores.notifications, queued.append, lambda: 2 - len(queued), again_after_s=LEASE_S, clock=harness.clock
    )
    assert (sweep.run(), queued) == (2, added[:2])
    assert (sweep.run(), queued) == (0, added[:2])


def test_undelivered_messages_are_queued_again_later(harness: DeliveryHarness) -> None:
    added = _three(harness)
    queued: list[str] = []
    harness.sweep(queued.append).run()
    harness.clock.advance_s(LEASE_S - 1)
    assert harness.sweep(queued.append).run() == 0
    harness.clock.advance_s(1)
    assert harness.sweep(queued.append).run() == 3
    assert sorted(queued[3:]) == sorted(added)


def test_the_next_sweep_queues_what_the_broker_refused(harness: DeliveryHarness) -> None:
    added = _three(harness)
    queued: list[str] = []

    def refuse_the_second(one: str) -> None:
        if queued:
            raise ConnectionError
        queued.append(one)

    with pytest.raises(ConnectionError):
        harness.sweep(refuse_the_second).run()
    queued.clear()
    harness.sweep(queued.append).run()
    assert queued == added
