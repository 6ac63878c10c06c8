"""The figures to reach: a table of quotients, and what was measured of them."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from bench.measure import Measurement


class Quantity(StrEnum):
    """What of a measurement a figure is made of, by its unit."""

    SECONDS = "s"
    PROCESS_SECONDS = "s, process"
    MEGABYTES = "MB"


class Bound(StrEnum):
    """On which side of its limit a figure shall lie."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    UNDER = "under"

    def holds(self, value: float, limit: float) -> bool:
        """Whether `value` lies on that side of `limit`."""
        return _HOLDS[self](value, limit)


_Measure: TypeAlias = Callable[[Measurement], float]
_MEDIAN: Final[dict[Quantity, _Measure]] = {
    Quantity.SECONDS: lambda result: result.median_s,
    Quantity.PROCESS_SECONDS: lambda result: statistics.median(result.process_s),
    Quantity.MEGABYTES: lambda result: result.peak_mb,
}
_BEST: Final = _MEDIAN | {
    Quantity.SECONDS: lambda result: result.best_s,
    Quantity.PROCESS_SECONDS: lambda result: min(result.process_s),
}
_HOLDS: Final[dict[Bound, Callable[[float, float], bool]]] = {
    Bound.AT_LEAST: operator.ge,
    Bound.AT_MOST: operator.le,
    Bound.UNDER: operator.lt,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: a quantity of `over`, divided by that of `under` if there is one."""

    what: str
    bound: Bound
    limit: float
    over: str
    under: str | None = None
    quantity: Quantity = Quantity.SECONDS

    def value(self, results: Mapping[str, Measurement]) -> float | None:
        """The figure, made of medians, or None where it was not measured."""
        return self._quotient(results, _MEDIAN[self.quantity])

    def best(self, results: Mapping[str, Measurement]) -> float | None:
        """The same made of the best times; it decides nothing, but shows what noise does to the figure."""
        return self._quotient(results, _BEST[self.quantity])

    def _quotient(self, results: Mapping[str, Measurement], measure: _Measure) -> float | None:
        if self.over not in results or (self.under is not None and self.under not in results):
            return None
        value = measure(results[self.over])
        return value if self.under is None else value / measure(results[self.under])

    def met(self, value: float) -> bool:
        """Whether `value` lies where it shall."""
        return self.bound.holds(value, self.limit)

    @property
    def unit(self) -> str:
        """``x`` for a quotient."""
        return self.quantity if self.under is None else "x"


MB: Final = Quantity.MEGABYTES
PROCESS: Final = Quantity.PROCESS_SECONDS
AT_LEAST, AT_MOST, UNDER = Bound.AT_LEAST, Bound.AT_MOST, Bound.UNDER

FIGURES: Final = (
    Figure("BSON: ours over the pymongo loop", AT_LEAST, 50, "pymongo", "ours-bson"),
    Figure("BSON: ours over pymongoarrow + Polars", AT_LEAST, 6, "pymongoarrow", "ours-bson"),
    Figure("BSON: ours over DuckDB on the JSON lines of the same documents", AT_LEAST, 4, "duckdb", "ours-bson"),
    Figure("BSON: ours over ClickHouse on the same dump", AT_LEAST, 4.5, "clickhouse", "ours-bson"),
    Figure("BSON: our whole process over ClickHouse's", AT_MOST, 0.95, "ours-bson", "clickhouse", PROCESS),
    Figure("BSON: our time over reading the bytes once", AT_MOST, 5, "ours-bson", "reading"),
    Figure("JSON lines: ours over DuckDB on the same file", AT_LEAST, 3, "duckdb", "ours-jsonl"),
    Figure("gzipped BSON: our time over only decompressing it", AT_MOST, 1.4, "ours-gzip", "gunzip"),
    Figure("two gzipped files of one size: our time over that for one", AT_MOST, 1.15, "ours-two-gzip", "ours-gzip"),
    Figure("Parquet: ours over Polars scan_parquet + group_by", AT_LEAST, 0.7, "polars-parquet", "ours-parquet"),
    Figure("CSV: ours over DuckDB read_csv + group by", AT_LEAST, 0.7, "duckdb-csv", "ours-csv"),
    Figure("peak memory at 4 times the transactions", AT_MOST, 350, "ours-bson-large", quantity=MB),
    Figure("… over that at the usual size", AT_MOST, 1.1, "ours-bson-large", "ours-bson", MB),
    Figure("`rebuild` of a sample archive of 21,850 transactions, whole", AT_MOST, 0.8, "rebuild"),
    Figure("`rebuild` of the real archive, whole", AT_MOST, 0.8, "rebuild-real"),
    Figure("first run ever on BSON, nothing compiled, whole", AT_MOST, 5, "first-bson"),
    Figure("first run ever on JSON lines, nothing compiled, whole", AT_MOST, 8, "first-jsonl"),
    Figure("`--help`, whole", UNDER, 0.5, "help"),
)
