"""What is measured: programs that add up the same collection by merchant and local day, each in its own way.

Each takes the URL of a database, reads its collection ``transaction``, and returns a function that lists its totals as
`bench.programs` says. All ask for the same fields only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pymongo import MongoClient
from pymongo.collection import Collection

from bench.programs import DAY_MS, TEHRAN_MS, THREADS, Row, Totals

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
    from functools import partial
    from pathlib import Path

    from bench.programs.ours import rows_of
    from core.calendar import calendar_named
    from core.calendar.days import LocalDays
    from jobs.decode.classify import Window
    from jobs.decode.plan import Fields
    from jobs.partitions.counting import Counting
    from jobs.sources.live.collection import open_live
    from jobs.sources.live.options import LiveOptions

    local_days = LocalDays("Asia/Tehran")
    named = local_days.named_range_ms(calendar_named("jalali"))
    options = LiveOptions(cursors=cursors, batch_documents=BATCH, split_from=1)
    counting = Counting(Fields(), Window(*named, *named), local_days, 0, THREADS, _silent, _silent)
    counted = counting.count([partial(open_live, url, Fields(), None, options)], Path("rejects.jsonl"))
    return lambda: rows_of(counted)


def _silent(*_: object, **__: object) -> None:
    """Show and record nothing."""


def _loop(url: str) -> Totals:
    from datetime import UTC, datetime, timedelta

    epoch, offset = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None), timedelta(milliseconds=TEHRAN_MS)
    groups: dict[tuple[Any, int], list[int]] = {}
    with MongoClient[Any](url) as client:
        for document in _collection(client).find({}, _PROJECTION, batch_size=BATCH):
            day = (document["createdAt"] + offset - epoch).days
            group = groups.setdefault((document["merchantId"], day), [0, 0])
            group[0] += document["amount"]
            group[1] += 1
    return lambda: ((str(merchant), day, amount, count) for (merchant, day), (amount, count) in groups.items())


def _pymongoarrow(url: str) -> Totals:
    import polars as pl
    import pyarrow as pa
    from pymongoarrow.api import Schema, find_arrow_all
    from pymongoarrow.types import ObjectIdType

    schema = Schema({"merchantId": ObjectIdType(), "createdAt": pa.timestamp("ms"), "amount": pa.int64()})
    with MongoClient[Any](url) as client:
        table = find_arrow_all(_collection(client), {}, schema=schema, batch_size=BATCH)
    merchants = table["merchantId"].combine_chunks().storage
    frame = pl.from_arrow(
        pa.table({"merchantId": merchants, "createdAt": table["createdAt"], "amount": table["amount"]})
    )
    assert isinstance(frame, pl.DataFrame)
    day = (pl.col("createdAt").cast(pl.Int64) + TEHRAN_MS) // DAY_MS
    daily = frame.group_by("merchantId", day.alias("day")).agg(pl.col("amount").sum(), pl.len().alias("count"))
    return lambda: ((merchant.hex(), day, amount, count) for merchant, day, amount, count in daily.iter_rows())


def _drain(sort: list[tuple[str, int]] | None, url: str) -> Totals:
    with MongoClient[Any](url) as client:
        for _ in _collection(client).find_raw_batches({}, _PROJECTION, sort=sort, batch_size=BATCH):
            pass
    return _no_rows


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
        opened.chunks.close()
        opened.close()

    options = LiveOptions(cursors=cursors, batch_documents=BATCH, split_from=1)
    source = open_live(url, Fields(), None, options)
    try:
        with ThreadPoolExecutor(cursors) as threads:
            list(threads.map(drain, source.partitions))
    finally:
        source.close()
    return _no_rows


def _no_rows() -> Iterable[Row]:
    return ()


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
