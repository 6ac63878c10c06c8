"""One program in a process of its own: ``python -m bench.worker NAME FILE [WARM_UP_FILE]``.

With a file to warm up on, the program runs on that first, and the result for `FILE` is printed as one JSON object:
``seconds``, ``cpu_s`` (of all threads), ``peak_bytes`` (of the process, mapped file pages included), and of the totals
``count`` and ``digest``.
Without one it runs once and prints nothing, so that the whole process can be measured from outside.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from bench.programs import PROGRAMS, Row, Totals

T = TypeVar("T")


def main(name: str, file: str, warm_up: str | None = None) -> None:
    """Run the program called `name`."""
    run = {program.name: program for program in PROGRAMS}[name].load()
    if warm_up is None:
        run(Path(file))
    else:
        print_measured(run, Path(warm_up), Path(file))


def print_measured(run: Callable[[T], Totals], warm_up: T, given: T) -> None:
    """Run on `warm_up`, then print the result for `given`."""
    run(warm_up)
    began, cpu_began = time.perf_counter(), time.process_time()
    totals = run(given)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    measured = {"seconds": seconds, "cpu_s": cpu_s, "peak_bytes": peak_bytes}
    print(json.dumps(measured | summary_of(totals())))


def summary_of(rows: Iterable[Row]) -> dict[str, int | str]:
    """A digest of the totals that does not depend on their order."""
    ordered = sorted(rows)
    lines = "".join(f"{merchant} {day} {amount} {count}\n" for merchant, day, amount, count in ordered)
    return {"count": sum(row[3] for row in ordered), "digest": hashlib.sha256(lines.encode()).hexdigest()}


if __name__ == "__main__":
    main(*sys.argv[1:])
