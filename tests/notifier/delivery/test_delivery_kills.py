"""A worker that is killed (SIGKILL) at any point of a delivery loses no message, and sends none twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import delivery_walker
from effort import THOROUGH

_TIMEOUT_S = 120
_POINTS = 14  # before and after the look, and claim, send and outcome of each of two channels; there are more
_ROOT = Path(__file__).parents[3]


def _walk(store_url: str, folder: Path, *numbers: int) -> dict[str, list[dict[str, Any]]]:
    """The final status of each, by kind of sender."""
    script = Path(delivery_walker.__file__)
    command = [sys.executable, str(script), store_url, str(folder / "gateway"), *map(str, numbers)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(one["recovered"] == 0 for one in found), done.stderr
    assert all(one["died"] in (0, -signal.SIGKILL) for one in found), done.stderr
    return {kind: [one for one in found if one["kind"] == kind] for kind in delivery_walker.KINDS}


def _check(found: list[dict[str, Any]], kind: str) -> set[str]:
    """Require a true final status of each delivery; returns the statuses."""
    seen = set()
    for one in found:
        for channel, log in one["logs"].items():
            where = f"killed at {one['n']}, {channel}: {log}"
            seen.add(log["status"])
            assert log["attempts"] == log["begun"], where
            assert log["taken"] <= 1, where
            if kind == "plain" and log["status"] == "unknown":
                assert log["error"].startswith("the worker died"), where
            else:
                assert (log["status"], log["taken"]) == ("success", 1), where
    return seen


def test_a_kill_at_any_point_of_a_delivery_is_safe(store_url: str, tmp_path: Path) -> None:
    """A random sequence of five points, on MongoDB two; all in thorough runs."""
    count = 5 if store_url.startswith("sqlite") else 2
    first = random.randint(1, _POINTS + 1 - count)
    walks = _walk(store_url, tmp_path, *([] if THOROUGH else [first, first + count - 1]))
    for kind, found in walks.items():
        seen = _check(found, kind)
        if not THOROUGH:
            assert [one["n"] for one in found] == list(range(first, first + count))
            continue
        assert len(found) > _POINTS
        assert (found[-1]["died"], [one["n"] for one in found]) == (0, list(range(1, len(found) + 1)))
        assert seen == ({"success", "unknown"} if kind == "plain" else {"success"})
