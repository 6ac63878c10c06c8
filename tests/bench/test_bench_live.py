"""The bench of live collections on few documents: it runs, and all programs give the same totals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from effort import THOROUGH

from bench.live.programs import PROGRAMS
from bench.running import ROOT


@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 runs what measures")
def test_every_benchmarked_program_reads_the_same_live_totals(tmp_path: Path, mongo_url: str) -> None:
    files = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    slow = ("ours-4", "drain-4")  # with FerretDB
    only = [option for program in PROGRAMS if program.name not in slow for option in ("--only", f"live-{program.name}")]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "live", "--quick", "--transactions", "300", *files, *only],
        cwd=ROOT, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measurements = json.loads((tmp_path / "results.json").read_text("utf-8"))["live"]["measurements"]
    assert len({measurements[name]["digest"] for name in ("ours", "pymongoarrow", "pymongo")}) == 1
    assert "| ours, 1 cursor |" in (tmp_path / "RESULTS.md").read_text("utf-8")
