"""The tests of decoding again, with Numba checking every index: nothing is read outside of a buffer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from effort import CHECKED, COMPILED

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "numba-checked"
TIMEOUT_S = 900


@pytest.mark.timeout(TIMEOUT_S)  # the first time, checked kernels are compiled
@pytest.mark.skipif(not COMPILED or CHECKED, reason="this is the run of one kind that starts the other")
def test_no_index_is_out_of_bounds_when_every_one_is_checked() -> None:
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(CACHE)}
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "aggregate")]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *folders]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert run.returncode == 0, run.stdout[-4000:]
