"""The sweep over the real store: due messages are queued in order, up to the capacity of the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_parts import LEASE_S, ScriptedSender, Station, station

from notifier.sweep import Sweep


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Station]:
    with station(f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender(), "email": ScriptedSender()}) as made:
        yield made


def _three(here: Station) -> list[str]:
    added = []
    for _ in range(3):
        added.append(here.add())
        here.clock.move_s(1)
    return added


def test_due_messages_are_queued_once_longest_waiting_first(here: Station) -> None:
    added = _three(here)
    queued: list[str] = []
    assert here.sweep(queued.append).run() == 3
    assert queued == added


def test_the_sweep_respects_the_queue_capacity(here: Station) -> None:
    added = _three(here)
    queued: list[str] = []
    sweep = Sweep(
        here.stores.notifications, queued.append, lambda: 2 - len(queued), again_after_s=LEASE_S, clock=here.clock
    )
    assert (sweep.run(), queued) == (2, added[:2])
    assert (sweep.run(), queued) == (0, added[:2])


def test_undelivered_messages_are_queued_again_later(here: Station) -> None:
    added = _three(here)
    queued: list[str] = []
    here.sweep(queued.append).run()
    here.clock.move_s(LEASE_S - 1)
    assert here.sweep(queued.append).run() == 0
    here.clock.move_s(1)
    assert here.sweep(queued.append).run() == 3
    assert sorted(queued[3:]) == sorted(added)


def test_the_next_sweep_queues_what_the_broker_refused(here: Station) -> None:
    added = _three(here)
    queued: list[str] = []

    def refuse_the_second(one: str) -> None:
        if queued:
            raise ConnectionError
        queued.append(one)

    with pytest.raises(ConnectionError):
        here.sweep(refuse_the_second).run()
    queued.clear()
    here.sweep(queued.append).run()
    assert queued == added
