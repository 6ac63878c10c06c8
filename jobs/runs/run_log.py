"""The log of a run, for whoever schedules jobs: lines of JSON on standard error, with ``COMMAND_LOG=json``.

::

    {"time":"…","level":"info","event":"run-began","run_id":7,"command":"refresh mongodb://db/shop",…}
    {"time":"…","level":"info","event":"run-phase","run_id":7,"phase":"checking"}
    {"time":"…","level":"info","event":"run-ended","run_id":7,"status":"published","seconds":12.4,"read":1000,…}
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from core.event_log import is_log_json, log_event
from core.stores.runs import Run


def log_run(event: str, level: str = "info", **fields: object) -> None:
    """Write a line about the run under way; nothing where people read, who are told otherwise."""
    if is_log_json():
        with suppress(OSError, ValueError):  # whoever reads the log may have gone: no run fails for that
            log_event(event, level, **fields)


def log_ended(run: Run) -> None:
    """Write how `run` has ended: ``error`` where it failed, ``warning`` where it rejected documents or warns."""
    level = "error" if not run.succeeded else "warning" if run.degraded or run.warnings else "info"
    took_ms = (run.ended_at_ms or run.heartbeat_at_ms) - run.started_at_ms
    log_run(
        "run-ended",
        level,
        status=str(run.status),
        seconds=max(0, took_ms) / 1000,
        **asdict(run.counts),
        rejects_by_reason=run.rejects_by_reason,
        days_changed=run.days_changed,
        generation=run.generation,
        quarantine=run.quarantine,
        rejects_kept=run.rejects_kept,
        rejects_not_kept=run.rejects_not_kept,
        warnings=run.warnings,
        error=run.error,
    )
