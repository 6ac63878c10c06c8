"""Writes `docs/licences.md` from what is installed.

It names every package that the program runs on: those of `requirements.txt`, and what these need in turn.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import make_pins
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT: Final = Path(__file__).parents[1]
_REQUIREMENTS: Final = _ROOT / "requirements.txt"
REPORT: Final = _ROOT / "docs" / "licences.md"
_MOST_OF_A_NAME: Final = 60  # a longer field holds the text of the licence
_SAYS_NOTHING: Final = frozenset({"", "Dual License"})
_CLASSIFIER: Final = "License :: OSI Approved :: "


def runtime() -> dict[str, Distribution]:
    """The packages that the program runs on, by name, in alphabetical order."""
    pinned = map(Requirement, make_pins.pinned("requirements.txt"))
    return {one.name: distribution(one.name) for one in pinned if one.marker is None or one.marker.evaluate()}


def named() -> list[Requirement]:
    """The lines of `requirements.txt` that name a package."""
    lines = (line.partition("#")[0].strip() for line in _REQUIREMENTS.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def licence(package: Distribution) -> str:
    """The licence as the package itself declares it: an SPDX expression, or else its own words."""
    metadata = package.metadata
    for field in ("License-Expression", "License"):
        declared = "".join(map(str, metadata.get_all(field) or ())).strip()
        if declared not in _SAYS_NOTHING and len(declared) <= _MOST_OF_A_NAME:
            return declared
    classifiers = [str(line) for line in metadata.get_all("Classifier") or ()]
    return " or ".join(line.removeprefix(_CLASSIFIER) for line in classifiers if line.startswith(_CLASSIFIER))


def report() -> str:
    """The content of the file."""
    packages = runtime()
    direct = {canonicalize_name(requirement.name) for requirement in named()}
    rows = [
        f"| {name} | {package.version} | {licence(package)} | {'yes' if name in direct else ''} |"
        for name, package in packages.items()
    ]
    lines = [
        "# Licences",
        "",
        "Look up the licence of each package that the program uses, as the package declares it. After a change of",
        "`requirements*.txt`, write this page again:",
        "",
        "```sh",
        "make pins",
        "```",
        "",
        "Packages that only tests and benchmarks use are not listed. The program itself has the",
        "[MIT licence](../LICENSE).",
        "",
        "| package | version | licence | used directly |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    REPORT.write_text(report())
