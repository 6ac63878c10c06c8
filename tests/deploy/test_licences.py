"""The licence report of the installed packages, which have the pinned versions."""

from __future__ import annotations

import re

import make_licences
import make_pins


def test_the_licence_report_matches_the_installed_packages() -> None:
    assert make_licences.REPORT.read_text() == make_licences.report()


def test_installed_packages_have_the_pinned_versions() -> None:
    installed = {f"{name}=={package.version}" for name, package in make_licences.runtime().items()}
    assert installed - {pin.partition(" ;")[0] for pin in make_pins.pinned("requirements.txt")} == set()


def test_the_licence_report_includes_indirect_dependencies() -> None:
    assert {"kombu", "llvmlite", "pydantic-core", "dnspython"} <= make_licences.runtime().keys()


def test_every_package_has_an_allowed_licence() -> None:
    licences = {name: make_licences.licence(package) for name, package in make_licences.runtime().items()}
    assert [name for name, licence in licences.items() if not licence] == []
    assert [name for name, licence in licences.items() if re.search(r"\bA?GPL|SSPL|BUSL|NonCommercial", licence)] == []
