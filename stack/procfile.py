"""The commands of the service, in one place: `Procfile`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).parents[1] / "Procfile"


def commands() -> dict[str, list[str]]:
    """The words of each program's command, by its name."""
    lines = (line.partition(": ") for line in _FILE.read_text("utf-8").splitlines() if not line.startswith("#"))
    return {name: shlex.split(command) for name, _, command in lines}


def for_terminal(name: str) -> list[str]:
    """The command of a program with this Python, for a person who watches: Celery without its banner and progress."""
    program, *words = commands()[name]
    if program == "celery":
        return [sys.executable, "-m", program, "--quiet", *words, "-l", "warning"]
    return [sys.executable, "-m", program, *words]
