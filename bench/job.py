"""The part of the bench that measures the main job: ``python -m bench jobs``."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from bench.commands import commands, environment
from bench.data import Data
from bench.machine import describe, load_average
from bench.measure import measure
from bench.programs import PROGRAMS
from bench.report import Results, as_section
from bench.sections import Section

_COMMANDS: Final = "commands"
PARTS: Final = (*(program.name for program in PROGRAMS), _COMMANDS)
"""What can be measured alone."""


def measure_job(only: Collection[str], data: Data, rounds: int, real: Path | None) -> tuple[Section, bool]:
    """Measure the programs and commands.

    :param only: some of `PARTS`.
    :param real: an archive of somebody's to measure `rebuild` on too.
    :returns: the section, and whether all of it was measured.
    :raises BenchFailed: names the program and the reason.
    """
    wanted = [program for program in PROGRAMS if program.name in only]
    installed = [program for program in wanted if program.installed]
    load_before = load_average()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        asked = commands(data, Path(scratch), real) if _COMMANDS in only else ()
        measurements = measure(installed, asked, data, rounds, environment(Path(scratch)))
    results = Results(
        transactions=data.transactions,
        rounds=rounds,
        measurements=measurements,
        missing=[program.name for program in wanted if not program.installed],
        machine=describe(),
        load=(load_before, load_average()),
    )
    return as_section(results), not results.missing and set(PARTS) <= set(only)
