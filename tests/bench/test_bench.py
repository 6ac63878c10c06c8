"""The bench on little data: it runs, and all programs give the same totals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from effort import THOROUGH

from bench.programs import PROGRAMS
from bench.running import ROOT

TRANSACTIONS = 4000
INSTALLED = [program for program in PROGRAMS if program.installed]
# One of each function: what else is in the table is the same on more or other data.
TRIED = INSTALLED if THOROUGH else list({program.function: program for program in reversed(INSTALLED)}.values())


@pytest.mark.timeout(600)
@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 runs what measures")
def test_every_benchmarked_program_gives_the_same_totals(tmp_path: Path) -> None:
    only = [option for program in TRIED for option in ("--only", program.name)]
    files = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    command = [sys.executable, "-m", "bench", "--quick", "--transactions", str(TRANSACTIONS), *files, *only]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    measurements = json.loads((tmp_path / "results.json").read_text())["jobs"]["measurements"]
    assert measurements.keys() == {program.name for program in TRIED}
    digests = {measurements[program.name]["digest"] for program in TRIED if program.has_totals and program.scale == 1}
    assert len(digests) == 1
    assert "" not in digests
    assert "ours over the pymongo loop" in (tmp_path / "RESULTS.md").read_text()
