"""The package built by ``pip install .``: its files, dependencies and command."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path
from typing import Final

import make_pins
import pytest
from packaging.requirements import Requirement

from core import __version__

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("api", "core", "jobs", "notifier", "sql")

Call = Callable[..., subprocess.CompletedProcess[str]]


def python(*arguments: str | Path, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation")
    built = python("-m", "pip", "wheel", ROOT, *offline, "--wheel-dir", folder, folder=folder)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def command(wheel: Path) -> Call:
    """Calls the installed command in a folder without the source code."""
    site, folder = wheel.parent / "site", wheel.parent / "elsewhere"
    folder.mkdir()
    offline = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    installed = python("-m", "pip", "install", *offline, "--target", site, wheel, folder=folder)
    assert installed.returncode == 0, installed.stderr
    script = site / "bin/transaction-summary"
    # Uncompiled, as few documents are read: kernels of another path would be compiled again.
    settings = {"PYTHONPATH": str(site), "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
    return lambda *arguments: python(script, *arguments, folder=folder, **settings)


def test_the_package_has_every_file_of_the_program_and_no_other(wheel: Path) -> None:
    here = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"api/dashboard/index.html", "sql/schema/generation.sql", "core/program.py"} <= here
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == here


def test_the_package_requires_the_tested_versions(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(name).decode())
    needed = {Requirement(line) for line in metadata.get_all("Requires-Dist", [])}
    assert needed == {Requirement(pin) for pin in make_pins.pinned("requirements.txt")}
    assert metadata["Version"] == __version__


def test_the_installed_command_works_in_any_folder(command: Call) -> None:
    for arguments in (
        ("jobs", "sample", "shop.bson", "--transactions", "20"),
        ("jobs", "rebuild", "shop.bson"),
        ("jobs", "query", "top_merchants", "--limit", "1"),
        ("notifier", "subscriptions", "list"),
    ):
        ended = command(*arguments)
        assert ended.returncode == 0, ended
    assert "Without a command: serve." in command("api", "--help").stdout


def test_the_installed_command_lists_its_subcommands(command: Call) -> None:
    assert "  jobs      makes summaries" in command().stdout
    assert command("--version").stdout == f"{__version__}\n"
    wrong = command("job")
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (2, "Error: there is no part job.")
