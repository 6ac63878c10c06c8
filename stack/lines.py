"""Prints the log lines of several programs on one terminal, in readable form, with the name of the program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import orjson
import typer

_COLOURS: Final = ("cyan", "yellow", "green", "magenta")
_LEVEL_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red"}
_SHOWN_FIRST: Final = ("time", "level", "event", "message", "logger")
# In every line, and of no use on a terminal.
_LEFT_OUT: Final = frozenset({"pid", "process_id", "route", "remote", "user_agent", "bytes", "agent"})


class Terminal:
    """Prints lines on standard output, each after the name of its program.

    :param names: of all programs.
    :param as_json: whether JSON lines are printed unchanged.
    """

    def __init__(self, names: list[str], *, as_json: bool = False) -> None:
        self._width = max(map(len, names))
        self._colours = {name: _COLOURS[nth % len(_COLOURS)] for nth, name in enumerate(names)}
        self._as_json = as_json
        self._coloured = sys.stdout.isatty()

    def show(self, name: str, line: bytes) -> None:
        """Print one `line` of the program `name`.

        :raises OSError: standard output cannot be written.
        """
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            return
        prefix = self._styled(f"{name:<{self._width}} |", self._colours[name])
        colour = None
        if not self._as_json and (fields := _parsed(text)):
            text, colour = readable(fields), _LEVEL_COLOURS.get(str(fields.get("level")))
        print(prefix, self._styled(text, colour), flush=True)

    def _styled(self, text: str, colour: str | None) -> str:
        return typer.style(text, fg=colour) if self._coloured and colour else text


def _parsed(text: str) -> Mapping[str, object]:
    """The fields of a log line; empty if it is not a log line of the service."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and {"time", "event"} <= found.keys() else {}


def readable(fields: Mapping[str, object]) -> str:
    """A log line as words: local time, level unless it is ``info``, what happened, and the other fields.

    ::

        22:50:41 success notification_id=5f0c… channel=sms status=success attempts=1
    """
    level, message = str(fields.get("level", "info")), fields.get("message")
    words = [datetime.fromisoformat(str(fields["time"])).astimezone().strftime("%H:%M:%S")]
    if level != "info":
        words.append(level.upper())
    words.append(str(fields["event"] if message is None else message))
    others = {name: value for name, value in fields.items() if name not in _LEFT_OUT and name not in _SHOWN_FIRST}
    words += [f"{name}={_shown(value)}" for name, value in others.items() if value not in (None, "")]
    return " ".join(words)


def _shown(value: object) -> str:
    """`value` as one word, or quoted."""
    if isinstance(value, str) and not any(character.isspace() or character in '"=' for character in value):
        return value
    return orjson.dumps(value).decode()
