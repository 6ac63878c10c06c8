"""A signal at any instant between the insertion of a run and the end of its row leaves no row open."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from core.errors import Interrupted, SourceError
from core.stores import Stores, current_holder, open_stores, wall_clock_ms
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Fingerprint
from jobs.runs.ledger_row import RunRecorder
from jobs.runs.signals import signals_as_errors

ROOT = Path(__file__).parents[3]
WATCHED = {
    str(ROOT / name)
    for name in ("jobs/runs/ledger_row.py", "core/stores/sqlite/runs.py", "core/stores/sqlite/database.py")
} | {str(ROOT / "core/stores/mongo" / name) for name in ("runs.py", "publishing.py", "database.py")}
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FINGERPRINT = Fingerprint("Asia/Tehran", "jalali", "merchantId", "amount", "createdAt")


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@contextmanager
def put_back() -> Iterator[None]:
    """Put back what a command that a signal stops leaves switched off, as it is about to end."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook
    try:
        yield
    finally:
        sys.setprofile(None)
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


class SignalSteps:
    """A profiler that counts where Python may raise for a signal in the watched modules, and sends one at such a step.

    That is where a function begins and where a call has returned; elsewhere the interpreter does not look for signals.

    :param send_at: the number of that step, from 1 on; 0 for none.
    """

    def __init__(self, send_at: int, number: signal.Signals) -> None:
        self.taken = 0
        self._send_at = send_at
        self._number = number

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename in WATCHED:
            self.taken += 1
            if self.taken == self._send_at:
                signal.raise_signal(self._number)


def run_once(stores: Stores, send_at: int, number: signal.Signals, failure: Exception | None) -> int:
    """A run that ends well or with `failure`; how many steps it took. The signal may end it instead."""
    now_ms = wall_clock_ms()
    draft = Run(0, "rebuild", RunStatus.RUNNING, current_holder(), now_ms, now_ms, ("x",), FINGERPRINT)
    steps = SignalSteps(send_at, number)
    with put_back(), suppress(Interrupted, SourceError), signals_as_errors():
        sys.setprofile(steps)
        with RunRecorder(stores.runs, draft, wall_clock_ms) as recorder:
            recorder.update(phase="checking")
            if failure is not None:
                raise failure
    return steps.taken


@pytest.mark.parametrize("failure", [None, SourceError("the source is damaged")], ids=["well", "failing"])
def test_a_signal_at_any_step_leaves_no_open_ledger_row(stores: Stores, failure: SourceError | None) -> None:
    steps = run_once(stores, 0, signal.SIGTERM, failure)
    usual = stores.runs.recent(1)[0].status
    seen = set()
    for send_at in range(1, steps + 1):
        run_once(stores, send_at, SIGNALS[send_at % len(SIGNALS)], failure)
        (run,) = stores.runs.recent(1)
        assert run.status in (usual, RunStatus.INTERRUPTED), f"{run.status} after a signal at step {send_at}"
        seen.add(run.status)
    assert seen == {usual, RunStatus.INTERRUPTED}
