"""The bench of the notifier on few messages: it runs, and reports its measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from effort import THOROUGH

from bench.notifier.run import Found, as_section
from bench.notifier.throughput import Rate, Throughput
from bench.running import ROOT, missing_tools


@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 runs what measures")
def test_each_message_is_timed_until_it_reaches_the_gateway(tmp_path: Path, missing: Callable[[str], NoReturn]) -> None:
    if tools := missing_tools("redis-server", "wrk"):
        missing(f"not installed: {', '.join(tools)}: the notifier is measured with them")
    command = [sys.executable, "-m", "bench", "notifier", "--quick", "--only", "latency", "--seconds", "1"]
    files = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    (waits,) = json.loads((tmp_path / "results.json").read_text("utf-8"))["notifier"]["latency"]
    assert len(waits["answered_ms"]) == len(waits["sent_ms"]) == 20
    assert min(waits["sent_ms"]) > 0
    assert "| the gateway has the message |" in (tmp_path / "RESULTS.md").read_text("utf-8")
    assert list((tmp_path / "data").iterdir()) == []


def test_the_result_is_the_median_of_the_ratios_per_round() -> None:
    nothing = Rate("nothing", "nothing", [1000.0, 500.0, 800.0], [1.0] * 3, [1.0] * 3)
    ours = Rate("ours", "ours", [200.0, 250.0, 200.0], [1.0] * 3, [1.0] * 3)
    throughput = Throughput(100, {"nothing": nothing, "ours": ours}, [1000.0])
    section = as_section(Found(3, 1, throughput, [], []), is_whole=False, redis="7.0.15")
    (figure,) = section.samples["figures"]
    assert (figure["measured"], figure["met"]) == (0.25, False)
    assert "| 0.25 x | **no** | 0.20 to 0.50 |" in section.page
