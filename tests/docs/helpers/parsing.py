"""Parses command lines that are not run, to find unknown and missing options."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Sequence
from typing import Any, Final

from celery.bin.celery import celery
from typer.main import get_command

PROGRAMS: Final = ("jobs", "notifier", "api")


def require_parseable(command_line: str) -> None:
    """Raise unless ``… -m jobs …``, ``… celery -A core …`` and the like could be started so.

    Words before the program, such as variables and the name of a container, are ignored.
    """
    words = shlex.split(command_line, comments=True)
    if any(word.endswith("celery") for word in words) and "-A" in words:
        _parse(celery.commands[words[words.index("-A") + 2]], words[words.index("-A") + 3 :])
        return
    program = next((name for name in PROGRAMS if f"-m {name}" in command_line), None)
    assert program is not None, f"no program of ours: {command_line}"
    arguments = words[words.index("-m") + 2 :]
    if program == "api" and (not arguments or arguments[0].startswith("--p")):
        arguments = ["serve", *arguments]  # as `api.__main__.main` does
    _parse(get_command(importlib.import_module(f"{program}.__main__").app), arguments)


def _parse(command: Any, arguments: Sequence[str]) -> None:
    context = command.make_context(command.name, list(arguments), resilient_parsing=command.name in celery.commands)
    if hasattr(command, "resolve_command"):
        _, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        if inner is not None:
            _parse(inner, rest)
