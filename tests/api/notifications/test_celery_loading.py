"""Celery is imported in the background, so the first message does not wait for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_AT_THE_START = """
import sys, api
from core.notifications import background_queue
background_queue._PREPARE_AFTER_S = 3600  # however long this process is kept waiting
api.get_app()
print(not {'celery', 'kombu', 'redis'}.isdisjoint(sys.modules))
"""
_SOON_AFTER = """
import sys, time, api
api.get_app()
deadline = time.monotonic() + 60
while 'celery' not in sys.modules and time.monotonic() < deadline:
    time.sleep(0.05)
print('celery' in sys.modules)
"""


@pytest.mark.parametrize(("script", "loaded"), [(_AT_THE_START, "False"), (_SOON_AFTER, "True")])
def test_celery_is_loaded_soon_after_the_start_and_not_by_it(tmp_path: Path, script: str, loaded: str) -> None:
    reported = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[3],
        env={"STORE_URL": f"sqlite:///{tmp_path / 's.db'}", "API_RATE_LIMIT_STORAGE": "memory://"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert reported.stdout.split() == [loaded]
