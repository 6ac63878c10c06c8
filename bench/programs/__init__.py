"""The measured programs: a table of functions, one module each.

A program reads a file and computes totals for each merchant and local day. It returns a function that lists them as
rows of (merchant in 24 hex digits, days since 1970-01-01, sum of amounts, count); this is called when the clock has
stopped, so that each may have totals in its own form. Programs without totals list nothing.

All data is of 1403, a year without daylight saving in Tehran: the peers may add +03:30 where ours follows the time
zone, which favours them. Their modules are imported in the process that runs them, so that none has the memory of
another.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

Row: TypeAlias = tuple[str, int, int, int]
"""Merchant, day, sum of amounts, count."""
Totals: TypeAlias = Callable[[], Iterable[Row]]
Run: TypeAlias = Callable[[Path], Totals]

TWO_GZIPPED: Final = ".two.bson.gz"
"""The suffix of a folder of two gzipped dumps of half the transactions each."""
THREADS: Final = 2
"""The number of threads of every program that can be configured."""
TEHRAN_MS: Final = 12_600_000
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the table.

    :param name: its name in ``--only`` and in results.
    :param label: its name in the report.
    :param form: the file it reads, by suffix.
    :param function: ``module:function`` in this package.
    :param needs: the packages that it requires.
    :param has_totals: whether it computes totals; otherwise it is a baseline that only reads.
    :param scale: multiple of the usual number of transactions.
    :param most_rounds: maximum number of rounds.
    """

    name: str
    label: str
    form: str
    function: str
    needs: str
    has_totals: bool = True
    scale: int = 1
    most_rounds: int = 99

    @property
    def installed(self) -> bool:
        """Whether these packages are installed."""
        return importlib.util.find_spec(self.needs) is not None

    def load(self) -> Run:
        """Its function; imports what it needs."""
        module, function = self.function.split(":")
        run: Run = getattr(importlib.import_module(f"{__name__}.{module}"), function)
        return run


PROGRAMS: Final = (
    Program("ours-bson", "ours, BSON", ".bson", "ours:daily_totals", "numba"),
    Program("ours-bson-checked", "ours, BSON, with weeks, months, checks", ".bson", "ours:checked_totals", "numba"),
    Program("ours-bson-large", "ours, BSON, 4 times the size", ".bson", "ours:daily_totals", "numba", scale=4),
    Program("ours-jsonl", "ours, JSON lines", ".jsonl", "ours:daily_totals", "numba"),
    Program("ours-gzip", "ours, gzipped BSON", ".bson.gz", "ours:daily_totals", "numba"),
    Program("ours-two-gzip", "ours, two such files", TWO_GZIPPED, "ours:daily_totals", "numba", scale=2),
    Program("ours-csv", "ours, CSV", ".csv", "ours:daily_totals", "numba"),
    Program("ours-parquet", "ours, Parquet", ".parquet", "ours:daily_totals", "numba"),
    Program("clickhouse", "ClickHouse (chdb), BSON", ".bson", "clickhouse:totals", "chdb"),
    Program("pymongoarrow", "pymongoarrow + Polars, BSON", ".bson", "pymongoarrow_polars:totals", "pymongoarrow"),
    Program("pymongo", "loop over bson.decode_file_iter, BSON", ".bson", "pymongo_loop:totals", "bson", most_rounds=3),
    Program("duckdb", "DuckDB, JSON lines", ".jsonl", "duckdb_sql:json_totals", "duckdb"),
    Program("polars", "Polars scan_ndjson, JSON lines", ".jsonl", "polars_scan:json_totals", "polars"),
    Program("duckdb-csv", "DuckDB, CSV", ".csv", "duckdb_sql:csv_totals", "duckdb"),
    Program("polars-parquet", "Polars scan_parquet, Parquet", ".parquet", "polars_scan:parquet_totals", "polars"),
    Program("reading", "only reading the bytes, BSON", ".bson", "yardsticks:read", "io", has_totals=False),
    Program("gunzip", "only decompressing (isal)", ".bson.gz", "yardsticks:decompress", "isal", has_totals=False),
)
"""In the order of the report."""
