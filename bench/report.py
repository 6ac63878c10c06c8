"""What was measured of the main job, as a section of the page and as samples."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import FIGURES
from bench.measure import Measurement
from bench.sections import Section, short, table


@dataclass(frozen=True, slots=True)
class Results:
    """All that one run of the bench has to tell.

    :param measurements: by name.
    :param missing: names of programs that are not installed.
    :param machine: see `bench.machine.describe`.
    :param load: the load average before and after.
    """

    transactions: int
    rounds: int
    measurements: Mapping[str, Measurement]
    missing: Sequence[str]
    machine: Mapping[str, str]
    load: tuple[float, float]


def as_section(results: Results) -> Section:
    """The section that tells `results`."""
    return Section("jobs", _as_markdown(results), _as_samples(results))


def _as_samples(results: Results) -> dict[str, Any]:
    """Every sample and every figure; times in seconds."""
    figures = [
        {
            "what": figure.what,
            "bound": figure.bound,
            "limit": figure.limit,
            "unit": figure.unit,
            "measured": figure.value(results.measurements),
            "of_best_times": figure.best(results.measurements),
        }
        for figure in FIGURES
    ]
    return {"figures": figures} | asdict(results)


def _as_markdown(results: Results) -> str:
    """The page: ratios, times, memory, machine, and how to repeat it."""
    return _PAGE.format(
        transactions=results.transactions,
        rounds=results.rounds,
        ratios=table(("what", "to reach", "measured", "met", "of best times"), _ratios(results.measurements)),
        programs=table(
            ("program", "median s", "best s", "CPU s", "million/s", "whole process, s", "peak MB"),
            (_program(result) for result in results.measurements.values() if result.transactions),
        ),
        commands=table(
            ("command", "median s", "best s"),
            (
                (result.label, f"{result.median_s:.2f}", f"{result.best_s:.2f}")
                for result in results.measurements.values()
                if not result.transactions
            ),
        ),
        missing=f"\nNot installed, so not measured: {', '.join(results.missing)}.\n" if results.missing else "",
        machine=table(("", ""), results.machine.items()),
        before=results.load[0],
        after=results.load[1],
    )


def _ratios(measurements: Mapping[str, Measurement]) -> Iterable[tuple[str, ...]]:
    for figure in FIGURES:
        value, best = figure.value(measurements), figure.best(measurements)
        limit = f"{figure.bound} {figure.limit:g} {figure.unit}"
        if value is None or best is None:
            yield figure.what, limit, "not measured", "", ""
        else:
            met = "yes" if figure.met(value) else "**no**"
            yield figure.what, limit, f"{short(value)} {figure.unit}", met, f"{short(best)} {figure.unit}"


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


_PAGE = """\
One run on one machine, {transactions:,} transactions of 200 merchants in one year, from opening the file to totals by
merchant and local day, which were checked to be the same in every program. "Ours over X" is how many times as long X
takes. Ratios are made of medians, and so is the verdict; beside them stand the same of the best times.

{ratios}

### Times and memory

{programs}

Seconds are taken inside each process after a warm-up on a small file; CPU s is the median of what all its threads
computed meanwhile. The whole process is another run, from outside, start-up included and nothing warmed up. Programs
and yardsticks took turns for up to {rounds} rounds, each in a process of its own, on two cores with two threads, with
the files in the page cache. Peak memory is the largest `ru_maxrss`.
{missing}
Whole commands, warm:

{commands}

### Machine

{machine}

Load average {before:.1f} before and {after:.1f} after.
"""
