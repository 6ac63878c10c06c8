"""Compiles all kernels in advance, for example for a read-only image.

A kernel is compiled at the first call with given argument types. So a small sample is read in every format, with more
merchants and days than the initial capacity of tables.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from core.calendar.days import LocalDays
from jobs.decode.classify import Window
from jobs.decode.formats import Formats
from jobs.decode.plan import Fields
from jobs.partitions.count_partition import CountPlan, count_partition
from jobs.runs.rejects import RejectLimits
from jobs.sample import SampleRequest, write_sample
from jobs.sources.partition import ReadOptions
from jobs.sources.recognise import open_source

_SAMPLE: Final = SampleRequest(transactions=10_000, merchants=2_000)
_COLUMNS: Final = "sample-False.parquet"
_WITH_DECIMALS: Final = Fields(amount="doubles", formats=Formats(amount_scale=2))
_ALL: Final = Window(-(2**50), 2**50, -(2**50), 2**50)


def warm() -> list[str]:
    """Compile all kernels; returns the formats that were read for it."""
    with TemporaryDirectory() as folder:
        file_formats = [_read(path, Fields()) for path in _exports(Path(folder))]
        _read(Path(folder) / _COLUMNS, _WITH_DECIMALS)
        return list(dict.fromkeys(file_formats))


def _exports(folder: Path) -> Iterator[Path]:
    """The same transactions in each format; lazy, so that each is written after the previous one has been read."""
    for name in ("sample.archive", "sample.bson", "sample.jsonl"):
        write_sample(folder / name, _SAMPLE)
        yield folder / name
    lines = (folder / "sample.jsonl").read_text().splitlines()
    array = folder / "sample.json"
    array.write_text(f"[{','.join(lines)}]")
    yield array
    rows = [
        (document["merchantId"]["$oid"], document["amount"], document["createdAt"]["$date"])
        for document in map(json.loads, lines)
    ]
    names = (Fields().merchant, Fields().amount, Fields().time)
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):  # rows without quotation marks use another kernel
        table = folder / f"sample-{quoting}.csv"
        with table.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n", quoting=quoting).writerows([names, *rows])
        yield table
    for has_null in (False, True):  # so do columns without rejects
        columns = folder / f"sample-{has_null}.parquet"
        _write_parquet(columns, names, rows, has_null)
        yield columns


def _write_parquet(path: Path, names: tuple[str, ...], rows: list[tuple[str, int, str]], has_null: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from bson import Decimal128

    merchants, amounts, times = zip(*rows, strict=True)
    raw: list[bytes | None] = [Decimal128(str(amount)).bid for amount in amounts]
    decimals = pa.array([None, *raw[1:]] if has_null else raw, pa.binary(16))
    instants = pa.array([datetime.fromisoformat(time) for time in times], pa.timestamp("ms", "UTC"))
    doubles = pa.array([amount / 4 for amount in amounts])
    pq.write_table(pa.table([merchants, decimals, instants, doubles], [*names, _WITH_DECIMALS.amount]), path)


def _read(path: Path, fields: Fields) -> str:
    source = open_source(str(path), fields, None)
    plan = CountPlan(ReadOptions(fields, _ALL), LocalDays("Asia/Tehran"), RejectLimits(0))
    for partition in source.partitions:
        failure = count_partition(partition, plan).failure
        if failure is not None:
            raise failure
    return source.file_format
