"""DuckDB over the JSON lines, with the columns it needs named, so that it neither guesses nor reads others."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from bench.programs import DAY_MS, TEHRAN_MS, THREADS, Row, Totals

_QUERY: Final = f"""
    SELECT
        merchantId."$oid" AS merchant,
        (epoch_ms(createdAt."$date") + {TEHRAN_MS}) // {DAY_MS} AS day,
        sum(amount)::BIGINT AS amount,
        count(*) AS count
    FROM read_json($path, format = 'newline_delimited', columns = {{
        'merchantId': 'STRUCT("$oid" VARCHAR)', 'createdAt': 'STRUCT("$date" TIMESTAMP)', 'amount': 'BIGINT'
    }})
    GROUP BY ALL
"""


def totals(path: Path) -> Totals:
    """An Arrow table of sums and counts by merchant and day."""
    table = _connection().sql(_QUERY, params={"path": str(path)}).to_arrow_table()
    return lambda: _rows(table)


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})


def _rows(table: pa.Table) -> Iterable[Row]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
