"""DuckDB over the JSON lines, with the columns it needs named, so that it neither guesses nor reads others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.programs import Totals
from bench.programs.duckdb_query import totals_of

_SOURCE: Final = """read_json($path, format = 'newline_delimited', columns = {
    'merchantId': 'STRUCT("$oid" VARCHAR)', 'createdAt': 'STRUCT("$date" TIMESTAMP)', 'amount': 'BIGINT'
})"""


def totals(path: Path) -> Totals:
    """An Arrow table of sums and counts by merchant and day."""
    return totals_of(path, merchant='merchantId."$oid"', instant='createdAt."$date"', source=_SOURCE)
