"""The Celery task that beat schedules to refresh summaries."""

from __future__ import annotations

import shlex
from typing import Any, Final

from celery import signals

from core.celery import app
from core.event_log import log_fields
from core.notifications.broker import REFRESH
from core.settings import read_settings
from jobs.runs.supervision import end_refreshes, refresh_once

_TO_END_S: Final = 120.0
"""Celery's time limit is this much longer than that of the refresh, which has ended by then."""


_TIME_LIMIT_S: Final = read_settings().refresh_time_limit_s + _TO_END_S


# Acknowledged before it runs: it may take longer than the visibility timeout, and would then be redelivered to a second
# worker. If its worker dies, the next scheduled task catches up.
@app.task(  # type: ignore[untyped-decorator]
    name=REFRESH,
    acks_late=False,
    reject_on_worker_lost=False,
    soft_time_limit=_TIME_LIMIT_S,
    time_limit=_TIME_LIMIT_S,
)
def refresh_task() -> None:
    """Refresh the summaries from ``SOURCE_URL``; the result is in the log and in the ledger."""
    settings = read_settings()
    ended = refresh_once(shlex.split(settings.refresh_options), settings.refresh_time_limit_s)
    log_fields(ended.as_event())


def _end_refreshes(**_: Any) -> None:
    end_refreshes()


# A worker waits for its tasks at shutdown, and a refresh may take longer than the grace period.
signals.worker_shutting_down.connect(_end_refreshes)
