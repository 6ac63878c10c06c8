"""One program in a process of its own: ``python -m bench.live.worker NAME URL WARM_UP_URL``.

It runs once on the collection to warm up on; then what it took for the other is printed as one JSON object:
``seconds``, ``cpu_s`` (of all threads of this process, so without the server's), ``peak_bytes``, and ``count`` and
``digest`` of the totals.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from bench.live.programs import PROGRAMS
from bench.worker import summary_of


def main(name: str, url: str, warm_up_url: str) -> None:
    """Run the program called `name`."""
    program = {program.name: program for program in PROGRAMS}[name]
    program.run(warm_up_url)
    began, cpu_began = time.perf_counter(), time.process_time()
    totals = program.run(url)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    measured = {"seconds": seconds, "cpu_s": cpu_s, "peak_bytes": peak_bytes}
    print(json.dumps(measured | summary_of(totals())))


if __name__ == "__main__":
    main(*sys.argv[1:])
