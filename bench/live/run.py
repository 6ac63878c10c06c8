"""The part of the bench that measures reading a live collection: ``python -m bench live``."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.data import ROOT, Data
from bench.live.programs import BATCH, PROGRAMS, LiveProgram
from bench.live.server import filled_database, running_server
from bench.machine import describe, load_average
from bench.measure import BenchFailed, Measurement, keep_to_cores
from bench.programs import THREADS
from bench.sections import Section, short, table

PARTS: Final = tuple(f"live-{program.name}" for program in PROGRAMS)
"""What can be measured alone."""

TRANSACTIONS: Final = 200_000
QUICK_TRANSACTIONS: Final = 10_000
_WARM_UP_TRANSACTIONS: Final = 500
_TIMEOUT_S: Final = 1800
_YARDSTICK: Final = "drain"
_OVER_DRAINING: Final = 1.1
"""How many times as long as draining its cursors reading with several may take."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured, by the program's name."""

    server: str
    transactions: int
    rounds: int
    measurements: Mapping[str, Measurement]
    machine: Mapping[str, str]
    load: tuple[float, float]


def measure_live(only: Collection[str], data: Data, rounds: int) -> tuple[Section, bool]:
    """Measure the programs, round after round.

    :param only: some of `PARTS`.
    :returns: the section, and whether all of it was measured.
    :raises BenchFailed: names the program and the reason.
    """
    keep_to_cores(THREADS)
    programs = [program for program in PROGRAMS if f"live-{program.name}" in only]
    results = {program.name: Measurement(program.name, program.label, data.transactions) for program in programs}
    load_before = load_average()
    with (
        tempfile.TemporaryDirectory(prefix="bench-live-") as scratch,
        running_server(Path(scratch)) as (server, server_name),
        filled_database(server, "bench_warm_up", Data(data.folder, _WARM_UP_TRANSACTIONS).file(".bson")) as warm_up,
        filled_database(server, "bench_live", data.file(".bson")) as url,
    ):
        for number in range(1, rounds + 1):
            for program in programs:
                _measure(program, url, warm_up, results)
                seconds = results[program.name].seconds[-1]
                print(f"round {number} of {rounds}: {program.name} {seconds:.3f} s", file=sys.stderr, flush=True)
    machine = describe() | {"server": server_name}
    found = Found(server_name, data.transactions, rounds, results, machine, (load_before, load_average()))
    return as_section(found), set(PARTS) <= set(only)


def _measure(program: LiveProgram, url: str, warm_up: str, results: Mapping[str, Measurement]) -> None:
    command = [sys.executable, "-m", "bench.live.worker", program.name, url, warm_up]
    environment = os.environ | {"POLARS_MAX_THREADS": str(THREADS)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=_TIMEOUT_S, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{program.name} took longer than {_TIMEOUT_S} s") from None
    if done.returncode:
        raise BenchFailed(f"{program.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    into = results[program.name]
    if program.has_totals:
        if answer["count"] != into.transactions:
            raise BenchFailed(f"{program.name} counted {answer['count']} of {into.transactions} transactions")
        if any(other.digest not in ("", answer["digest"]) for other in results.values()):
            raise BenchFailed(f"{program.name} has other totals than another program")
        into.digest = answer["digest"]
    into.seconds.append(answer["seconds"])
    into.cpu_s.append(answer["cpu_s"])
    into.peak_bytes.append(answer["peak_bytes"])


def as_section(found: Found) -> Section:
    """The section that tells what was found."""
    samples: dict[str, Any] = asdict(found)
    page = _PAGE.format(
        server=found.server,
        transactions=found.transactions,
        rounds=found.rounds,
        threads=THREADS,
        batch=BATCH,
        figure=_figure(found.measurements),
        programs=table(
            ("program", "median", "best", "documents/s", "of it the server's", "its own CPU", "memory"),
            _rows(list(found.measurements.values()), found.measurements.get(_YARDSTICK)),
        ),
        machine="\n".join(f"- {name}: {value}" for name, value in found.machine.items()),
        before=found.load[0],
        after=found.load[1],
    )
    return Section("live", page, samples)


def _figure(results: Mapping[str, Measurement]) -> str:
    if not {"ours-4", "drain-4"} <= results.keys():
        return "not measured"
    ratio = results["ours-4"].median_s / results["drain-4"].median_s
    return f"{short(ratio)} x: {'met' if ratio <= _OVER_DRAINING else '**not met**'}"


def _rows(results: Sequence[Measurement], drained: Measurement | None) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for result in results:
        share = "" if drained is None else f"{min(1.0, drained.median_s / result.median_s):.0%}"
        rows.append(
            (
                result.label,
                f"{short(result.median_s)} s",
                f"{short(result.best_s)} s",
                f"{result.transactions / result.median_s:,.0f}",
                share,
                f"{short(statistics.median(result.cpu_s))} s",
                f"{result.peak_mb:.0f} MB",
            )
        )
    return rows


_PAGE = """\
{transactions:,} transactions of 200 merchants in one collection of {server}, read over loopback by {threads} threads
in answers of {batch:,} documents; median and best of {rounds} rounds. All programs have equal totals. The server runs
on the same cores. *Of it the server's* is the time that only draining the same fields takes, without looking at them,
over the program's: what no reader can do without. *Its own CPU* is what the program computes, without the server. With
several cursors ours first asks where to cut; on FerretDB this, and each cursor, is a search through everything.

4 cursors, ours over only draining the same cursors, to reach at most 1.1 x: {figure}.

{programs}

{machine}
- load average before and after: {before:.1f}, {after:.1f}
"""
