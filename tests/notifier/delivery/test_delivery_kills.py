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
import pytest
from effort import THOROUGH

_TIMEOUT_S = 120
_POINTS = 14  # before and after the look, and claim, send and outcome of each of two channels; there are more
_ROOT = Path(__file__).parents[3]


def _walk(store_url: str, folder: Path, kind: str, *numbers: int) -> list[dict[str, Any]]:
    script = Path(delivery_walker.__file__)
    command = [sys.executable, str(script), store_url, str(folder / "gateway"), kind, *map(str, numbers)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(one["recovered"] == 0 for one in found), done.stderr
    assert all(one["died"] in (0, -signal.SIGKILL) for one in found), done.stderr
    return found


def _check(found: list[dict[str, Any]], kind: str) -> set[str]:
    """Each log has ended truly; the statuses that there were."""
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


@pytest.mark.parametrize("kind", ["plain", "askable", "recognising"])
def test_points_of_a_delivery_on_sqlite(tmp_path: Path, kind: str) -> None:
    """Of all of them five in turn, by chance, unless time does not matter."""
    first = random.randint(1, _POINTS - 4)
    found = _walk(f"sqlite:///{tmp_path / 's.db'}", tmp_path, kind, *([] if THOROUGH else [first, first + 4]))
    seen = _check(found, kind)
    if not THOROUGH:
        assert [one["n"] for one in found] == list(range(first, first + 5))
        return
    assert len(found) > _POINTS
    assert (found[-1]["died"], [one["n"] for one in found]) == (0, list(range(1, len(found) + 1)))
    assert seen == ({"success", "unknown"} if kind == "plain" else {"success"})


@pytest.mark.parametrize("kind", ["plain", "askable", "recognising"])
def test_points_of_a_delivery_on_mongo(tmp_path: Path, mongo_database_url: str, kind: str) -> None:
    """Of all of them two in turn, by chance, unless time does not matter."""
    first = random.randint(1, _POINTS)
    found = _walk(mongo_database_url, tmp_path, kind, *([] if THOROUGH else [first, first + 1]))
    _check(found, kind)
    if THOROUGH:
        assert len(found) > _POINTS
