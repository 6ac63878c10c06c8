"""Runs a command with the wall clock of all of its processes moved: ``moved.py COMMAND…``.

Each day has one of `MOMENTS` and one of `ZONES`; ``CLOCK_MOMENT`` and ``CLOCK_ZONE`` choose others. It needs a C
compiler. Debian's libfaketime would do nearly the same: but of its two ways with monotonic clocks one has `time.sleep`
fail and the other lets waits for locks never end, and under both Redis does not start. What is linked without the C
library, such as FerretDB, has the clock of the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

MOMENTS: Final = (
    "2027-03-20T20:35",  # in Tehran the year has just begun
    "2026-12-31T23:58",
    "2028-02-29T12:00",
    "2030-07-06T20:29",
    "2026-09-21T20:31",
)
"""Instants of UTC at which UTC and Tehran are in different days, months or years, or soon will be."""

ZONES: Final = ("America/St_Johns", "UTC", "Asia/Tehran", "Pacific/Kiritimati")
"""Time zones of the host."""

_SOURCE: Final = Path(__file__).with_name("moved_clock.c")
_LIBRARY: Final = Path(__file__).parents[2] / ".cache" / "clock" / "moved_clock.so"
_DAY_S: Final = 86_400


def main(command: list[str]) -> int:
    """Run `command`; its exit code."""
    compiler = shutil.which("cc")
    if compiler is None:
        print("There is no C compiler (cc): what moves the clock is compiled.", file=sys.stderr)
        return 1
    _LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", _LIBRARY, _SOURCE, "-ldl"], check=True)
    now_s = int(time.time())
    day = now_s // _DAY_S
    moment = os.environ.get("CLOCK_MOMENT", MOMENTS[day % len(MOMENTS)])
    zone = os.environ.get("CLOCK_ZONE", ZONES[day % len(ZONES)])
    by_s = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) - now_s
    print(f"The clock is moved to {moment} UTC, the time zone is {zone}.", flush=True)
    moved = {"LD_PRELOAD": str(_LIBRARY), "CLOCK_MOVED_BY_S": str(by_s), "TZ": zone}
    return subprocess.run(command, env=os.environ | moved, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
