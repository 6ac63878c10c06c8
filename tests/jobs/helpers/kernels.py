"""Compiles the kernels that the tests need, on all cores; with THOROUGH=1 those with checked indexes, too.

Tests would do that themselves, but each worker for itself, the same kernels at the same time, and while others wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from effort import THOROUGH

ROOT: Final = Path(__file__).parents[3]
CHECKED: Final = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(ROOT / ".cache" / "numba-checked")}
"""The environment of processes whose kernels check every index; their compiled code is cached separately."""

_SHOP: Final = ROOT / "tests" / "data" / "shop"
# The longest first, so that the last to end is a short one.
_FORMS: Final = (["transaction.relaxed.jsonl", "transaction.array.json"], ["transaction.bson"], ["transaction.csv"])
_TIMEOUT_S: Final = 600


def run_kernels(*names: str) -> None:
    """Decode and sum up files of the shop, which loads the kernels of their forms or compiles them."""
    from core.calendar.days import LocalDays
    from jobs.aggregate.partial import Partial
    from jobs.decode.classify import Window
    from jobs.decode.formats import Formats
    from jobs.decode.plan import Fields
    from jobs.sources.chunks import Buffer
    from jobs.sources.partition import ReadOptions
    from jobs.sources.recognise import open_source

    ever = Window(-(2**50), 2**50, -(2**50), 2**50)
    plain = ReadOptions(Fields(), ever)
    converted = ReadOptions(Fields(formats=Formats(amount_scale=2)), ever)
    # The converter is compiled separately, once for all formats.
    for name, reading in [(name, plain) for name in names] + [(name, converted) for name in names if ".bson" in name]:
        for partition in open_source(str(_SHOP / name), reading.fields, None).partitions:
            opened = partition.open(reading, threading.Event())
            decoder = opened.decoder()
            partial = Partial(decoder.merchants, LocalDays("Asia/Tehran"))
            # Not to the sums as a frame: the threads of Polars would not survive the forks of `warm_server`.
            while (chunk := opened.chunks.next(Buffer(0))) is not None:
                for batch in decoder.batches(chunk):
                    partial.add(batch)
            opened.close()


def _compile_all() -> None:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as lanes:
        for lane in [
            lanes.submit(
                subprocess.run,
                [sys.executable, __file__, *names],
                env=os.environ | {"PYTHONPATH": str(ROOT)} | variant,
                timeout=_TIMEOUT_S,
                check=True,
            )
            for variant in ({}, *([CHECKED] if THOROUGH else []))
            for names in _FORMS
        ]:
            lane.result()


if __name__ == "__main__":
    run_kernels(*sys.argv[1:]) if sys.argv[1:] else _compile_all()
