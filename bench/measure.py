"""Measures programs and commands alternately in rounds, so that a slow minute of the machine affects all of them."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.commands import Command
from bench.data import Data, into_page_cache
from bench.programs import THREADS, Program
from bench.running import BenchFailed, keep_to_two_cores, run, say

_TIMEOUT_S: Final = 1800


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
        """The value for ratios."""
        return statistics.median(self.seconds)

    @property
    def best_s(self) -> float:
        """The best time, which is least disturbed by other load."""
        return min(self.seconds)

    @property
    def peak_mb(self) -> float:
        """The most memory of all rounds, in units of a million bytes."""
        return max(self.peak_bytes) / 1e6

    def add(self, answer: Mapping[str, Any], *, has_totals: bool) -> None:
        """Take in what a worker printed.

        :raises BenchFailed: it has not counted all transactions, or has other totals than the last time.
        """
        if has_totals:
            if answer["count"] != self.transactions:
                raise BenchFailed(f"{self.name} counted {answer['count']} of {self.transactions} transactions")
            if self.digest not in ("", answer["digest"]):
                raise BenchFailed(f"{self.name} has other totals than the last time")
            self.digest = answer["digest"]
        self.seconds.append(answer["seconds"])
        self.cpu_s.append(answer["cpu_s"])
        self.peak_bytes.append(answer["peak_bytes"])


def measure(
    programs: Iterable[Program], commands: Iterable[Command], data: Data, rounds: int, environment: Mapping[str, str]
) -> dict[str, Measurement]:
    """Measure all of them `rounds` times (some less often), and compare their totals.

    Each is run once before, and that is forgotten: it compiles what is compiled on first use.

    :param environment: that of the commands.
    :returns: by name, in the order given.
    :raises BenchFailed: names the program and the reason.
    """
    keep_to_two_cores()
    results: dict[str, Measurement] = {}
    for program in programs:
        into_page_cache(data.file(program.form, program.scale))
        run_python("bench.worker", program.name, str(data.warm_up(program.form)))
        results[program.name] = Measurement(program.name, program.label, data.transactions * program.scale)
    for command in commands:
        if not command.compiles:
            _command_s(command, environment)
        results[command.name] = Measurement(command.name, command.label)
    for number in range(1, rounds + 1):
        for program in programs:
            if number <= program.most_rounds:
                _measure_program(program, data, results[program.name])
                say(f"round {number} of {rounds}: {program.name} {results[program.name].seconds[-1]:.3f} s")
        for command in commands:
            if number <= command.most_rounds:
                results[command.name].seconds.append(_command_s(command, environment))
                say(f"round {number} of {rounds}: {command.name} {results[command.name].seconds[-1]:.3f} s")
    require_equal_totals(results)
    return results


def run_python(module: str, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """What a module prints, in a process of its own with as many threads as are measured.

    :raises BenchFailed: it failed, or took too long.
    """
    threads = {"POLARS_MAX_THREADS": str(THREADS)}
    return run([sys.executable, "-m", module, *arguments], _TIMEOUT_S, threads | dict(variables or {}))


def measured_by(module: str, *arguments: str) -> dict[str, Any]:
    """What a worker printed as one JSON object in its last line."""
    answer: dict[str, Any] = json.loads(run_python(module, *arguments).splitlines()[-1])
    return answer


def _measure_program(program: Program, data: Data, into: Measurement) -> None:
    worker = ("bench.worker", program.name, str(data.file(program.form, program.scale)))
    into.add(measured_by(*worker, str(data.warm_up(program.form))), has_totals=program.has_totals)
    began = time.perf_counter()
    run_python(*worker)
    into.process_s.append(time.perf_counter() - began)


def _command_s(command: Command, environment: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-kernels-") as folder:
        variables = {**environment, "NUMBA_CACHE_DIR": folder} if command.compiles else environment
        began = time.perf_counter()
        run([sys.executable, *command.arguments], _TIMEOUT_S, variables)
        return time.perf_counter() - began


def require_equal_totals(results: Mapping[str, Measurement]) -> None:
    """Raise unless all that were given as many transactions have the same totals.

    :raises BenchFailed: names two that have not.
    """
    first: dict[int, Measurement] = {}
    for result in results.values():
        if result.digest:
            other = first.setdefault(result.transactions, result)
            if result.digest != other.digest:
                raise BenchFailed(f"{result.name} has other totals than {other.name}")
