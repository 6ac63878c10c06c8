"""pymongoarrow decodes batches of BSON, Polars adds them up.

pymongoarrow reads collections of a server; given a file, its context is used as its own `find_arrow_all` does. Decoding
holds the GIL, so a second thread would not help it; but Polars releases it, and groups one batch while the next is
decoded. Of batches from 1 MiB to the whole file, 16 MiB was the fastest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import Struct
from typing import Final

import polars as pl
import pyarrow as pa
from pymongoarrow.api import Schema
from pymongoarrow.context import PyMongoArrowContext
from pymongoarrow.types import ObjectIdType

from bench.programs import DAY_MS, TEHRAN_MS, Row, Totals

_BATCH_BYTES: Final = 16 * 1024 * 1024
SCHEMA: Final = Schema({"merchantId": ObjectIdType(), "createdAt": pa.timestamp("ms"), "amount": pa.int64()})
_DAY: Final = (pl.col("createdAt").cast(pl.Int64) + TEHRAN_MS) // DAY_MS


def totals(path: Path) -> Totals:
    """A frame of sums and counts by merchant and day."""
    with ThreadPoolExecutor(1) as grouping:
        partials = list(grouping.map(grouped, (_decoded(batch) for batch in _batches(path))))
    merged = pl.concat(partials).group_by("merchantId", "day").agg(pl.col("amount", "count").sum())
    return lambda: rows_of(merged)


def _batches(path: Path) -> Iterator[bytes]:
    """The file in pieces that end where a document does."""
    length_at = Struct("<i").unpack_from
    rest = b""
    with path.open("rb", buffering=0) as file:
        while read := file.read(_BATCH_BYTES):
            piece = rest + read
            start = following = 0
            while following <= len(piece) - 4:
                start = following
                following += length_at(piece, start)[0]
            end = following if following <= len(piece) else start
            rest = piece[end:]
            yield piece[:end]


def _decoded(batch: bytes) -> pa.Table:
    context = PyMongoArrowContext(SCHEMA)
    context.process_bson_stream(batch)
    return context.finish()


def grouped(table: pa.Table) -> pl.DataFrame:
    """The sums and counts of a decoded batch, by merchant and day."""
    merchants = table["merchantId"].combine_chunks().storage
    plain = pa.table({"merchantId": merchants, "createdAt": table["createdAt"], "amount": table["amount"]})
    frame = pl.from_arrow(plain)
    assert isinstance(frame, pl.DataFrame)
    return frame.group_by("merchantId", _DAY.alias("day")).agg(pl.col("amount").sum(), pl.len().alias("count"))


def rows_of(merged: pl.DataFrame) -> Iterable[Row]:
    """The sums, as every program lists its totals."""
    return ((merchant.hex(), day, amount, count) for merchant, day, amount, count in merged.iter_rows())
