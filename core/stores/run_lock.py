"""Mutual exclusion of runs: the process that holds the current run, and whether it is alive."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psutil

from core.errors import RunHeld
from core.instants import Clock
from core.stores.runs import HEARTBEAT_LIMIT_S, Holder, Run, RunStatus

AHEAD_WATCHED_S: Final = 45.0
"""Seconds to watch a heartbeat in the future for a change; a live run writes one every 15 s."""


def current_holder() -> Holder:
    """The `Holder` of this process."""
    return Holder(
        host=socket.gethostname(),
        process_id=os.getpid(),
        process_started_ms=int(psutil.Process().create_time() * 1000),
        identity=_identity(),
    )


def stalled_future_run(recent: Callable[[int], Sequence[Run]], clock: Clock) -> Run | None:
    """Wait for a change of a heartbeat that is far in the future; returns the latest run if there is none, else None.

    Either the clock of this host is slow, or that of the run was fast. The process of a live run writes a heartbeat
    meanwhile, regardless of its clock. Does not wait for other heartbeats.

    :param recent: see `core.stores.runs.RunLedger.recent`.
    """
    run = next(iter(recent(1)), None)
    if (
        run is None
        or run.status is not RunStatus.RUNNING
        or not _is_ahead(run, clock())
        or _is_certainly_dead(run.holder)
    ):
        return None
    end_s = time.monotonic() + AHEAD_WATCHED_S
    while time.monotonic() < end_s:
        time.sleep(AHEAD_WATCHED_S / 100)
        if recent(1) != [run]:
            return None
    return run


def require_free(run: Run, now_ms: int, stalled: Run | None) -> None:
    """Raise unless a run after `run` may begin.

    It may if `run` has ended, its process is known to be dead, or its heartbeat is older than `HEARTBEAT_LIMIT_S`.

    :param stalled: the result of `stalled_future_run`, which counts as dead.
    :raises RunHeld: names the run, its process and start.
    """
    if run.status is not RunStatus.RUNNING or run == stalled or _is_certainly_dead(run.holder):
        return
    heartbeat_age_s = (now_ms - run.heartbeat_at_ms) / 1000
    if heartbeat_age_s > HEARTBEAT_LIMIT_S:
        return
    heartbeat = f"its last heartbeat was {heartbeat_age_s:.0f} s ago"
    if _is_ahead(run, now_ms):
        heartbeat = (
            f"its last heartbeat is {-heartbeat_age_s:.0f} s ahead of this host's clock: the clocks of the hosts differ"
        )
    raise RunHeld(
        f"run {run.id} ({run.command}) is active in process {run.holder.process_id} on {run.holder.host} "
        f"since {_text(run.started_at_ms)}; {heartbeat}",
        f"Wait until it ends. It is taken over if its process on this host, or in this container, has "
        f"died, or if its heartbeat is older than {HEARTBEAT_LIMIT_S:.0f} s.",
    )


def _is_ahead(run: Run, now_ms: int) -> bool:
    """Whether the heartbeat of `run` is further in the future than synchronized clocks differ."""
    return run.heartbeat_at_ms - now_ms > HEARTBEAT_LIMIT_S * 1000


def _is_certainly_dead(holder: Holder) -> bool:
    """Whether the process of `holder` is certainly gone, which is known only within the same PID namespace."""
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
        pass  # it exists, but is another user's
    found = _state_and_start(holder.process_id)
    return found is not None and (found[0] in "ZX" or found[1] != started)


def _identity() -> str | None:
    """The unique identity of this process over all hosts; None if the system does not provide it."""
    place, found = _place(), _state_and_start(os.getpid())
    return None if place is None or found is None else f"{place} {found[1]}"


def _place() -> str | None:
    """The boot id of the kernel and the PID namespace, within which a process id is unique.

    A host name is not sufficient, as two containers may have the same one. None without Linux's ``/proc``, or if it is
    of another PID namespace.
    """
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):
            return None
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot_id} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _state_and_start(process_id: int) -> tuple[str, str] | None:
    """The state of a process, and its start in clock ticks since boot, which do not depend on the clock.

    None if it has just ended, or ``/proc`` hides the processes of other users.
    """
    try:
        status = Path(f"/proc/{process_id}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()  # the preceding name may contain any characters
    return fields[0], fields[19]


def _text(instant_ms: int) -> str:
    instant = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=instant_ms)
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
