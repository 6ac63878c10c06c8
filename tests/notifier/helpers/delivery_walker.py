"""Walks over every point of a delivery: ``delivery_walker.py STORE_URL GATEWAY_FILE [FIRST LAST]``.

With each kind of sender, for n = 1, 2, 3, … a process delivers a new notification over two channels, and is killed
right before or after an operation of its store or its sender, the n-th; until one survives. After each kill another
process sweeps and delivers, with the clock moved on, until nothing is open. For each kind and n a line of JSON says how
it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from delivery_parts import LEASE_S, RETRY_POLICY, MovedClock, Recorder, ScriptedThrottle, Station
from delivery_senders import AskableSender, FileGateway, PlainSender, RecognisingSender

from core.notifications.events import EventKind
from core.notifications.model import NotificationStatus
from core.stores import Stores, open_stores

CHANNELS = ("sms", "email")
KINDS = {"plain": PlainSender, "askable": AskableSender, "recognising": RecognisingSender}
_MOST_ROUNDS = 30


class Mortal:
    """What it wraps. Each call of a method counts twice, before and after; when the count is `at` the process dies."""

    points = 0

    def __init__(self, wrapped: Any, at: int) -> None:
        self._wrapped = wrapped
        self._at = at

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        return self._counting(found) if callable(found) else found

    def _counting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            self._pass()
            try:
                return call(*arguments, **named)
            finally:
                self._pass()

        return counting

    def _pass(self) -> None:
        Mortal.points += 1
        if Mortal.points == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def _station(stores: Stores, gateway: FileGateway, kind: str, clock: MovedClock, die_at: int) -> Station:
    sender = Mortal(KINDS[kind](gateway), die_at)
    mortal = replace(
        stores, notifications=Mortal(stores.notifications, die_at), contacts=Mortal(stores.contacts, die_at)
    )
    return Station(mortal, dict.fromkeys(CHANNELS, sender), clock, ScriptedThrottle(), Recorder())  # type: ignore[arg-type]


def in_another_process(work: Callable[[], object]) -> int:
    """Do `work` in a process of its own; its exit code, or minus the number of the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def walk(store_url: str, gateway: FileGateway, kind: str, first: int, last: int) -> None:
    """Write a line for each n from `first` on, up to `last` or the first that survives."""
    for number in range(first, last + 1):
        reported = Path(f"{gateway.path}.{kind}.{number}")

        def deliver(number: int = number, reported: Path = reported) -> None:
            clock = MovedClock()
            with open_stores(store_url, timeout_s=20, clock=clock) as stores:
                notification_id = _station(stores, gateway, kind, clock, 0).add()
                reported.write_text(notification_id)
                Mortal.points = 0
                _station(stores, gateway, kind, clock, number).delivery().deliver(notification_id)

        def recover(reported: Path = reported) -> None:
            clock = MovedClock()
            with open_stores(store_url, timeout_s=20, clock=clock) as stores:
                here = _station(stores, gateway, kind, clock, 0)
                for _ in range(_MOST_ROUNDS):
                    here.sweep(here.delivery(worker="next:2").deliver).run()
                    clock.move_s(LEASE_S)
                    stored = here.stored(reported.read_text())
                    if stored.status is not NotificationStatus.PENDING:
                        break
            found = {
                log.channel: {
                    "status": log.state.status,
                    "attempts": log.state.attempts,
                    "begun": sum(event.kind is EventKind.ATTEMPT for event in log.events),
                    "error": log.state.error_message,
                    "taken": gateway.taken(stored.notification.log_id(log.channel)),
                }
                for log in stored.logs
            }
            reported.write_text(json.dumps(found))

        died = in_another_process(deliver)
        recovered = in_another_process(recover)
        ended = {"kind": kind, "n": number, "died": died, "recovered": recovered}
        print(json.dumps(ended | {"logs": json.loads(reported.read_text())}))
        if died == 0:
            return


if __name__ == "__main__":
    assert RETRY_POLICY.max_attempts > 1
    chosen = [int(argument) for argument in sys.argv[3:]] or [1, 1000]
    for each in KINDS:
        walk(sys.argv[1], FileGateway(Path(sys.argv[2])), each, *chosen)
