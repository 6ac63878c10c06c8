"""The part of the bench that measures the main job: ``python -m bench jobs``."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.commands import commands, environment
from bench.data import Data
from bench.figures import AT_LEAST, AT_MOST, UNDER, Figure
from bench.measure import Measurement, measure
from bench.programs import PROGRAMS
from bench.sections import Section, short, table

_COMMANDS: Final = "commands"
PARTS: Final = (*(program.name for program in PROGRAMS), _COMMANDS)
"""The parts that can be measured separately."""

_Measured = Callable[[Measurement], float]
_MEDIANS: Final[Mapping[str, _Measured]] = {
    "s": lambda result: result.median_s,
    "s, process": lambda result: statistics.median(result.process_s),
    "MB": lambda result: result.peak_mb,
}
_BESTS: Final[Mapping[str, _Measured]] = {
    **_MEDIANS,
    "s": lambda result: result.best_s,
    "s, process": lambda result: min(result.process_s),
}


@dataclass(frozen=True, slots=True)
class Quotient:
    """A quantity of `over`, named by its unit, divided by that of `under` if there is one; and its target."""

    what: str
    bound: str
    limit: float
    over: str
    under: str | None = None
    quantity: str = "s"

    def figure(self, results: Mapping[str, Measurement], quantities: Mapping[str, _Measured]) -> Figure:
        """The figure, made of medians or of the best times; the best times show the effect of noise."""
        measured = quantities[self.quantity]
        values = []
        if {self.over, self.under} - {None} <= results.keys():
            values = [measured(results[self.over]) / (1 if self.under is None else measured(results[self.under]))]
        return Figure(self.what, self.bound, self.limit, self.quantity if self.under is None else "x", values)


FIGURES: Final = (
    Quotient("BSON: ours over the pymongo loop", AT_LEAST, 50, "pymongo", "ours-bson"),
    Quotient("BSON: ours over pymongoarrow + Polars", AT_LEAST, 6, "pymongoarrow", "ours-bson"),
    Quotient("BSON: ours over DuckDB on the JSON lines of the same documents", AT_LEAST, 4, "duckdb", "ours-bson"),
    Quotient("BSON: ours over ClickHouse on the same dump", AT_LEAST, 4.5, "clickhouse", "ours-bson"),
    Quotient("BSON: our whole process over ClickHouse's", AT_MOST, 0.95, "ours-bson", "clickhouse", "s, process"),
    Quotient("BSON: our time over reading the bytes once", AT_MOST, 5, "ours-bson", "reading"),
    Quotient("JSON lines: ours over DuckDB on the same file", AT_LEAST, 3, "duckdb", "ours-jsonl"),
    Quotient("gzipped BSON: our time over only decompressing it", AT_MOST, 1.4, "ours-gzip", "gunzip"),
    Quotient("two gzipped files of one size: our time over that for one", AT_MOST, 1.15, "ours-two-gzip", "ours-gzip"),
    Quotient("Parquet: ours over Polars scan_parquet + group_by", AT_LEAST, 0.7, "polars-parquet", "ours-parquet"),
    Quotient("CSV: ours over DuckDB read_csv + group by", AT_LEAST, 0.7, "duckdb-csv", "ours-csv"),
    Quotient("peak memory at 4 times the transactions", AT_MOST, 350, "ours-bson-large", quantity="MB"),
    Quotient("… over that at the usual size", AT_MOST, 1.1, "ours-bson-large", "ours-bson", "MB"),
    Quotient("`rebuild` of a sample archive of 21,850 transactions, whole", AT_MOST, 0.8, "rebuild"),
    Quotient("`rebuild` of the real archive, whole", AT_MOST, 0.8, "rebuild-real"),
    Quotient("first run ever on BSON, nothing compiled, whole", AT_MOST, 5, "first-bson"),
    Quotient("first run ever on JSON lines, nothing compiled, whole", AT_MOST, 8, "first-jsonl"),
    Quotient("`--help`, whole", UNDER, 0.5, "help"),
)


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run.

    :param measurements: by name.
    :param missing: names of programs that are not installed.
    """

    transactions: int
    rounds: int
    measurements: Mapping[str, Measurement]
    missing: list[str]


def measure_job(only: Collection[str], data: Data, rounds: int, real: Path | None) -> Section:
    """Measure the programs and commands.

    :param real: an additional archive for `rebuild`.
    :raises BenchFailed: names the program and the reason.
    """
    wanted = [program for program in PROGRAMS if program.name in only]
    installed = [program for program in wanted if program.installed]
    missing = [program.name for program in wanted if not program.installed]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        asked = commands(data, Path(scratch), real) if _COMMANDS in only else ()
        measurements = measure(installed, asked, data, rounds, environment(Path(scratch)))
    return _section(Results(data.transactions, rounds, measurements, missing), set(PARTS) <= set(only))


def _section(results: Results, all_wanted: bool) -> Section:
    found = results.measurements.values()
    figures = [
        (one.figure(results.measurements, _MEDIANS), one.figure(results.measurements, _BESTS)) for one in FIGURES
    ]
    page = _PAGE.format(
        transactions=results.transactions,
        rounds=results.rounds,
        ratios=table(
            ("what", "to reach", "measured", "met", "of best times"),
            ((*usual.cells[:4], f"{short(best.value)} {best.unit}" if best.values else "") for usual, best in figures),
        ),
        programs=table(
            ("program", "median s", "best s", "CPU s", "million/s", "whole process, s", "peak MB"),
            (_program(result) for result in found if result.transactions),
        ),
        commands=table(
            ("command", "median s", "best s"),
            ((one.label, f"{one.median_s:.2f}", f"{one.best_s:.2f}") for one in found if not one.transactions),
        ),
        missing=f"\nNot installed, so not measured: {', '.join(results.missing)}.\n" if results.missing else "",
    )
    samples = [usual.sample | {"of_best_times": best.sample.get("measured")} for usual, best in figures]
    return Section("jobs", page, {"figures": samples} | asdict(results), all_wanted and not results.missing)


def _program(result: Measurement) -> tuple[str, ...]:
    return (
        result.label,
        f"{result.median_s:.3f}",
        f"{result.best_s:.3f}",
        f"{statistics.median(result.cpu_s):.3f}",
        f"{result.transactions / result.median_s / 1e6:.2f}",
        f"{statistics.median(result.process_s):.2f}",
        f"{result.peak_mb:.0f}",
    )


_PAGE: Final = """\
One run on one machine, with {transactions:,} transactions of 200 merchants in one year. The time is from opening the
file to the totals by merchant and local day, which are equal for all programs. "Ours over X" is the time of X divided
by our time. The ratios are of medians; the last column has the ratio of the best times.

{ratios}

### Times and memory

{programs}

Seconds are measured inside each process, after a warm-up with a small file. CPU s is the median processor time of all
threads. "Whole process" is a separate run without warm-up, measured from outside, including the start. The programs
ran alternately for up to {rounds} rounds, each in a new process, on two cores with two threads, with the files in the
page cache. Peak memory is the largest `ru_maxrss`.
{missing}
Whole commands, warm:

{commands}
"""
