"""The tests of decoding again, with Numba checking every index: nothing is read outside of a buffer."""

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
FOLDERS = {"decode": Path(__file__).parent, "aggregate": Path(__file__).parents[1] / "aggregate"}
JSON = sorted(FOLDERS["decode"].glob("test_json_*.py"))
OTHERS = sorted({*FOLDERS["decode"].glob("test_*.py")} - {*JSON, Path(__file__)})
WITH_ANY_BYTES = [FOLDERS["decode"] / f"test_{name}.py" for name in ("hostile_bytes", "bson_documents", "merchants")]


@pytest.mark.timeout(TIMEOUT_S)  # where nothing was compiled before, checked kernels are
@pytest.mark.skipif(not COMPILED or ARE_CHECKED, reason="this is the run of one kind that starts the other")
@pytest.mark.parametrize("tests", [[*OTHERS, FOLDERS["aggregate"]], JSON] if THOROUGH else [WITH_ANY_BYTES])
def test_no_index_is_out_of_bounds_when_every_one_is_checked(tests: list[Path]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(str, tests)]
    if not THOROUGH:
        command += ["-k", "not json"]  # where all runs as Python, the indexes of these kernels are checked too
    run = subprocess.run(
        command, cwd=ROOT, env=unmeasured() | CHECKED, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert run.returncode == 0, run.stdout[-4000:]
