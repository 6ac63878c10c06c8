"""`pins/`: all dependencies of `requirements*.txt`, with hashes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import make_pins
import pytest
from compose_config import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAMES = make_pins.requirements()


def _version(requirement: Requirement) -> str:
    return str(requirement.specifier).removeprefix("==")


def _pinned(name: str) -> dict[str, str]:
    found = [Requirement(pin) for pin in make_pins.pinned(name)]
    return {canonicalize_name(one.name): _version(one) for one in found}


def _named(name: str) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(one.name): _version(one) for one in found}


@pytest.mark.parametrize("name", NAMES)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    assert _named(name).items() <= _pinned(name).items(), "run `make pins`"
    text = (make_pins.PINS / name).read_text()
    assert len(re.findall(r"(?m)^[a-z0-9]", text)) == len(
        re.findall(r"==[^\n]* \\\n +--hash=sha256:[0-9a-f]{64}", text)
    )


@pytest.mark.parametrize("names", make_pins.groups())
def test_a_package_has_the_same_version_and_hashes_wherever_it_is_pinned(names: list[str]) -> None:
    found: dict[str, set[tuple[str, str]]] = {}
    for name in names:
        for pin, hashes in make_pins.pinned(name).items():
            found.setdefault(Requirement(pin).name, set()).add((pin.partition(" ;")[0], hashes))
    assert found
    assert [name for name, pins in found.items() if len(pins) > 1] == []


@pytest.mark.parametrize("target", ["demo", "run", "lint", "bench", "notebook", "mutation", "pins"])
def test_make_installs_nothing_without_its_hash(target: str, tmp_path: Path) -> None:
    command = ["make", "--dry-run", "--always-make", f"VENV={tmp_path}/venv", target]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    installed = [line for line in output.splitlines() if "pip install" in line]
    assert installed
    assert all("--require-hashes -r pins/" in line for line in installed)


@pytest.mark.parametrize("file", [".ci/run", "Dockerfile", "docs/operations.md", "docs/sources.md"])
def test_every_pip_install_requires_hashes(file: str) -> None:
    lines = (ROOT / file).read_text().replace("\\\n", "").splitlines()
    installed = [line for line in lines if "-m pip install" in line]
    assert installed
    assert [
        line for line in installed if not re.search("--require-hashes .*pins/|--require-hashes .*/build/", line)
    ] == []
