"""The bench of publishing on few summaries: it runs, and reports its measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.publishing.run import _section
from bench.running import ROOT


@pytest.mark.parametrize(
    ("server", "named"), [("FerretDB 1.24 on SQLite", True), ("the MongoDB of MONGO_URL", False), ("", False)]
)
def test_the_report_mentions_ferretdb_only_if_measured(server: str, named: bool) -> None:
    page = _section([], server, is_whole=True).page
    assert ("FerretDB searches all of a collection" in page) is named


def test_publishing_all_and_three_days_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "publishing", "--quick", "--only", "sqlite", "--summaries", "5000"]
    files = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    everything, some = json.loads((tmp_path / "results.json").read_text("utf-8"))["publishing"]["costs"]
    assert everything["rows"] == everything["written"] == 5172
    assert some["written"] == 5 * 12  # three days, a week and a month, each of eleven merchants and of all together
    assert min(everything["publishing_s"] + some["publishing_s"] + some["finding_s"]) > 0
    assert "| SQLite | 5,172 | three days | 60 |" in (tmp_path / "RESULTS.md").read_text("utf-8")
    assert list((tmp_path / "data").iterdir()) == []
