"""Looks up known vulnerabilities of all packages in `pins/` with pip-audit, and accepts its options.

It fails when there is one. It also fails when the service does not answer or does not know a package, unless
``--tolerate-unknown`` is given. The service is PyPI, or another by ``--vulnerability-service``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import make_pins

_AUDIT: Final = ("--progress-spinner", "off", "--disable-pip", "--require-hashes", "--format", "json")
_UNANSWERED: Final = re.compile(r"(?m)^.*(?:requests\.exceptions\.\w+|ServiceError|network may be blocking).*$")


@dataclass(frozen=True, slots=True)
class Report:
    """The data of a service about packages.

    :param checked: how many packages it knows.
    :param vulnerabilities: a line for each that it reports.
    :param unknown: the reason for each package that it does not know, or why there is no answer.
    """

    checked: int
    vulnerabilities: Sequence[str]
    unknown: Sequence[str]


def audit(files: Sequence[Path], options: Sequence[str] = ()) -> Report:
    """Look up the packages that `files` pin, with their hashes.

    :param options: of pip-audit.
    :raises SystemExit: pip-audit refuses the files or the options.
    """
    requirements = [word for file in files for word in ("--requirement", str(file))]
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "pip_audit", *_AUDIT, *options, "--output", str(answer), *requirements]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.exists():
            return _report(json.loads(answer.read_text())["dependencies"])
    unanswered = _UNANSWERED.findall(ended.stderr)
    if not unanswered:
        sys.exit(ended.stderr or f"Error: pip-audit ended with exit code {ended.returncode}.")
    return Report(0, [], [unanswered[-1].strip()])


def _report(packages: Sequence[dict[str, Any]]) -> Report:
    vulnerabilities = [
        f"{package['name']} {package['version']}: {', '.join([found['id'], *sorted(found['aliases'])])}; "
        f"fixed in {', '.join(found['fix_versions']) or 'no version'}"
        for package in packages
        for found in package.get("vulns", [])
    ]
    unknown = [package["skip_reason"] for package in packages if "skip_reason" in package]
    return Report(len(packages) - len(unknown), vulnerabilities, unknown)


def main(arguments: Sequence[str], groups: Sequence[Sequence[Path]]) -> int:
    """Print what is known of the packages that `groups` of files pin; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--tolerate-unknown", action="store_true", help="do not fail where the service does not know a package"
    )
    given, options = parser.parse_known_args(arguments)
    reports = [audit(files, options) for files in groups]
    vulnerabilities = [line for report in reports for line in report.vulnerabilities]
    unknown = [reason for report in reports for reason in report.unknown]
    print(f"Packages checked: {sum(report.checked for report in reports)}. Vulnerabilities: {len(vulnerabilities)}.")
    print("".join(f"  {line}\n" for line in vulnerabilities), end="")
    if unknown:
        print(f"Not checked: {len(unknown)}, such as: {unknown[0]}", file=sys.stderr)
    return int(bool(vulnerabilities or (unknown and not given.tolerate_unknown)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], [[make_pins.PINS / name for name in names] for names in make_pins.groups()]))
