"""The notifier's log: one JSON object a line on standard output, also what Celery and libraries have to say."""

from __future__ import annotations

import logging
import sys

from core.instants import iso_instant
from core.log_lines import log_line, traceback_of
from core.stores.holders import wall_clock_ms


def log_event(event: str, level: str = "info", **fields: object) -> None:
    """Write one line: when, how grave, what happened, and `fields`, which hold neither secrets nor whole addresses.

    :raises OSError: standard output cannot be written.
    """
    line = log_line({"time": iso_instant(wall_clock_ms()), "level": level, "event": event, **fields})
    sys.stdout.write(line.decode())
    sys.stdout.flush()


class JsonHandler(logging.Handler):
    """Writes records of the standard library's logging with `log_event`, as events ``log``."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; where that fails it is lost, and the work goes on."""
        try:
            fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info:
                fields["traceback"] = traceback_of(record.exc_info[1])
            log_event("log", record.levelname.lower(), process_id=record.process, **fields)
        except Exception:
            self.handleError(record)


def take_over_logging(loglevel: int | str) -> None:
    """Let all that is logged from `loglevel` on be written as lines of JSON."""
    root = logging.getLogger()
    root.handlers = [JsonHandler()]
    root.setLevel(loglevel)
