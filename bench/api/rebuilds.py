"""Rebuilds of one store from sources in turn, in processes of their own, while something else is measured."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from bench.api.store import LOCAL_DAYS, SEED, day_range, merchant_ids
from bench.commands import environment
from bench.running import BenchFailed, run

MERCHANTS: Final = 200
PER_DAY: Final = 3
STATES: Final = 3
"""How many sources: with more than two, a reader that is one publication late mixes nothing that looks alike."""

_REBUILD_TIMEOUT_S: Final = 600
_POLL_S: Final = 0.02


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
        # One thread in all: Polars has a pool of its own beside the decoding threads.
        self._environment = environment(scratch) | {"POLARS_MAX_THREADS": "1"}
        self._ended = threading.Event()
        self._failure: BenchFailed | None = None

    def once(self) -> None:
        """Publish the source whose turn it is."""
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
    merchants = pl.DataFrame({"merchantId": merchant_ids(MERCHANTS)})
    times = pl.DataFrame({"createdAt": pl.Series(instants).cast(pl.Datetime("ms", "UTC"))})
    transactions = times.join(merchants, how="cross")
    amounts = np.random.default_rng(SEED).integers(10_000, 5_000_000, len(transactions))
    for extra, path in enumerate(paths):
        transactions.with_columns(amount=pl.Series(amounts + extra)).write_parquet(path)
