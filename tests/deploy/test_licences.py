"""The report of the licences of what is installed, which is what is pinned."""

from __future__ import annotations

import re
import subprocess
import sys

import make_licences
import make_pins
from compose_config import ROOT


def test_the_report_is_that_of_the_installed_packages() -> None:
    command = [sys.executable, "docs/make_licences.py", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_is_installed_has_the_versions_that_are_pinned() -> None:
    installed = {f"{name}=={package.version}" for name, package in make_licences.runtime().items()}
    assert installed - {pin.partition(" ;")[0] for pin in make_pins.pinned("requirements.txt")} == set()


def test_packages_that_others_need_are_named_too() -> None:
    assert {"kombu", "llvmlite", "pydantic-core", "dnspython"} <= make_licences.runtime().keys()


def test_every_package_declares_a_licence_that_a_product_may_be_shipped_with() -> None:
    licences = {name: make_licences.licence(package) for name, package in make_licences.runtime().items()}
    assert [name for name, licence in licences.items() if not licence] == []
    assert [name for name, licence in licences.items() if re.search(r"\bA?GPL|SSPL|BUSL|NonCommercial", licence)] == []
