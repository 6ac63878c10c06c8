"""Signals of the command line: the first becomes an error, so that a run ends tidily."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_stack
from types import FrameType
from typing import Final

from core.errors import Interrupted
from jobs.runs.ledger_row import RunKeeper

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_CLOSING: Final = (RunKeeper.__exit__.__code__, RunKeeper.abandon.__code__)
"""Where the ledger's row of a run is closed: it has ended, so a signal changes nothing any more."""


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Inside, the first SIGINT, SIGTERM or SIGHUP raises `Interrupted`; further ones change nothing.

    What was ignored before stays so, as SIGHUP is of what ``nohup`` starts.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        # By the frame, because what an error leads to begins before a line of it could switch signals off.
        if any(caller.f_code in _CLOSING for caller, _ in walk_stack(frame)):
            return
        ignore_signals()
        # Objects that a signal left half made complain when they are thrown away, each with a traceback.
        sys.unraisablehook = lambda unraisable: None
        raise Interrupted(number, signal.Signals(number).name)

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            # Where signals change nothing by now, it stays so: the program is about to end, with its own exit code.
            signal.signal(number, handler if signal.getsignal(number) is interrupt else signal.SIG_IGN)


def ignore_signals() -> None:
    """From here on signals change nothing: what is under way is short and must end."""
    for number in _SIGNALS:
        # Not SIG_IGN: Python prints a traceback when a signal that has just arrived finds that instead of a handler.
        signal.signal(number, lambda number, frame: None)
