"""The version, which is defined in one place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core import __version__

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("program", ["jobs", "api", "notifier"])
def test_every_program_prints_the_version(program: str) -> None:
    command = [sys.executable, "-m", program, "--version"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{__version__}\n", "")
