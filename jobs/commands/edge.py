"""The edge of the command line: errors become a sentence, a hint and an exit code; signals become an error."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NoReturn

import typer

from core.errors import Interrupted, ServiceError, exit_code_of

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def edge(as_json: bool = False) -> Iterator[None]:
    """Run a command inside: whatever it raises is told once, and ends the program with the right exit code."""
    try:
        yield
    except ServiceError as error:
        _fail(error, as_json)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is still to be flushed
        raise typer.Exit(1) from None
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
        hint = f"This is a defect of the program ({place}): please report it. status tells what is published."
        _fail(ServiceError(f"unexpected {type(error).__name__}: {error}", hint), as_json)


def _fail(error: ServiceError, as_json: bool) -> NoReturn:
    code = exit_code_of(error)
    typer.secho(f"Error: {error.sentence}.", err=True, fg="red" if sys.stderr.isatty() else None)
    if error.hint:
        typer.echo(error.hint, err=True)
    if as_json:
        problem = {"type": type(error).__name__, "message": error.sentence, "hint": error.hint, "exit_code": code}
        print_json({"error": problem})
    raise typer.Exit(code) from None


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM raises `Interrupted`; further ones wait until the tidying up is done."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        ignore_signals()
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


def print_json(content: Any) -> None:
    """Print `content` as JSON on standard output.

    Names of files may be any bytes; what is no UTF-8 in them is written as JSON escapes.
    """
    text = json.dumps(content, ensure_ascii=False, indent=2)
    typer.echo(text.encode("utf-8", "backslashreplace"))
