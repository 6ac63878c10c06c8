"""Frames of summaries as plain tuples and back, for backends that store instants as milliseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import polars as pl

from core.stores.summaries import SUMMARY_COLUMNS

_INSTANTS: Final = ("period_start", "period_end")
_INTEGERS: Final = ("amount", "count", *_INSTANTS)
_SCHEMA: Final = {name: pl.Int64 if name in _INTEGERS else pl.String for name in SUMMARY_COLUMNS}

SummaryTuple = tuple[str, str, str | None, int, int, int, int]
"""One summary, in the order of `SUMMARY_COLUMNS`."""


def to_batches(rows: pl.DataFrame, size: int) -> Iterator[Iterator[SummaryTuple]]:
    """The summaries of `rows` in batches of at most `size`, ordered by mode, merchant and key.

    That is the order of every backend's index, which thus grows at its end.
    """
    plain = rows.select(SUMMARY_COLUMNS).with_columns(pl.col(_INSTANTS).dt.epoch("ms"))
    for batch in plain.sort("mode", "merchant_id", "key").iter_slices(size):
        yield batch.iter_rows()


def from_batches(batches: Iterable[Sequence[SummaryTuple]]) -> pl.DataFrame:
    """The frame of `SUMMARY_COLUMNS` that holds all `batches`."""
    frames = [pl.DataFrame(batch, schema=_SCHEMA, orient="row") for batch in batches]
    plain = pl.concat(frames or [pl.DataFrame(schema=_SCHEMA)])
    return plain.with_columns(pl.col(_INSTANTS).cast(pl.Datetime("ms", "UTC")))
