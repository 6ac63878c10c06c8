"""Measures the memory of a worker that serves every series in every encoding."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.api.loads import sweep
from bench.api.questions import every_series, series_path, write_lines
from bench.api.servers import OURS, serving
from bench.api.store import SEED, ServedStore, merchant_ids
from bench.running import BenchFailed, say
from core.settings import Settings

ENCODINGS: Final = ("identity", "gzip", "br")
WARM: Final = 100
_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Stage:
    """Memory of the worker after a stage, in millions of bytes.

    :param pss_mb: a page that n processes share counts as 1/n of it.
    :param peak_pss_mb: the maximum since the previous stage.
    :param bodies_mb: size of the bodies that were sent in the stage.
    """

    after: str
    requests: int
    seconds: float
    pss_mb: float
    rss_mb: float
    peak_pss_mb: float
    bodies_mb: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The stages, in order: the start, a warm-up, and every series in each of `ENCODINGS`.

    :param cache_mb: ``API_CACHE_MB``, in units of 1024 x 1024 bytes.
    """

    series: int
    cache_mb: int
    stages: list[Stage] = field(default_factory=list)

    @property
    def most_beyond_start(self) -> float:
        """The maximum PSS beyond that at the start, in multiples of the cache size."""
        most_mb = max(stage.peak_pss_mb for stage in self.stages)
        return (most_mb - self.stages[0].pss_mb) / (self.cache_mb * 1.048576)


def measure_memory(store: ServedStore, client: Path, scratch: Path) -> Memory:
    """Request every series from one worker, in random order, and record its memory.

    :raises BenchFailed: a response was not 200, or the worker was replaced meanwhile.
    """
    merchants = merchant_ids(store.merchants)
    paths = every_series(merchants)
    random.Random(SEED).shuffle(paths)
    every = write_lines(scratch / "every", paths)
    warm = write_lines(scratch / "warm", [series_path(merchant) for merchant in merchants[:WARM]])
    sweeps = [(f"{WARM} series", warm, "identity")]
    sweeps += [(f"every series, {encoding}", every, encoding) for encoding in ENCODINGS]
    found = Memory(len(paths), Settings.model_fields["api_cache_mb"].default)
    with serving(OURS, 1, store.path, scratch) as server:
        (worker,) = server.workers()
        found.stages.append(_stage("the start", worker))
        for after, asked, encoding in sweeps:
            with _watched(worker) as pss_mb:
                swept = sweep(client, server.url, asked, encoding)
            if swept.wrong:
                raise BenchFailed(f"not every series was answered: {swept.statuses}, {swept.examples}")
            if server.workers() != [worker]:
                raise BenchFailed("the worker died while it was watched")
            found.stages.append(_stage(after, worker, swept.requests, swept.seconds, max(pss_mb), swept.bytes / 1e6))
            say(f"after {after}: {found.stages[-1].pss_mb:.0f} MB")
    return found


def _stage(
    after: str,
    worker: psutil.Process,
    requests: int = 0,
    seconds: float = 0.0,
    peak_mb: float = 0.0,
    bodies_mb: float = 0.0,
) -> Stage:
    memory = worker.memory_full_info()
    pss_mb = memory.pss / 1e6
    return Stage(after, requests, seconds, pss_mb, memory.rss / 1e6, max(peak_mb, pss_mb), bodies_mb)


@contextmanager
def _watched(process: psutil.Process) -> Iterator[list[float]]:
    """The PSS of a process in megabytes, sampled until the end of the block."""
    samples, ended = [0.0], threading.Event()

    def note() -> None:
        while not ended.wait(_EVERY_S):
            samples.append(process.memory_full_info().pss / 1e6)

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
