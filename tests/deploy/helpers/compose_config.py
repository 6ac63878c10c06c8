"""`docker-compose.yml` as Docker Compose understands it, read by Compose's own library (`tests/deploy/compose`)."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

ROOT: Final = Path(__file__).parents[3]
SECRETS: Final = {
    "MONGO_ROOT_PASSWORD": "rootpassword",
    "MONGO_PASSWORD": "mongopassword",
    "REDIS_PASSWORD": "redispass",
}
"""The variables that have no default."""

_SOURCES: Final = ROOT / "tests" / "deploy" / "compose"
_BINARY: Final = ROOT / ".cache" / "compose" / "compose"
_BUILD_TIMEOUT_S: Final = 300


def compose(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Read the file with `variables` and no others; the built program must be there, see `build`."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    command = [str(_BINARY), str(ROOT / "docker-compose.yml")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def services(**variables: str) -> dict[str, Any]:
    """Every service with its defaults filled in, as it is with the passwords and `variables`."""
    ended = compose(SECRETS | variables)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)["services"]
    return found


def build(missing: Callable[[str], NoReturn]) -> None:
    """Build the program if it is missing or older than its sources, in one of the test workers.

    :param missing: called where the machine has no Go.
    """
    _BINARY.parent.mkdir(parents=True, exist_ok=True)
    with (_BINARY.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed_at = max((_SOURCES / name).stat().st_mtime for name in ("main.go", "go.mod", "go.sum"))
        if _BINARY.exists() and _BINARY.stat().st_mtime >= changed_at:
            return
        if shutil.which("go") is None:
            missing("Go is not installed: it builds what reads docker-compose.yml")
        command = ["go", "build", "-o", str(_BINARY), "."]
        ended = subprocess.run(
            command, cwd=_SOURCES, timeout=_BUILD_TIMEOUT_S, capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            pytest.fail(f"the reader of docker-compose.yml was not built:\n{ended.stderr}")
        _BINARY.touch()  # go leaves a binary alone that is up to date
