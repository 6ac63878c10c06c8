"""The heartbeat file: a worker and beat touch ``NOTIFY_PULSE_FILE`` while they work; a health check reads its age.

The usual check, ``celery inspect ping``, imports Celery each time, which is more work than an idle worker does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery
from celery.beat import Scheduler


def touch_heartbeat_file(app: Celery) -> None:
    """Touch the file that the settings of `app` name, if any. Errors are ignored: the file then grows old."""
    if file := app.conf.notify_pulse_file:
        with suppress(OSError):
            Path(file).touch()


class HeartbeatScheduler(Scheduler):  # type: ignore[misc]
    """Beat's scheduler without a schedule file; it touches the heartbeat file after each task that it queued."""

    def apply_async(self, *arguments: Any, **options: Any) -> Any:
        """Queue a task."""
        queued = super().apply_async(*arguments, **options)
        touch_heartbeat_file(self.app)
        return queued
