"""Signals of the command line: the first becomes an error, so that a run ends tidily."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from core.errors import Interrupted

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM raises `Interrupted`; further ones wait until the tidying up is done."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        # Objects that a signal left half made complain when they are thrown away, each with a traceback.
        sys.unraisablehook = lambda unraisable: None
        raise Interrupted(number, signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
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
