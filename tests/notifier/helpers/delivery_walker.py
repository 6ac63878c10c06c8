"""Kills a delivery at each of its operations: ``delivery_walker.py STORE_URL GATEWAY_FILE [FIRST LAST]``.

With each kind of sender, for n = 1, 2, 3, … a process delivers a new notification over two channels. It is killed right
before or after the n-th call of its store or sender, until a process survives. After each kill another process sweeps
and delivers, with an advanced clock, until no message is open. It prints the result as a line of JSON.
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

from delivery_parts import LEASE_S, RETRY_POLICY, DeliveryHarness, ManualClock, RecordingObserver, ScriptedRateLimiter
from delivery_senders import FileGateway, IdempotentSender, LookupSender, PlainSender

from core.notifications.events import EventKind
from core.notifications.model import NotificationStatus
from core.stores import Stores, open_stores

CHANNELS = ("sms", "email")
KINDS = {"plain": PlainSender, "lookup": LookupSender, "idempotent": IdempotentSender}
_MOST_ROUNDS = 30


class FaultInjector:
    """Kills the process at the `at`-th point; each method of the wrapped object has a point before and one after it."""

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
        FaultInjector.points += 1
        if FaultInjector.points == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def _harness(stores: Stores, gateway: FileGateway, kind: str, clock: ManualClock, die_at: int) -> DeliveryHarness:
    sender = FaultInjector(KINDS[kind](gateway), die_at)
    injected = replace(
        stores,
        notifications=FaultInjector(stores.notifications, die_at),
        contacts=FaultInjector(stores.contacts, die_at),
    )
    return DeliveryHarness(injected, dict.fromkeys(CHANNELS, sender), clock, ScriptedRateLimiter(), RecordingObserver())  # type: ignore[arg-type]


def in_another_process(work: Callable[[], object]) -> int:
    """Run `work` in a child process; returns its exit code, or minus the number of the signal that killed it."""
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
    """Print a line for each n from `first` to `last`, or to the first process that survives."""
    for number in range(first, last + 1):
        reported = Path(f"{gateway.path}.{kind}.{number}")

        def deliver(number: int = number, reported: Path = reported) -> None:
            clock = ManualClock()
            with open_stores(store_url, timeout_s=20, clock=clock) as stores:
                notification_id = _harness(stores, gateway, kind, clock, 0).add()
                reported.write_text(notification_id)
                FaultInjector.points = 0
                _harness(stores, gateway, kind, clock, number).delivery().deliver(notification_id)

        def recover(reported: Path = reported) -> None:
            clock = ManualClock()
            with open_stores(store_url, timeout_s=20, clock=clock) as stores:
                harness = _harness(stores, gateway, kind, clock, 0)
                for _ in range(_MOST_ROUNDS):
                    harness.sweep(harness.delivery(worker="next:2").deliver).run()
                    clock.advance_s(LEASE_S)
                    stored = harness.stored(reported.read_text())
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
