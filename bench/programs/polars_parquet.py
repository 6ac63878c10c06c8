"""Polars over Parquet: a lazy scan of the three columns and one group by."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bench.programs import TEHRAN_MS, Totals


def totals(path: Path) -> Totals:
    """A frame of sums and counts by merchant and day."""
    day = (pl.col("createdAt").dt.epoch("ms") + TEHRAN_MS) // 86_400_000
    frame = (
        pl.scan_parquet(path)
        .group_by("merchantId", day.alias("day"))
        .agg(pl.col("amount").sum(), pl.len().cast(pl.Int64))
        .collect()
    )
    return frame.iter_rows
