"""The command line: ``python -m bench``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.commands import commands, environment
from bench.data import ROOT, Data
from bench.machine import describe, load_average
from bench.measure import BenchFailed, measure
from bench.programs import PROGRAMS
from bench.report import Results, as_json, as_markdown

_COMMANDS: Final = "commands"
_FULL: Final = (3_000_000, 5)
_QUICK: Final = (300_000, 1)


def _parser() -> argparse.ArgumentParser:
    names = [*(program.name for program in PROGRAMS), _COMMANDS]
    parser = argparse.ArgumentParser("python -m bench", description="Measure this program beside its peers.")
    parser.add_argument("--quick", action="store_true", help="300,000 transactions, one round; keeps no results")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--transactions", type=int, metavar="N", help="instead of 3,000,000")
    parser.add_argument("--rounds", type=int, metavar="N", help="instead of 5")
    parser.add_argument("--real", type=Path, metavar="PATH", help="an archive of your own to measure `rebuild` on too")
    parser.add_argument("--data", type=Path, metavar="DIR", default=ROOT / ".cache" / "bench", help="for sample files")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="for RESULTS.md and results.json [default: bench/, if all is measured]"
    )
    return parser


def main() -> int:
    """Measure, print the page, and keep it where that is wanted."""
    options = _parser().parse_args()
    transactions, rounds = _QUICK if options.quick else _FULL
    data = Data(options.data, options.transactions or transactions)
    wanted = [program for program in PROGRAMS if not options.only or program.name in options.only]
    installed = [program for program in wanted if program.installed]
    load_before = load_average()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            with_commands = not options.only or _COMMANDS in options.only
            results = Results(
                transactions=data.transactions,
                rounds=options.rounds or rounds,
                measurements=measure(
                    installed,
                    commands(data, Path(scratch), options.real) if with_commands else (),
                    data,
                    options.rounds or rounds,
                    environment(Path(scratch)),
                ),
                missing=[program.name for program in wanted if not program.installed],
                machine=describe(),
                load=(load_before, load_average()),
            )
    except BenchFailed as error:
        print(f"The bench failed: {error}", file=sys.stderr)
        return 1
    page = as_markdown(results)
    print(page)
    complete = not (options.quick or options.only or options.transactions or results.missing)
    folder = options.out or (ROOT / "bench" if complete else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "RESULTS.md").write_text(page, encoding="utf-8")
        (folder / "results.json").write_text(as_json(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
