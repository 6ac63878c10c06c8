"""One way of counting in a process of its own: ``python -m bench.cluster.worker FOLDER WARM_UP [--cluster]``.

The time and the totals are printed as one JSON object. With ``--cluster`` the workers are started first, and count the
small folder, so that their kernels are compiled; the clock runs until all totals are in this process.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from bench.programs import THREADS
from bench.programs.ours import count_files, rows_of
from bench.worker import summary_of
from jobs.partitions.cluster_runner import local_cluster


def main(folder: str, warm_up: str, *options: str) -> None:
    """Measure, and print what was found."""
    with local_cluster(THREADS) if "--cluster" in options else nullcontext() as address:
        count_files(Path(warm_up), address).collected()
        began = time.perf_counter()
        counted = count_files(Path(folder), address).collected()
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds} | summary_of(rows_of(counted))))


if __name__ == "__main__":
    main(*sys.argv[1:])
