"""The bench of a cluster on few documents: it runs, and reports its measurements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cluster.run import LINKS, Found, as_section
from bench.running import ROOT


@pytest.mark.parametrize(("cluster_s", "met"), [(2.4, "1.20 x | yes"), (2.6, "1.30 x | **no**")])
def test_the_report_says_whether_the_cluster_met_its_target(cluster_s: float, met: str) -> None:
    found = Found(64_000_000, 3, {"here": [1.0, 2.0, 9.0], "there": [9.0, cluster_s, 1.0]})
    what = "Dask `local:2`, warm workers, 64,000,000 documents: over this process"
    assert f"| {what} | at most 1.25 x | {met} |" in as_section(found).text


@pytest.mark.skipif(os.environ.get("THOROUGH", "0") == "0", reason="THOROUGH=1 starts a cluster for the bench")
def test_a_cluster_and_this_process_count_the_same_documents(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "cluster", "--quick", "--transactions", "2000"]
    files = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text("utf-8"))["cluster"]
    assert found["transactions"] == 2000 * LINKS
    assert [len(seconds) for seconds in found["seconds"].values()] == [1, 1]
    assert list((tmp_path / "data").glob("links-*")) == []
