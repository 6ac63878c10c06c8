"""Partial summaries: the sums of one worker, in memory proportional to merchants times days."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from core.calendar.days import DayTable, LocalDays
from jobs.aggregate.groups import COUNT, HIGH, KEY, LOW, MAX_ROWS, add_rows, codes_and_days, move_cells
from jobs.decode.batch import Batch
from jobs.decode.jit import Int64s
from jobs.decode.merchants import MerchantTable

PARTIAL_SCHEMA: Final = pl.Schema(
    [("merchant_id", pl.Categorical()), ("day", pl.Int64()), ("amount", pl.Int128()), ("count", pl.Int64())]
)
"""One row for each merchant and local day; partials of several workers may repeat a pair."""
_FIRST_CELLS: Final = 8192


class Partial:
    """Sums the batches of one decoder; belongs to one thread.

    :param merchants: the table that the batches' merchant codes refer to.
    :param local_days: the local days of the time zone of summaries.
    """

    def __init__(self, merchants: MerchantTable, local_days: LocalDays) -> None:
        self._merchants = merchants
        self._local_days = local_days
        self._table: DayTable | None = None
        self._spilled: list[pl.DataFrame] = []
        self._known_texts = pl.Series(dtype=pl.String())
        self._clear()

    def _clear(self) -> None:
        self._cells = np.zeros((_FIRST_CELLS, 4), np.int64)
        self._used = 0
        self._rows = 0

    def add(self, batch: Batch) -> None:
        """Add the transactions of `batch`."""
        codes, amounts, instants = batch.codes, batch.amounts, batch.instants
        if not codes.size:
            return
        if self._rows + codes.size > MAX_ROWS:
            self._spilled.append(self._cells_as_frame())
            self._clear()
        self._rows += codes.size
        days = self._days_around(int(instants.min()), int(instants.max()))
        first = 0
        while first < codes.size:
            capacity = self._cells.shape[0] // 2 - self._used
            added, used = add_rows(first, codes, amounts, instants, days.starts_ms, days.days, self._cells, capacity)
            first += added
            self._used += used
            if first < codes.size:
                larger = np.zeros((2 * self._cells.shape[0], 4), np.int64)
                move_cells(self._cells, larger)
                self._cells = larger

    def _days_around(self, first_ms: int, last_ms: int) -> DayTable:
        table = self._table
        if table is None or first_ms < table.starts_ms[0] or last_ms >= table.end_ms:
            if table is not None:
                first_ms = min(first_ms, int(table.starts_ms[0]))
                last_ms = max(last_ms, table.end_ms - 1)
            table = self._table = self._local_days.table(first_ms, last_ms)
        return table

    def _cells_as_frame(self) -> pl.DataFrame:
        cells: Int64s = self._cells[self._cells[:, KEY] != 0]
        codes, days = codes_and_days(cells[:, KEY])
        # Series instead of expressions: each expression takes as long as decoding a thousand documents.
        high, low = (pl.Series(cells[:, half]).cast(pl.Int128()) for half in (HIGH, LOW))
        columns = {
            "merchant_id": self._texts().cast(pl.Categorical()).gather(codes),
            "day": days,
            "amount": high * pl.Series([2**32], dtype=pl.Int128()) + low,
            "count": cells[:, COUNT],
        }
        return pl.DataFrame(columns, schema=PARTIAL_SCHEMA)

    def frame(self) -> pl.DataFrame:
        """The sums so far, in the schema `PARTIAL_SCHEMA`."""
        frame = self._cells_as_frame()
        return pl.concat([*self._spilled, frame]) if self._spilled else frame

    def merchant_kinds(self) -> pl.DataFrame:
        """Every merchant seen, counted or not: ``merchant_id`` and ``kind`` (of `jobs.decode.merchants`)."""
        return pl.DataFrame({"merchant_id": self._texts(), "kind": self._merchants.kinds()})

    def _texts(self) -> pl.Series:
        if len(self._known_texts) < len(self._merchants):
            self._known_texts = pl.Series(self._merchants.texts(), dtype=pl.String())
        return self._known_texts
