"""How many messages a second go from Redis through one worker: ours, and those of a task that does nothing."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.notifier.broker import Broker
from bench.notifier.contests import Rate, nothing, ours
from bench.running import say

_SHARED_MEMORY: Final = Path("/dev/shm")
_WARM_UP: Final = 50
_SYNCING_S: Final = 0.5
_SYNCED: Final = bytes(4096)


@dataclass(frozen=True, slots=True)
class Throughput:
    """All that this part has to tell.

    :param messages: of one contest in one round.
    :param rates: by name.
    :param syncs_per_s: how often the disk of the store can make a write durable, a value a round.
    """

    messages: int
    rates: dict[str, Rate]
    syncs_per_s: list[float]


def measure_throughput(broker: Broker, scratch: Path, rounds: int, messages: int) -> Throughput:
    """Let each contest take turns.

    :param scratch: a folder on the disk to measure on.
    :raises BenchFailed: a worker failed, or a message was not sent exactly once.
    """
    syncs: list[float] = []
    with ExitStack() as running:
        contests = [running.enter_context(nothing(broker, 0, scratch))]
        disk = ours("ours", "ours, the store on disk", broker, 2, scratch / "throughput.db", scratch)
        contests.append(running.enter_context(disk))
        if _SHARED_MEMORY.is_dir():
            folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=_SHARED_MEMORY)))
            label = "ours, the store in memory (`/dev/shm`)"
            memory = ours("ours-memory", label, broker, 4, folder / "throughput.db", scratch)
            contests.append(running.enter_context(memory))
        for contest in contests:
            contest.run(_WARM_UP)
        for number in range(1, rounds + 1):
            syncs.append(_syncs_per_s(scratch))
            for contest in contests:
                contest.measure(messages)
                say(f"round {number} of {rounds}: {contest.rate.name}: {contest.rate.per_s[-1]:.0f} a second")
    return Throughput(messages, {contest.rate.name: contest.rate for contest in contests}, syncs)


def _syncs_per_s(folder: Path) -> float:
    """How often a second a file in `folder` takes another 4 KiB and ``fdatasync``."""
    path = folder / "syncs"
    done = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < _SYNCING_S:
            os.write(descriptor, _SYNCED)
            os.fdatasync(descriptor)
            done += 1
    finally:
        os.close(descriptor)
        path.unlink()
    return done / took
