"""What is measured: programs that add up the same collection by merchant and local day, each in its own way.

One runs in a process of its own: ``python -m bench.live.programs NAME URL WARM_UP_URL``, which prints what
`bench.worker` does; its processor time is without that of the server.

Each takes the URL of a database, reads its collection ``transaction``, and returns a function that lists its totals as
`bench.programs` says. All ask for the same fields only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pymongo import MongoClient
from pymongo.collection import Collection

from bench.programs import Totals
from bench.worker import print_measured

BATCH: Final = 10_000
"""Documents in one answer of the server, the same for all that can be told."""
_PROJECTION: Final = {"merchantId": 1, "createdAt": 1, "amount": 1}


@dataclass(frozen=True, slots=True)
class LiveProgram:
    """One program: what results and the report call it, what it does, and whether it adds up or only reads."""

    name: str
    label: str
    run: Callable[[str], Totals]
    has_totals: bool = True


def _ours(cursors: int, url: str) -> Totals:
    from bench.programs.ours import count, rows_of
    from jobs.decode.plan import Fields
    from jobs.sources.live.collection import open_live
    from jobs.sources.live.options import LiveOptions

    options = LiveOptions(cursors=cursors, batch_documents=BATCH, split_from=1)
    counted = count([partial(open_live, url, Fields(), None, options)])
    return lambda: rows_of(counted)


def _loop(url: str) -> Totals:
    from bench.programs.pymongo_loop import totals_of

    with MongoClient[Any](url) as client:
        return totals_of(_collection(client).find({}, _PROJECTION, batch_size=BATCH))


def _pymongoarrow(url: str) -> Totals:
    from pymongoarrow.api import find_arrow_all

    from bench.programs.pymongoarrow_polars import SCHEMA, grouped, rows_of

    with MongoClient[Any](url) as client:
        daily = grouped(find_arrow_all(_collection(client), {}, schema=SCHEMA, batch_size=BATCH))
    return lambda: rows_of(daily)


def _drain(sort: list[tuple[str, int]] | None, url: str) -> Totals:
    with MongoClient[Any](url) as client:
        for _ in _collection(client).find_raw_batches({}, _PROJECTION, sort=sort, batch_size=BATCH):
            pass
    return tuple


def _drain_ours(cursors: int, url: str) -> Totals:
    """Ask where to cut and read all cursors side by side, as `_ours` does, without looking at what comes."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    from jobs.decode.classify import Window
    from jobs.decode.plan import Fields
    from jobs.sources.chunks import Buffer
    from jobs.sources.live.collection import open_live
    from jobs.sources.live.options import LiveOptions
    from jobs.sources.partition import Partition, ReadOptions

    reading = ReadOptions(Fields(), Window(-(2**62), 2**62, -(2**62), 2**62))

    def drain(partition: Partition) -> None:
        opened = partition.open(reading, threading.Event())
        buffer = Buffer(0)
        while opened.chunks.next(buffer) is not None:
            pass
        opened.close()

    options = LiveOptions(cursors=cursors, batch_documents=BATCH, split_from=1)
    source = open_live(url, Fields(), None, options)
    try:
        with ThreadPoolExecutor(cursors) as threads:
            list(threads.map(drain, source.partitions))
    finally:
        source.close()
    return tuple


def _collection(client: MongoClient[Any]) -> Collection[Any]:
    return client.get_default_database()["transaction"]


PROGRAMS: Final = (
    LiveProgram("ours", "ours, 1 cursor", partial(_ours, 1)),
    LiveProgram("ours-4", "ours, 4 cursors", partial(_ours, 4)),
    LiveProgram("pymongoarrow", "pymongoarrow + Polars", _pymongoarrow),
    LiveProgram("pymongo", "loop over `find`", _loop),
    LiveProgram("drain", "only draining the server, in its own order", partial(_drain, None), has_totals=False),
    LiveProgram("drain-4", "only draining the 4 cursors of ours", partial(_drain_ours, 4), has_totals=False),
    LiveProgram("drain-sorted", "only draining the server, by `_id`", partial(_drain, [("_id", 1)]), has_totals=False),
)
"""In the order of the report."""


if __name__ == "__main__":
    name, url, warm_up_url = sys.argv[1:]
    print_measured({program.name: program for program in PROGRAMS}[name].run, warm_up_url, url)
