"""DuckDB over a file: sums and counts by merchant and day.

The columns that it needs are named with their types, so that it neither guesses, nor reads others, nor reads twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from bench.programs import DAY_MS, TEHRAN_MS, THREADS, Row, Totals

_CSV: Final = """read_csv($path, header = true, auto_detect = false, columns = {
    'merchantId': 'VARCHAR', 'amount': 'BIGINT', 'createdAt': 'TIMESTAMP'
})"""
_JSON: Final = """read_json($path, format = 'newline_delimited', columns = {
    'merchantId': 'STRUCT("$oid" VARCHAR)', 'createdAt': 'STRUCT("$date" TIMESTAMP)', 'amount': 'BIGINT'
})"""


def csv_totals(path: Path) -> Totals:
    """An Arrow table of sums and counts by merchant and day."""
    return _totals(path, merchant="substr(merchantId, 10, 24)", instant="createdAt", source=_CSV)


def json_totals(path: Path) -> Totals:
    """An Arrow table of sums and counts by merchant and day."""
    return _totals(path, merchant='merchantId."$oid"', instant='createdAt."$date"', source=_JSON)


def _totals(path: Path, *, merchant: str, instant: str, source: str) -> Totals:
    """The totals by SQL: `merchant` and `instant` of columns, `source` of a table made of the parameter ``$path``."""
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
