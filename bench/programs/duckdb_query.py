"""DuckDB over a file: sums and counts by merchant and day, whatever reads the file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from bench.programs import DAY_MS, TEHRAN_MS, THREADS, Row, Totals


def totals_of(path: Path, *, merchant: str, instant: str, source: str) -> Totals:
    """An Arrow table of sums and counts by merchant and day.

    :param merchant: the SQL of a merchant, as are `instant` that of a timestamp, and `source` that of a table made of
        the parameter ``$path`` with a column ``amount``.
    """
    query = f"""
        SELECT
            {merchant} AS merchant,
            (epoch_ms({instant}) + {TEHRAN_MS}) // {DAY_MS} AS day,
            sum(amount)::BIGINT AS amount,
            count(*) AS count
        FROM {source}
        GROUP BY ALL
    """
    table = _connection().sql(query, params={"path": str(path)}).to_arrow_table()
    return lambda: _rows(table)


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})


def _rows(table: pa.Table) -> Iterable[Row]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
