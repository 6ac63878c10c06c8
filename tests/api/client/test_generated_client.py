"""Clients that are generated from the OpenAPI document, in Python and TypeScript, are clean and work with a server."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from api_client import add_key
from example_store import fill
from serving_server import ROOT, Server, serving, sqlite_url

from api.openapi.operations import OPERATIONS
from core.stores.api_keys import Scope

_PINS: Final = ROOT / "pins" / "requirements-client.txt"
_ENVIRONMENT: Final = ROOT / ".cache" / "openapi-python-client"
_PROGRAM: Final = Path(__file__).with_name("program.py")
_TYPESCRIPT: Final = Path(__file__).with_name("typescript")
_PACKAGES: Final = ROOT / ".cache" / "openapi-typescript"
_TIMEOUT_S: Final = 300
_PATIENCE_S: Final = "30"  # generous: the machine may be busy

pytestmark = pytest.mark.timeout(600)  # the first time, which makes the environment


@pytest.fixture(scope="module")
def python(missing: Callable[[str], NoReturn]) -> Path:
    """The interpreter of an environment with the generator and what its clients need, made once and kept."""
    program = _ENVIRONMENT / "bin" / "python"
    pip = (str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
    made = (sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)), (*pip, "-r", str(_PINS))
    _install_once(_ENVIRONMENT, _PINS, made, missing)
    return program


@pytest.fixture(scope="module")
def node_modules(missing: Callable[[str], NoReturn]) -> Path:
    """openapi-typescript, openapi-fetch and the compiler in the versions of the lock file, installed once and kept."""
    if shutil.which("npm") is None:
        missing("npm is not installed, which gets openapi-typescript (on Debian: apt-get install npm)")
    npm = ("npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", f"--prefix={_PACKAGES}")
    copied = "cp", str(_TYPESCRIPT / "package.json"), str(_TYPESCRIPT / "package-lock.json"), str(_PACKAGES)
    _install_once(_PACKAGES, _TYPESCRIPT / "package-lock.json", (copied, npm), missing)
    return _PACKAGES / "node_modules"


def _install_once(
    folder: Path, pins: Path, commands: Iterable[Sequence[str]], missing: Callable[[str], NoReturn]
) -> None:
    """Run `commands`, which install what `pins` names into `folder`, unless they have been run for the same."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one test worker installs, the others wait
        if done.exists() and done.read_bytes() == pins.read_bytes():
            return
        for command in commands:
            if subprocess.run(command, check=False, timeout=_TIMEOUT_S).returncode != 0:
                missing(f"what {pins.name} names cannot be installed, which makes the clients")
        shutil.copy(pins, done)


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


def test_the_client_has_one_function_per_operation(client: Path) -> None:
    functions = {path.stem for path in client.glob("api/*/*.py")} - {"__init__"}

    assert functions == {re.sub("([A-Z])", r"_\1", operation.id).lower() for operation in OPERATIONS}


def test_responses_have_the_types_that_the_client_expects(client: Path, python: Path, server: Server) -> None:
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


def test_typescript_types_are_generated_without_warnings_and_pass_strict_checks(
    node_modules: Path, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_bytes(server.ask("/openapi.json").body)
    (tmp_path / "node_modules").symlink_to(node_modules)
    for name in ("package.json", "program.ts"):
        shutil.copy(_TYPESCRIPT / name, tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    generate = ("openapi.json", "--default-non-nullable=false", "-o", "summaries.ts")
    output = run("node_modules/.bin/openapi-typescript", *generate)
    run(
        *("node_modules/.bin/tsc", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"),
        *("--lib", "es2022,dom", "--outDir", ".", "program.ts"),
    )
    key = add_key(sqlite_url(server.folder), list(Scope))
    received = json.loads(run("node", "program.js", f"http://127.0.0.1:{server.port}", key))

    assert "warn" not in output.lower()
    assert received == {
        "values": {"1403/04/04": "120000", "1403/04/06": "80000"},
        "pages": [["book-market", "corner-shop"], ["510000"]],
        "problem": "/problems/unknown-merchant",
        "wrong": ["mode"],
        "created": [201, "Order 68"],
    }
