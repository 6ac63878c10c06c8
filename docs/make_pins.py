"""Writes `pins/`: all direct and indirect dependencies of each `requirements*.txt`, with versions and hashes.

A file of `pins/` includes those that its requirements include, and names only what these lack. A version that was
pinned before stays where the requirements still allow it; ``--upgrade`` takes the newest ones. A package has the same
version in all files but those of `SEPARATE`. uv asks the index of its own settings, such as ``UV_DEFAULT_INDEX``, and
not that of pip's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PINS: Final = ROOT / "pins"
SEPARATE: Final = ("requirements-client.txt",)
"""Files that no other includes, whose packages need other versions than the program does."""
_OPTIONS: Final = ("--universal", "--python-version", "3.11", "--no-annotate", "--no-header")


def requirements() -> list[str]:
    """The names of `requirements*.txt`; each after those that it includes."""
    ordered: list[str] = []

    def add(name: str) -> None:
        for other in included(ROOT / name):
            add(other)
        if name not in ordered:
            ordered.append(name)

    for path in sorted(ROOT.glob("requirements*.txt")):
        add(path.name)
    return ordered


def groups() -> list[list[str]]:
    """The names of these files: in those of one group a package has the same version."""
    return [[name for name in requirements() if name not in SEPARATE], *([name] for name in SEPARATE)]


def included(file: Path) -> list[str]:
    """The names of the files that `file` includes."""
    return re.findall(r"(?m)^-r (\S+)", file.read_text("utf-8"))


def pinned(name: str) -> dict[str, str]:
    """Every package that `pins/NAME` installs: ``name==version``, with a marker where there is one, and its hashes."""
    found: dict[str, str] = {}
    for other in included(PINS / name):
        found |= pinned(other)
    return found | _entries((PINS / name).read_text("utf-8"))


def _entries(text: str) -> dict[str, str]:
    found: list[tuple[str, str]] = re.findall(r"(?m)^([a-z0-9][^\\\n]*) \\\n((?: +--hash=.*\n)+)", text)
    return dict(found)


def _compile(names: Sequence[str], *options: str) -> str:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *_OPTIONS, *options, *names]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(ended.stderr)
    return ended.stdout


def _pin(names: Sequence[str], arguments: Sequence[str]) -> None:
    """Write these files, so that a package has the same version in each."""
    before = {pin for name in names if (PINS / name).exists() for pin in _entries((PINS / name).read_text("utf-8"))}
    with tempfile.NamedTemporaryFile("w+", suffix=".txt", encoding="utf-8") as versions:
        # uv keeps what the file that it writes has already.
        versions.write("".join(f"{pin}\n" for pin in sorted(before)))
        versions.flush()
        _compile(names, "--output-file", versions.name, *arguments)
        for name in names:
            others = included(ROOT / name)
            there = {pin for other in others for pin in pinned(other)}
            own = _entries(_compile([name], "--generate-hashes", "--constraints", versions.name))
            (PINS / name).write_text(
                "".join(
                    [
                        f"# Made from ../{name} by `make pins`.\n",
                        *(f"-r {other}\n" for other in others),
                        *(f"{pin} \\\n{hashes}" for pin, hashes in own.items() if pin not in there),
                    ]
                ),
                "utf-8",
            )


def main(arguments: Sequence[str]) -> None:
    """Write all files."""
    PINS.mkdir(exist_ok=True)
    for names in groups():
        _pin(names, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
