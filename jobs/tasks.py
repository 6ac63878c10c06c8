"""The task by which beat has summaries refreshed."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, Final

from celery import signals

from core.celery import app
from core.event_log import log_fields
from core.notifications.broker import REFRESH
from core.settings import read_settings
from jobs.runs.supervision import end_refreshes, refresh_once

_TO_END_S: Final = 120.0
"""What Celery allows beyond the time limit of the refresh, which has been ended by then."""


def _task(name: str, time_limit_s: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a task that is gone from the queue as soon as it begins.

    It takes longer than others may, and would else be given to a second worker. When its worker dies, beat's next one
    catches up.
    """
    made: Callable[[Callable[..., None]], Callable[..., None]] = app.task(
        name=name,
        acks_late=False,
        reject_on_worker_lost=False,
        soft_time_limit=time_limit_s,
        time_limit=time_limit_s,
    )
    return made


@_task(REFRESH, read_settings().refresh_time_limit_s + _TO_END_S)
def refresh_task() -> None:
    """Refresh the summaries of ``SOURCE_URL``; whatever comes of it is in the log and in the ledger."""
    settings = read_settings()
    ended = refresh_once(shlex.split(settings.refresh_options), settings.refresh_time_limit_s)
    log_fields(ended.as_event())


def _end_refreshes(**_: Any) -> None:
    end_refreshes()


# A worker that is stopped waits for its tasks, and a refresh may take longer than anybody gives it.
signals.worker_shutting_down.connect(_end_refreshes)
