"""Schemathesis: the server conforms to its OpenAPI document, even for invalid requests."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from api_client import add_key
from effort import THOROUGH
from example_store import fill
from serving_server import ROOT, environment, serving, sqlite_url
from unmeasured import unmeasured

from api.openapi.operations import OPERATIONS
from core.stores.api_keys import Scope

_HERE = Path(__file__).parent
_TIMEOUT_S = 210
_PATIENCE_S = "30"  # generous: the machine may be busy

pytestmark = pytest.mark.timeout(270)


def test_an_open_server_conforms_to_its_openapi_document(tmp_path: Path) -> None:
    """Of its operations a third, by chance, unless time does not matter."""
    ids = [operation.id for operation in OPERATIONS]
    chosen = ids if THOROUGH else random.sample(ids, len(ids) // 3)
    fill(sqlite_url(tmp_path))

    with serving(tmp_path, API_REQUEST_TIMEOUT_S=_PATIENCE_S) as server:
        # Without a key the server takes JSON only, also where it then says that the method is not known.
        _run(
            server.port,
            tmp_path,
            "--phases=coverage,fuzzing",
            f"--max-examples={20 if THOROUGH else 2}",
            "--header=Content-Type: application/json",
            *(f"--include-operation-id={one}" for one in chosen),
        )


@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 asks a server with keys as well")
def test_a_server_with_keys_conforms_to_its_openapi_document(tmp_path: Path) -> None:
    fill(sqlite_url(tmp_path))
    token = add_key(sqlite_url(tmp_path), list(Scope))

    with serving(tmp_path, API_REQUEST_TIMEOUT_S=_PATIENCE_S, API_ACCESS="keys") as server:
        _run(
            server.port,
            tmp_path,
            "--phases=fuzzing",
            "--max-examples=10",
            f"--header=Authorization: Bearer {token}",
        )


def _run(port: int, folder: Path, *options: str) -> None:
    """Run Schemathesis against the server at `port`, and fail with its findings."""
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--no-color",
            f"--config-file={_HERE / 'schemathesis.toml'}",
            "run",
        ),
        *(f"http://127.0.0.1:{port}/openapi.json", "--checks=all", "--seed=4"),
        *("--generation-deterministic", "--continue-on-failure", "--output-truncate=true", *options),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": str(_HERE / "schemathesis_hooks.py"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=unmeasured(environment(folder)) | hooks,
        timeout=_TIMEOUT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    output = "\n".join(line[:400] for line in (done.stdout + done.stderr).splitlines())
    assert done.returncode == 0, f"{options}\n{output}"
