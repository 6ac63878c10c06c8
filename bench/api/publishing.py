"""Measures the latency of readers while rebuilds publish, and checks that no response mixes two publications."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from bench.api.loads import Paced, paced, sweep, wrk
from bench.api.questions import body_digests, series_path, write_lines
from bench.api.servers import OURS, Server, serving
from bench.api.store import LOCAL_DAYS, SEED, day_range, merchant_ids
from bench.commands import environment
from bench.running import BenchFailed, run, say

REBUILT_MERCHANTS: Final = 200
PER_DAY: Final = 3
STATES: Final = 3
"""The number of sources: more than two, so that a reader that is one publication late is detected."""

_REBUILD_TIMEOUT_S: Final = 600
_POLL_S: Final = 0.02
WORKERS: Final = (1, 2)
LEAST_PUBLICATIONS: Final = 3
"""In a round with rebuilds, which lasts as long as that takes."""

_CAPACITY_TIMES: Final = 100
_SEEN_TIMEOUT_S: Final = 30
_SEEN_AFTER_S: Final = 2.0  # twice the time for which a worker may use the previous publication


@dataclass(slots=True)
class Publishing:
    """The results with one number of workers.

    :param capacity_per_s: requests per second without waits, and without a rebuild.
    :param rate_per_s: of the rounds, half as much.
    :param quiet: the rounds without rebuilds.
    :param busy: those with rebuilds, each after the quiet one of the same place.
    :param publications: number of publications during the requests.
    """

    workers: int
    capacity_per_s: float
    rate_per_s: float
    quiet: list[Paced] = field(default_factory=list)
    busy: list[Paced] = field(default_factory=list)
    publications: int = 0

    @property
    def requests(self) -> int:
        """In all rounds."""
        return sum(answers.requests for answers in (*self.quiet, *self.busy))

    @property
    def wrong(self) -> int:
        """Requests that failed, or whose body is of no publication."""
        return sum(answers.wrong for answers in (*self.quiet, *self.busy))


def measure_publishing(client: Path, scratch: Path, rounds: int, seconds: float) -> list[Publishing]:
    """Send requests at half the capacity, alternately without and with rebuilds, to one worker and then to more.

    :param seconds: of a round without rebuilds; one with them lasts at least twice as long.
    :raises BenchFailed: a rebuild fails, or a publication is not served.
    """
    rebuilds = Rebuilds(scratch)
    paths = [series_path(merchant) for merchant in merchant_ids(REBUILT_MERCHANTS)]
    asked = write_lines(scratch / "asked", paths)
    often = write_lines(scratch / "asked-often", paths * _CAPACITY_TIMES)
    rebuilds.once()
    with serving(OURS, 1, rebuilds.database, scratch) as server:
        known = write_lines(scratch / "known", _known(server, paths, rebuilds))
    found = []
    for workers in WORKERS:
        with serving(OURS, workers, rebuilds.database, scratch) as server:
            wrk(server.url, asked, 1)
            # With the same load generator, as it and the server share the processors.
            fastest = sweep(client, server.url, often, "identity")
            capacity_per_s = fastest.requests / fastest.seconds
            seen = Publishing(workers, capacity_per_s, capacity_per_s / 2)
            for number in range(1, rounds + 1):
                _round(seen, rebuilds, client, server, asked, known, seconds)
                _say(f"round {number} of {rounds}, workers: {workers}", seen)
        found.append(seen)
    return found


def _round(
    seen: Publishing, rebuilds: Rebuilds, client: Path, server: Server, asked: Path, known: Path, seconds: float
) -> None:
    seen.quiet.append(paced(client, server.url, asked, seen.rate_per_s, seconds, known))
    until = partial(rebuilds.wait_for, LEAST_PUBLICATIONS)
    with rebuilds:
        seen.busy.append(paced(client, server.url, asked, seen.rate_per_s, 2 * seconds, known, until))
    seen.publications += rebuilds.published


def _say(when: str, seen: Publishing) -> None:
    quiet, busy = seen.quiet[-1], seen.busy[-1]
    say(f"{when}: p99 {quiet.p99_ms:.1f} ms, while published to {busy.p99_ms:.1f} ms")
    for example in (*(quiet.examples or ()), *(busy.examples or ())):
        say(f"  wrong: {example}")


def _known(server: Server, paths: Sequence[str], rebuilds: Rebuilds) -> list[str]:
    """Each path with a tab and the digest of its body, in each of the states; afterwards the last is published.

    :raises BenchFailed: a state is not served, or shares a body with another.
    """
    known = set(body_digests(server, paths))
    for state in range(1, STATES):
        rebuilds.once()
        deadline = time.monotonic() + _SEEN_TIMEOUT_S
        while True:
            time.sleep(_SEEN_AFTER_S)
            known.update(body_digests(server, paths))
            if len(known) == (state + 1) * len(paths):
                break
            if time.monotonic() > deadline:
                raise BenchFailed("what was published is not served")
    return sorted(known)


class Rebuilds:
    """Publishes each of `STATES` sources in turn, which differ in every value; as a context manager, all the time.

    :param scratch: the folder for the sources and the store.
    """

    def __init__(self, scratch: Path) -> None:
        self.database = scratch / "rebuilt.db"
        self.published = 0
        """How many times, since the block began."""
        sources = [scratch / f"state-{number}.parquet" for number in range(STATES)]
        _write_sources(sources)
        self._sources = itertools.cycle(sources)
        # One thread in all: Polars has its own pool next to the decoding threads.
        self._environment = environment(scratch) | {"POLARS_MAX_THREADS": "1"}
        self._ended = threading.Event()
        self._failure: BenchFailed | None = None

    def once(self) -> None:
        """Publish the next source."""
        store = f"sqlite:///{self.database}"
        options = ["--truncate", "--threads", "1", "--store", store]
        command = [sys.executable, "-m", "jobs", "rebuild", str(next(self._sources)), *options]
        run(command, _REBUILD_TIMEOUT_S, self._environment)

    def wait_for(self, count: int) -> None:
        """Return when something was published `count` times since the block began, or never will be."""
        while self.published < count and self._thread.is_alive():
            time.sleep(_POLL_S)

    def __enter__(self) -> Rebuilds:
        self.published = 0
        self._ended.clear()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _go_on(self) -> None:
        try:
            while not self._ended.is_set():
                self.once()
                if not self._ended.is_set():
                    self.published += 1
        except BenchFailed as error:
            self._failure = error


def _write_sources(paths: list[Path]) -> None:
    """Write the same transactions with amounts of which each is one more in every further file."""
    days = np.array(day_range())
    starts = LOCAL_DAYS.starts_ms(days)
    instants = np.add.outer(starts, np.arange(PER_DAY) * 3_600_000).ravel()
    merchants = pl.DataFrame({"merchantId": merchant_ids(REBUILT_MERCHANTS)})
    times = pl.DataFrame({"createdAt": pl.Series(instants).cast(pl.Datetime("ms", "UTC"))})
    transactions = times.join(merchants, how="cross")
    amounts = np.random.default_rng(SEED).integers(10_000, 5_000_000, len(transactions))
    for extra, path in enumerate(paths):
        transactions.with_columns(amount=pl.Series(amounts + extra)).write_parquet(path)
