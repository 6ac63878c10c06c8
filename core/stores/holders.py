"""Who holds a run, and whether it still does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from core.errors import RunHeld
from core.stores.runs import HEARTBEAT_LIMIT_S, Holder, Run, RunStatus

Clock = Callable[[], int]
"""Gives the present instant, milliseconds since 1970 UTC."""


def wall_clock_ms() -> int:
    """The host's clock: milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def current_holder() -> Holder:
    """The holder that stands for this process."""
    return Holder(
        host=socket.gethostname(),
        process_id=os.getpid(),
        process_started_ms=int(psutil.Process().create_time() * 1000),
        identity=_identity(),
    )


def require_free(run: Run, now_ms: int) -> None:
    """Raise unless the run after `run` may begin.

    It may when `run` has ended, its process is known to be dead, or its heartbeat is older than `HEARTBEAT_LIMIT_S`.

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
            f"Wait until it ends. It is taken over when its process has died on this host (of containers: in this "
            f"one), or when its heartbeat is older than {HEARTBEAT_LIMIT_S:.0f} s.",
        )


def _known_dead(holder: Holder) -> bool:
    """Whether this process can tell that the holder's is gone: only of those of its own PID namespace can it."""
    place = _place()
    if place is None or holder.identity is None:
        return False
    its_place, _, started = holder.identity.rpartition(" ")
    if its_place != place:
        return False
    try:
        os.kill(holder.process_id, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and another user's
    found = _state_and_start(holder.process_id)
    return found is not None and (found[0] in "ZX" or found[1] != started)


def _identity() -> str | None:
    """What tells this process from every other of every host; None where the system does not tell."""
    place, found = _place(), _state_and_start(os.getpid())
    return None if place is None or found is None else f"{place} {found[1]}"


def _place() -> str | None:
    """The boot of the kernel and the PID namespace in it: where the number of a process means this process.

    The name of a host does not tell that: two containers may bear one name, and then know nothing of one another.
    None where there is no Linux ``/proc``, or only that of another PID namespace.
    """
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):
            return None
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot_id} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _state_and_start(process_id: int) -> tuple[str, str] | None:
    """The state of a process, and its start in clock ticks since boot, which setting the clock does not change.

    None where it has just ended, or ``/proc`` hides the processes of other users.
    """
    try:
        status = Path(f"/proc/{process_id}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()  # the name before may hold anything
    return fields[0], fields[19]


def _text(instant_ms: int) -> str:
    instant = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=instant_ms)
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
