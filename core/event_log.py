"""The log of workers and commands: one JSON object per line, including records of Celery and libraries.

Context fields (the id of a request, notification or run) are bound once, with `bound_context`, and added to each line
that is written in that context. Celery messages carry them along (`core.notifications.broker.queue_delivery`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import TextIO

from core.instants import iso_instant, wall_clock_ms
from core.log_lines import log_line, traceback_of

Context = Mapping[str, object]
_context: ContextVar[Context] = ContextVar("log context", default=MappingProxyType({}))


@contextmanager
def bound_context(**fields: object) -> Iterator[None]:
    """Inside, add `fields` without None values to each line that this thread or asyncio task logs."""
    token = bind_context(**fields)
    try:
        yield
    finally:
        reset_context(token)


def bind_context(**fields: object) -> Token[Context]:
    """`bound_context` until `reset_context` is called with the returned token, in the same context."""
    known = {name: value for name, value in fields.items() if value is not None}
    return _context.set({**_context.get(), **known})


def reset_context(token: Token[Context]) -> None:
    """Restore the context fields from before `bind_context`."""
    _context.reset(token)


def current_context() -> Context:
    """The current context fields."""
    return _context.get()


def log_event(event: str, level: str = "info", **fields: object) -> None:
    """Write one line: time, level, event, and `fields`, which must not have secrets or full addresses.

    :raises OSError: standard output cannot be written.
    """
    log_fields({"event": event, "level": level, **fields})


def log_fields(fields: Context) -> None:
    """`log_event` with ``event`` and ``level`` in `fields`.

    :raises OSError: standard output cannot be written.
    """
    first = {"time": iso_instant(wall_clock_ms()), "level": fields["level"], "event": fields["event"]}
    line = log_line({**first, **_context.get(), **fields})
    stream = _stream()
    stream.write(line.decode())
    stream.flush()


class JsonHandler(logging.Handler):
    """A logging handler that writes records with `log_event`, as events ``log``.

    :param on_stderr: whether to log to standard error instead of standard output.
    """

    def __init__(self, *, on_stderr: bool = False) -> None:
        super().__init__()
        self.on_stderr = on_stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; it is lost if that fails."""
        try:
            fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info:
                fields["traceback"] = traceback_of(record.exc_info[1])
            log_event("log", record.levelname.lower(), process_id=record.process, **fields)
        except Exception:
            self.handleError(record)


def take_over_logging(loglevel: int | str, *, on_stderr: bool = False) -> None:
    """Replace the root handlers by a `JsonHandler` for records from `loglevel` on."""
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
