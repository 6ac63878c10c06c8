"""The part of the bench that measures reading a live collection: ``python -m bench live``."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.data import Data
from bench.figures import AT_MOST, Figure, figure_table
from bench.live.programs import BATCH, PROGRAMS
from bench.live.server import filled_database, running_server
from bench.measure import Measurement, measured_by, require_equal_totals
from bench.programs import THREADS
from bench.running import keep_to_two_cores, say
from bench.sections import Section, short, table

PARTS: Final = tuple(f"live-{program.name}" for program in PROGRAMS)
"""The parts that can be measured separately."""

TRANSACTIONS: Final = 200_000
QUICK_TRANSACTIONS: Final = 10_000
_WARM_UP_TRANSACTIONS: Final = 500
_YARDSTICK: Final = "drain"


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured, by the program's name."""

    server: str
    transactions: int
    rounds: int
    measurements: Mapping[str, Measurement]


def measure_live(only: Collection[str], data: Data, rounds: int) -> Section:
    """Measure the programs, round after round.

    :raises BenchFailed: names the program and the reason.
    """
    keep_to_two_cores()
    programs = [program for program in PROGRAMS if f"live-{program.name}" in only]
    results = {program.name: Measurement(program.name, program.label, data.transactions) for program in programs}
    with (
        tempfile.TemporaryDirectory(prefix="bench-live-") as scratch,
        running_server(Path(scratch)) as (server, server_name),
        filled_database(server, "bench_warm_up", Data(data.folder, _WARM_UP_TRANSACTIONS).file(".bson")) as warm_up,
        filled_database(server, "bench_live", data.file(".bson")) as url,
    ):
        for number in range(1, rounds + 1):
            for program in programs:
                answer = measured_by("bench.live.programs", program.name, url, warm_up)
                results[program.name].add(answer, has_totals=program.has_totals)
                say(f"round {number} of {rounds}: {program.name} {answer['seconds']:.3f} s")
    require_equal_totals(results)
    return _section(Found(server_name, data.transactions, rounds, results), set(PARTS) <= set(only))


def _section(found: Found, is_whole: bool) -> Section:
    results = found.measurements
    quotients = []
    if {"ours-4", "drain-4"} <= results.keys():
        quotients = [results["ours-4"].median_s / results["drain-4"].median_s]
    figure = Figure("4 cursors: ours over only draining the same cursors", AT_MOST, 1.1, "x", quotients)
    page = _PAGE.format(
        server=found.server,
        transactions=found.transactions,
        rounds=found.rounds,
        threads=THREADS,
        batch=BATCH,
        figures=figure_table([figure]),
        programs=table(
            ("program", "median", "best", "documents/s", "of it the server's", "its own CPU", "memory"),
            _rows(list(results.values()), results.get(_YARDSTICK)),
        ),
    )
    return Section("live", page, asdict(found), is_whole, {"server": found.server})


def _rows(results: Sequence[Measurement], drained: Measurement | None) -> list[tuple[str, ...]]:
    return [
        (
            result.label,
            f"{short(result.median_s)} s",
            f"{short(result.best_s)} s",
            f"{result.transactions / result.median_s:,.0f}",
            "" if drained is None else f"{min(1.0, drained.median_s / result.median_s):.0%}",
            f"{short(statistics.median(result.cpu_s))} s",
            f"{result.peak_mb:.0f} MB",
        )
        for result in results
    ]


_PAGE = """\
{transactions:,} transactions of 200 merchants in one collection of {server}, read over loopback by {threads} threads
in batches of {batch:,} documents; median and best of {rounds} rounds. All programs have equal totals. The server runs
on the same cores. *Of it the server's* is the time to fetch the same fields without decoding them, divided by the
time of the program: no reader can be faster. *Its own CPU* is the processor time of the program, without the server.
With several cursors our program first queries the borders of ranges; on FerretDB this query and each cursor scan the
whole collection.

{figures}

{programs}
"""
