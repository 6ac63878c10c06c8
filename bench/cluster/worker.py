"""One way of counting in a process of its own: ``python -m bench.cluster.worker FOLDER WARM_UP [--cluster]``.

What it took and gave is printed as one JSON object. With ``--cluster`` the workers are begun first, and count the small
folder, so that their kernels are compiled; the clock runs until all totals are in this process.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from bench.programs import THREADS
from bench.programs.ours import rows_of
from bench.worker import summary_of
from core.calendar import calendar_named
from core.calendar.days import LocalDays
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.cluster_runner import local_cluster
from jobs.partitions.counting import Counted, Counting
from jobs.sources.recognise import open_source

_LOCAL_DAYS: Final = LocalDays("Asia/Tehran")


def count(folder: Path, cluster: str | None) -> Counted:
    """What all files of `folder` hold, with the sums in this process."""
    named = _LOCAL_DAYS.named_range_ms(calendar_named("jalali"))
    counting = Counting(Fields(), Window(*named, *named), _LOCAL_DAYS, 0, THREADS, _silent, _silent, cluster=cluster)
    sources = [partial(open_source, str(one), Fields(), None) for one in sorted(folder.iterdir())]
    return counting.count(sources, Path("rejects.jsonl")).collected()


def main(folder: str, warm_up: str, *options: str) -> None:
    """Measure, and print what was found."""
    with local_cluster(THREADS) if "--cluster" in options else nullcontext() as address:
        count(Path(warm_up), address)
        began = time.perf_counter()
        counted = count(Path(folder), address)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds} | summary_of(rows_of(counted))))


def _silent(*_: object, **__: object) -> None:
    """Show and record nothing."""


if __name__ == "__main__":
    main(*sys.argv[1:])
