"""The log of workers and commands: one JSON object a line, also what Celery and libraries have to say.

What a piece of work is about (its request, notification or run) is said once, with `about`, and is then in each line
that is written meanwhile. It goes with a message through Celery (`core.notifications.broker.queue_delivery`).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import TextIO

from core.instants import iso_instant
from core.log_lines import log_line, traceback_of

About = Mapping[str, object]
_about: ContextVar[About] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Let each line that is written inside, in this thread, bear `fields`, but for those that are None."""
    token = begin_about(**fields)
    try:
        yield
    finally:
        end_about(token)


def begin_about(**fields: object) -> Token[About]:
    """As `about`, until `end_about` is called with the answer, in the same thread."""
    known = {name: value for name, value in fields.items() if value is not None}
    return _about.set({**_about.get(), **known})


def end_about(token: Token[About]) -> None:
    """The work of `begin_about` is over."""
    _about.reset(token)


def what_about() -> About:
    """What the work under way is about."""
    return _about.get()


def log_event(event: str, level: str = "info", **fields: object) -> None:
    """Write one line: when, how grave, what happened, and `fields`, which hold neither secrets nor whole addresses.

    :raises OSError: standard output cannot be written.
    """
    log_fields({"event": event, "level": level, **fields})


def log_fields(fields: About) -> None:
    """As `log_event`, with ``event`` and ``level`` among the fields.

    :raises OSError: standard output cannot be written.
    """
    first = {"time": iso_instant(time.time_ns() // 1_000_000), "level": fields["level"], "event": fields["event"]}
    line = log_line({**first, **_about.get(), **fields})
    stream = _stream()
    stream.write(line.decode())
    stream.flush()


class JsonHandler(logging.Handler):
    """Writes records of the standard library's logging with `log_event`, as events ``log``.

    :param on_stderr: whether this process logs to standard error, and not to standard output.
    """

    def __init__(self, *, on_stderr: bool = False) -> None:
        super().__init__()
        self.on_stderr = on_stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; where that fails it is lost, and the work goes on."""
        try:
            fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info:
                fields["traceback"] = traceback_of(record.exc_info[1])
            log_event("log", record.levelname.lower(), process_id=record.process, **fields)
        except Exception:
            self.handleError(record)


def take_over_logging(loglevel: int | str, *, on_stderr: bool = False) -> None:
    """Let all that is logged from `loglevel` on be written as lines of JSON."""
    root = logging.getLogger()
    root.handlers = [JsonHandler(on_stderr=on_stderr)]
    root.setLevel(loglevel)


def is_log_json() -> bool:
    """Whether `take_over_logging` was called."""
    return _handler() is not None


def _handler() -> JsonHandler | None:
    return next((one for one in logging.getLogger().handlers if isinstance(one, JsonHandler)), None)


def _stream() -> TextIO:
    handler = _handler()
    return sys.stderr if handler is not None and handler.on_stderr else sys.stdout
