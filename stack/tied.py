"""Runs a program that the system ends when its parent has ended: ``python tied.py PARENT COMMAND…``.

A process of its own, and not code between fork and exec, which must not run Python in a parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main(parent: int, command: list[str]) -> None:
    """Become `command`, which gets SIGTERM when the process `parent` ends.

    Only Linux can do that. Elsewhere a program outlives a parent that was killed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before that, so no signal would arrive
            return
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
