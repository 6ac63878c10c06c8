"""The notifier's log: one JSON object a line on standard output, also what Celery and libraries have to say."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Final

from core.log_lines import iso_time, log_line, redacted
from core.stores.holders import wall_clock_ms

_LONGEST_TRACEBACK: Final = 16_384


def log_event(event: str, level: str = "info", **fields: object) -> None:
    """Write one line: when, how grave, what happened, and `fields`, which hold neither secrets nor whole addresses.

    :raises OSError: standard output cannot be written.
    """
    line = log_line({"time": iso_time(wall_clock_ms()), "level": level, "event": event, **fields})
    sys.stdout.write(line.decode())
    sys.stdout.flush()


class JsonHandler(logging.Handler):
    """Writes records of the standard library's logging with `log_event`, as events ``log``."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; where that fails it is lost, and the work goes on."""
        try:
            fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info:
                told = "".join(traceback.format_exception(*record.exc_info))
                fields["traceback"] = redacted(told)[-_LONGEST_TRACEBACK:]  # in this order, or half a key is left
            log_event("log", record.levelname.lower(), process_id=record.process, **fields)
        except Exception:
            self.handleError(record)


def take_over_logging(loglevel: int | str) -> None:
    """Let all that is logged from `loglevel` on be written as lines of JSON."""
    root = logging.getLogger()
    root.handlers = [JsonHandler()]
    root.setLevel(loglevel)
