"""A client that openapi-python-client makes from the OpenAPI document is clean, and works against a served API."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from api_client import add_key
from example_store import fill
from serving_server import ROOT, Server, serving, sqlite_url

from api.openapi.operations import OPERATIONS
from core.stores.api_keys import Scope

_GENERATOR: Final = "openapi-python-client==0.29.1"
_ENVIRONMENT: Final = ROOT / ".cache" / _GENERATOR
_PROGRAM: Final = Path(__file__).with_name("program.py")
_TIMEOUT_S: Final = 300
_PATIENCE_S: Final = "30"  # this is not about slow clients, and the machine may be busy

pytestmark = pytest.mark.timeout(600)  # the first time, which makes the environment


@pytest.fixture(scope="module")
def python(missing: Callable[[str], NoReturn]) -> Path:
    """The interpreter of an environment with the generator and what its clients need, made once and kept."""
    program = _ENVIRONMENT / "bin" / "python"
    _ENVIRONMENT.parent.mkdir(exist_ok=True)
    with (_ENVIRONMENT.parent / "openapi-python-client.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers one makes it and the others wait
        if not (_ENVIRONMENT / "done").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], check=True, timeout=_TIMEOUT_S)
            install = [str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _GENERATOR]
            if subprocess.run(install, check=False, timeout=_TIMEOUT_S).returncode != 0:
                missing(f"{_GENERATOR} cannot be installed, which makes the client")
            (_ENVIRONMENT / "done").touch()
    return program


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A server that needs keys, over the store of the examples."""
    fill(sqlite_url(folder))
    with serving(folder, API_ACCESS="keys", API_REQUEST_TIMEOUT_S=_PATIENCE_S) as running:
        yield running


@pytest.fixture(scope="module")
def client(python: Path, server: Server, folder: Path) -> Path:
    """The client, a package that is made from the document of the server without a warning."""
    document, options, package = folder / "openapi.json", folder / "options.yml", folder / "summaries_client"
    document.write_bytes(server.ask("/openapi.json").body)
    options.write_text("post_hooks: []\n")  # which would only format it
    source = [f"--path={document}", f"--output-path={package}", f"--config={options}"]
    command = [str(python), "-m", "openapi_python_client", "generate", *source, "--meta=none", "--fail-on-warning"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return package


def test_it_has_a_function_for_each_operation_and_no_other(client: Path) -> None:
    functions = {path.stem for path in client.glob("api/*/*.py")} - {"__init__"}

    assert functions == {re.sub("([A-Z])", r"_\1", operation.id).lower() for operation in OPERATIONS}


def test_its_requests_are_answered_as_it_expects(client: Path, python: Path, server: Server) -> None:
    key = add_key(sqlite_url(server.folder), list(Scope))
    command = [str(python), str(_PROGRAM), f"http://127.0.0.1:{server.port}", key]

    done = subprocess.run(
        command, env={"PYTHONPATH": str(client.parent)}, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )

    assert done.returncode == 0, done.stderr
    received: dict[str, Any] = json.loads(done.stdout)
    assert received == {
        "series": {"1403/04/04": 120_000, "1403/04/06": 80_000},
        "several": [
            ["corner-shop", "1403/04/04", "120000", "1 day, 0:00:00", True],
            ["corner-shop", "1403/04/06", "80000", "1 day, 0:00:00", False],
            ["tea-house", "1403/04/04", "60000", "1 day, 0:00:00", True],
        ],
        "pages": [["book-market", "corner-shop"], ["tea-house"]],
        "after the last": None,
        "unchanged": 304,
        "merchants": 3,
        "problems": ["UNKNOWN_MERCHANT", "BAD_PARAMETER", "NO_KEY"],
        "wrong": ["limit"],
        "created once": True,
        "cancelled": ["CANCELLED", "CANCEL"],
        "subscriptions": ["WEEKLY"],
        "ended": True,
        "scopes": ["NOTIFICATIONS", "OPERATE", "SUMMARIES"],
        "filters": [],
        "health": "ok",
    }
