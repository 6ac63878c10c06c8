"""Sample transactions in forms that ``python -m jobs sample`` does not write: ``python -m bench.convert JSONL OUT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import polars as pl

_SCHEMA: Final = {
    "merchantId": pl.Struct({"$oid": pl.String()}),
    "amount": pl.Int64(),
    "createdAt": pl.Struct({"$date": pl.String()}),
}
_ROW_GROUP: Final = 250_000


def convert(lines: Path, out: Path) -> None:
    """Write the documents of the JSON lines as CSV, as ``mongoexport`` does, or as Parquet, as Polars does."""
    merchant = pl.col("merchantId").struct.field("$oid")
    instant = pl.col("createdAt").struct.field("$date")
    columns = pl.scan_ndjson(lines, schema=_SCHEMA)
    if out.suffix == ".csv":
        columns.select(
            pl.format("ObjectId({})", merchant).alias("merchantId"), "amount", instant.alias("createdAt")
        ).collect().write_csv(out)
    else:
        instant = instant.str.to_datetime(time_unit="ms", time_zone="UTC")
        columns.select(merchant.alias("merchantId"), "amount", instant.alias("createdAt")).collect().write_parquet(
            out, row_group_size=_ROW_GROUP
        )


if __name__ == "__main__":
    convert(*map(Path, sys.argv[1:]))
