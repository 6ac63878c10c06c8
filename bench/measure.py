"""Measuring: programs and commands in turn, round after round, so that a slow minute of the machine meets them all."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.commands import Command
from bench.data import ROOT, Data, into_page_cache
from bench.programs import THREADS, Program

TIMEOUT_S: Final = 600
_SHOWN_OF_ERRORS: Final = 2000


class BenchFailed(Exception):
    """A program failed, took too long, or its totals are not those of the others."""


@dataclass(slots=True)
class Measurement:
    """What one program or command took.

    :param seconds: one a round; of a program from opening the file to the totals, of a command the whole process.
    :param cpu_s: of a program what all its threads together computed in `seconds`: less than twice the time, and the
        machine was busy with something else, or a core idle.
    :param process_s: of a program the whole process with start-up, without a warm-up.
    :param peak_bytes: the most memory that the process had.
    :param transactions: how many it was given; 0 for a command.
    :param digest: of its totals; empty where it has none.
    """

    name: str
    label: str
    transactions: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    process_s: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    digest: str = ""

    @property
    def median_s(self) -> float:
        """What ratios are made of."""
        return statistics.median(self.seconds)

    @property
    def best_s(self) -> float:
        """The time least disturbed by whatever else the machine did."""
        return min(self.seconds)

    @property
    def peak_mb(self) -> float:
        """The most memory of all rounds, in units of a million bytes."""
        return max(self.peak_bytes) / 1e6


def measure(
    programs: Iterable[Program], commands: Iterable[Command], data: Data, rounds: int, environment: Mapping[str, str]
) -> dict[str, Measurement]:
    """Measure all of them `rounds` times (some less often), and compare their totals.

    Each is run once before, and that is forgotten: it compiles what is compiled on first use.

    :param environment: that of the commands.
    :returns: by name, in the order given.
    :raises BenchFailed: names the program and the reason.
    """
    keep_to_cores(THREADS)
    results: dict[str, Measurement] = {}
    for program in programs:
        into_page_cache(data.file(program.form, program.scale))
        _run(("-m", "bench.worker", program.name, str(data.warm_up(program.form))), os.environ)
        results[program.name] = Measurement(program.name, program.label, data.transactions * program.scale)
    for command in commands:
        if not command.compiles:
            _command_s(command, environment)
        results[command.name] = Measurement(command.name, command.label)
    for number in range(1, rounds + 1):
        for program in programs:
            if number <= program.most_rounds:
                _measure_program(program, data, results[program.name])
                _say(number, rounds, results[program.name])
        for command in commands:
            if number <= command.most_rounds:
                results[command.name].seconds.append(_command_s(command, environment))
                _say(number, rounds, results[command.name])
    _require_equal_totals(results)
    return results


def keep_to_cores(count: int) -> None:
    """Let this process and its children run on `count` cores, however many there are."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _measure_program(program: Program, data: Data, into: Measurement) -> None:
    environment = os.environ | {"POLARS_MAX_THREADS": str(THREADS)}
    worker = ("-m", "bench.worker", program.name, str(data.file(program.form, program.scale)))
    output = _run((*worker, str(data.warm_up(program.form))), environment)
    answer = json.loads(output.splitlines()[-1])
    if program.has_totals:
        if answer["count"] != into.transactions:
            raise BenchFailed(f"{program.name} counted {answer['count']} of {into.transactions} transactions")
        if into.digest not in ("", answer["digest"]):
            raise BenchFailed(f"{program.name} has other totals than the last time")
        into.digest = answer["digest"]
    into.seconds.append(answer["seconds"])
    into.cpu_s.append(answer["cpu_s"])
    into.peak_bytes.append(answer["peak_bytes"])
    into.process_s.append(_wall_s(worker, environment))


def _command_s(command: Command, environment: Mapping[str, str]) -> float:
    if not command.compiles:
        return _wall_s(command.arguments, environment)
    with tempfile.TemporaryDirectory(prefix="bench-kernels-") as folder:
        return _wall_s(command.arguments, {**environment, "NUMBA_CACHE_DIR": folder})


def _wall_s(arguments: tuple[str, ...], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    _run(arguments, environment)
    return time.perf_counter() - began


def _run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    called = " ".join(arguments)
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=environment, timeout=TIMEOUT_S, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{called} took longer than {TIMEOUT_S} s") from None
    if done.returncode:
        raise BenchFailed(f"{called} ended with {done.returncode}:\n{done.stderr[-_SHOWN_OF_ERRORS:]}")
    return done.stdout


def _require_equal_totals(results: Mapping[str, Measurement]) -> None:
    first: dict[int, Measurement] = {}
    for result in results.values():
        if result.digest:
            other = first.setdefault(result.transactions, result)
            if result.digest != other.digest:
                raise BenchFailed(f"{result.name} has other totals than {other.name}")


def _say(number: int, rounds: int, result: Measurement) -> None:
    print(f"round {number} of {rounds}: {result.name} {result.seconds[-1]:.3f} s", file=sys.stderr, flush=True)
