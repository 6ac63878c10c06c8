"""Runs a program that ends when its parent process ends: ``python tied.py PARENT COMMAND…``.

It is a separate process, because Python code between fork and exec is unsafe in a parent with threads.
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

    Only Linux supports this. On other systems the program outlives a killed parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before that, so no signal would arrive
            return
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
