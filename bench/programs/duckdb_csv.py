"""DuckDB over CSV, with the columns and their types named, so that it neither guesses nor reads the file twice."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.programs import Totals
from bench.programs.duckdb_query import totals_of

_SOURCE: Final = """read_csv($path, header = true, auto_detect = false, columns = {
    'merchantId': 'VARCHAR', 'amount': 'BIGINT', 'createdAt': 'TIMESTAMP'
})"""


def totals(path: Path) -> Totals:
    """An Arrow table of sums and counts by merchant and day."""
    return totals_of(path, merchant="substr(merchantId, 10, 24)", instant="createdAt", source=_SOURCE)
