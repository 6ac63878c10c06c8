"""One program in a process of its own: ``python -m bench.live.worker NAME URL WARM_UP_URL``.

It runs once on the collection to warm up on; then what it took for the other is printed as one JSON object:
``seconds``, ``cpu_s`` (of all threads of this process, so without the server's), ``peak_bytes``, and ``count`` and
``digest`` of the totals.
"""

from __future__ import annotations

import sys

from bench.live.programs import PROGRAMS
from bench.worker import print_measured


def main(name: str, url: str, warm_up_url: str) -> None:
    """Run the program called `name`."""
    print_measured({program.name: program for program in PROGRAMS}[name].run, warm_up_url, url)


if __name__ == "__main__":
    main(*sys.argv[1:])
