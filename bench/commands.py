"""Whole commands as a user starts them, each time in a new process."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.data import Data

_REAL_TRANSACTIONS: Final = 21_850
_REAL_MERCHANTS: Final = 9
_COMPILING_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what results and the report call it, and what follows the interpreter on its command line.

    :param compiles: whether each run begins without any compiled decoder.
    :param most_rounds: it is not measured in later rounds.
    """

    name: str
    label: str
    arguments: tuple[str, ...]
    compiles: bool = False
    most_rounds: int = sys.maxsize


def commands(data: Data, scratch: Path, real: Path | None) -> tuple[Command, ...]:
    """The commands to measure.

    :param scratch: folder for their stores.
    :param real: an additional export to rebuild from.
    """
    archive = data.made(".archive.gz", _REAL_TRANSACTIONS, _REAL_MERCHANTS)
    chosen = [
        Command("help", "`python -m jobs --help`", ("-m", "jobs", "--help")),
        Command("imports", "only importing what `rebuild` needs", ("-c", "import jobs.cli.rebuild")),
        _rebuild("rebuild", f"`rebuild --truncate` of a sample archive, {_REAL_TRANSACTIONS:,}", archive, scratch),
    ]
    for form, name in ((".bson", "first-bson"), (".jsonl", "first-jsonl")):
        label = f"`rebuild --truncate` of a small `{form}`, nothing compiled"
        first = _rebuild(name, label, data.warm_up(form), scratch)
        chosen.append(replace(first, compiles=True, most_rounds=_COMPILING_ROUNDS))
    if real is not None:
        label = "`rebuild --truncate` of the archive given with `--real`"
        chosen.append(_rebuild("rebuild-real", label, real.resolve(), scratch))
    return tuple(chosen)


def _rebuild(name: str, label: str, archive: Path, scratch: Path) -> Command:
    store = f"sqlite:///{scratch / name}.db"
    return Command(name, label, ("-m", "jobs", "rebuild", str(archive), "--truncate", "--store", store))


def environment(scratch: Path) -> dict[str, str]:
    """The environment of the commands: the defaults of all settings.

    Numba imports ``coverage`` if that is installed, which takes a twentieth of a short run: it is hidden, as no
    installation of this program has it.
    """
    hidden = scratch / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "coverage.py").write_text("raise ImportError\n")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(hidden), os.environ.get("PYTHONPATH")))),
        "TIME_ZONE": "Asia/Tehran",
        "CALENDAR": "jalali",
        "THREADS": "0",
        "QUARANTINE_DIR": str(scratch / "quarantine"),
    }
