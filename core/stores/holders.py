"""Who holds a run, and whether it still does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import psutil

from core.errors import RunHeld
from core.stores.runs import HEARTBEAT_LIMIT_S, Holder, Run, RunStatus

Clock = Callable[[], int]
"""Gives the present instant, milliseconds since 1970 UTC."""

_START_TOLERANCE_MS: Final = 2_000  # the kernel counts from boot, and the time of boot moves when the clock is set


def wall_clock_ms() -> int:
    """The host's clock: milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def current_holder() -> Holder:
    """The holder that stands for this process."""
    return Holder(
        host=socket.gethostname(),
        process_id=os.getpid(),
        process_started_ms=int(psutil.Process().create_time() * 1000),
    )


def require_free(run: Run, now_ms: int) -> None:
    """Raise unless the run after `run` may begin.

    It may when `run` has ended, its process on this host is dead, or its heartbeat is older than `HEARTBEAT_LIMIT_S`.

    :raises RunHeld: says which run is under way, where, and since when.
    """
    if run.status is not RunStatus.RUNNING:
        return
    heartbeat_age_s = (now_ms - run.heartbeat_at_ms) / 1000
    # One of the future is of a clock that was wrong, and says as little.
    if abs(heartbeat_age_s) <= HEARTBEAT_LIMIT_S and not _known_dead(run.holder):
        raise RunHeld(
            f"run {run.id} ({run.command}) is under way in process {run.holder.process_id} on {run.holder.host} "
            f"since {_text(run.started_at_ms)}; its last heartbeat was {heartbeat_age_s:.0f} s ago",
            f"Wait until it ends. It is taken over when its process on this host has died, or when its heartbeat is "
            f"older than {HEARTBEAT_LIMIT_S:.0f} s.",
        )


def _known_dead(holder: Holder) -> bool:
    """Whether this host can tell that the process is gone: of other hosts it cannot."""
    if holder.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(holder.process_id)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        started_ms = process.create_time() * 1000
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
    return bool(abs(started_ms - holder.process_started_ms) > _START_TOLERANCE_MS)


def _text(instant_ms: int) -> str:
    instant = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=instant_ms)
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
