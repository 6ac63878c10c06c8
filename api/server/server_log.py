"""The log of gunicorn and of libraries, as JSON lines like those of the request log."""

from __future__ import annotations

import logging
from typing import Any, TextIO

from gunicorn.glogging import Logger

from core.instants import iso_instant
from core.log_lines import log_line, traceback_of


class JsonLines(logging.Formatter):
    """One line for each record, like those of the request log.

    ::

        {"time":"2026-11-23T22:50:41.007Z","level":"info","event":"server","message":"Listening at: …","pid":812}
    """

    def format(self, record: logging.LogRecord) -> str:
        """`record` as a line, without its newline."""
        fields: dict[str, object] = {
            "time": iso_instant(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "event": "server",
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = type(record.exc_info[1]).__name__
            # Redacted before it is truncated, or the end of a key would remain.
            fields["traceback"] = traceback_of(record.exc_info[1])
        return log_line(fields).decode().rstrip("\n")


class ServerLog(Logger):  # type: ignore[misc]
    """gunicorn's log on standard error, also with the warnings of all libraries."""

    def setup(self, cfg: Any) -> None:
        """Apply the configuration."""
        super().setup(cfg)
        self._set_handler(logging.getLogger(), cfg.errorlog, None)
        logging.captureWarnings(True)

    def _set_handler(
        self, log: logging.Logger, output: str, fmt: logging.Formatter | None, stream: TextIO | None = None
    ) -> None:
        super()._set_handler(log, output, JsonLines(), stream)
