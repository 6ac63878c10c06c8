"""Converts the first signal to an exception, so that a run ends properly."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_stack
from types import FrameType
from typing import Final

from core.errors import Interrupted
from jobs.runs.ledger_row import RunRecorder

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_CLOSING: Final = (RunRecorder.__exit__.__code__, RunRecorder.abandon.__code__)
"""The code that closes a run's row in the ledger: the run has ended, so signals are ignored."""


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Inside, the first SIGINT, SIGTERM or SIGHUP raises `Interrupted`; further ones are ignored.

    Ignored signals remain ignored, such as SIGHUP under ``nohup``.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        # Check the stack, as the code that closes the run could not disable signals before its first line.
        if any(caller.f_code in _CLOSING for caller, _ in walk_stack(frame)):
            return
        ignore_signals()
        # Suppress tracebacks from the destructors of objects whose construction the signal interrupted.
        sys.unraisablehook = lambda unraisable: None
        raise Interrupted(number, signal.Signals(number).name)

    handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            # Keep ignoring signals after the first one: the program is about to end with its own exit code.
            signal.signal(number, handler if signal.getsignal(number) is interrupt else signal.SIG_IGN)


def ignore_signals() -> None:
    """Ignore signals from here on: the rest is short and must complete."""
    for number in _SIGNALS:
        # Not SIG_IGN: Python would print a traceback for a pending signal without a handler.
        signal.signal(number, lambda number, frame: None)
