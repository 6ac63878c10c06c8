"""Bounds checking: the tests of decoding, with Numba checking every index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from effort import CHECKED as ARE_CHECKED
from effort import COMPILED, THOROUGH
from kernels import CHECKED, ROOT
from unmeasured import unmeasured

TIMEOUT_S = 900
DECODE = Path(__file__).parent
JSON = sorted(DECODE.glob("test_json_*.py"))
OTHERS = sorted({*DECODE.glob("test_*.py")} - {*JSON, Path(__file__)})


@pytest.mark.timeout(TIMEOUT_S)  # where nothing was compiled before, checked kernels are
@pytest.mark.skipif(not COMPILED or ARE_CHECKED, reason="this is the run of one kind that starts the other")
@pytest.mark.skipif(not THOROUGH, reason="where all runs as Python, indexes are checked too")
@pytest.mark.parametrize("tests", [[*OTHERS, DECODE.parent / "aggregate"], JSON])
def test_kernels_have_no_out_of_bounds_access(tests: list[Path]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(str, tests)]
    run = subprocess.run(
        command, cwd=ROOT, env=unmeasured() | CHECKED, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert run.returncode == 0, run.stdout[-4000:]
