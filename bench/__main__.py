"""The command line: ``python -m bench``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from bench import job
from bench.api import run as api
from bench.cluster import run as cluster
from bench.data import Data
from bench.live import run as live
from bench.notifier import run as notifier
from bench.publishing import run as publishing
from bench.running import ROOT, BenchFailed
from bench.sections import HEADINGS, Section, keep

_PARTS: Final = {
    "jobs": job.PARTS,
    "live": live.PARTS,
    "cluster": cluster.PARTS,
    "api": api.PARTS,
    "notifier": notifier.PARTS,
    "publishing": publishing.PARTS,
}
_TRANSACTIONS: Final = 3_000_000
_QUICK_TRANSACTIONS: Final = 300_000
_ROUNDS: Final = 5


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description="Compare this program with its peers.")
    parser.add_argument("section", nargs="?", choices=list(HEADINGS), help="one of the sections; default: all")
    parser.add_argument("--quick", action="store_true", help="little data, one short round; writes no files")
    names = [name for parts in _PARTS.values() for name in parts]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"instead of {_ROUNDS}")
    parser.add_argument("--transactions", type=int, metavar="N", help="jobs, live, cluster: instead of the usual")
    parser.add_argument("--real", type=Path, metavar="PATH", help="jobs: an archive of your own to rebuild from too")
    parser.add_argument("--merchants", type=int, metavar="N", help=f"api: instead of {api.MERCHANTS:,}")
    parser.add_argument("--seconds", type=int, metavar="N", help=f"api, notifier: of a round, instead of {api.SECONDS}")
    parser.add_argument("--messages", type=int, metavar="N", help=f"notifier: instead of {notifier.MESSAGES:,}")
    parser.add_argument("--summaries", type=int, metavar="N", help="publishing: instead of a million, and five")
    parser.add_argument("--data", type=Path, metavar="DIR", default=ROOT / ".cache" / "bench", help="for made-up data")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="for RESULTS.md and results.json [default: bench/, if all is measured]"
    )
    return parser


def _measured(name: str, only: list[str], options: argparse.Namespace) -> Section:
    def size(given: int | None, usual: int, quick: int) -> int:
        return given or (quick if options.quick else usual)

    def data(usual: int, quick: int) -> Data:
        return Data(options.data, size(options.transactions, usual, quick))

    rounds = size(options.rounds, _ROUNDS, 1)
    seconds = size(options.seconds, api.SECONDS, 1)
    match name:
        case "jobs":
            return job.measure_job(only, data(_TRANSACTIONS, _QUICK_TRANSACTIONS), rounds, options.real)
        case "live":
            return live.measure_live(only, data(live.TRANSACTIONS, live.QUICK_TRANSACTIONS), rounds)
        case "cluster":
            return cluster.measure_cluster(data(cluster.TRANSACTIONS, cluster.QUICK_TRANSACTIONS), rounds)
        case "publishing":
            usual = (publishing.QUICK_SUMMARIES,) if options.quick else publishing.SUMMARIES
            summaries = (options.summaries,) if options.summaries else usual
            return publishing.measure_publishing(only, options.data, summaries, rounds)
        case "notifier":
            messages = size(options.messages, notifier.MESSAGES, notifier.QUICK_MESSAGES)
            return notifier.measure_notifier(only, options.data, messages, rounds, seconds)
        case _:
            merchants = size(options.merchants, api.MERCHANTS, api.QUICK_MERCHANTS)
            return api.measure_api(only, options.data, merchants, rounds, seconds)


def main() -> int:
    """Measure, print the page, and store it if requested."""
    options = _parser().parse_args()
    sizes = (options.transactions, options.merchants, options.seconds, options.messages, options.summaries)
    is_usual = not options.quick and not any(sizes)
    # Every installation has the bytecode of the program; without it each process would compile a hundred modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        for name, parts in _PARTS.items():
            only = [part for part in parts if not options.only or part in options.only]
            if not only or options.section not in (None, name):
                continue
            load_before, *_ = os.getloadavg()
            section = _measured(name, only, options).on_this_machine((load_before, os.getloadavg()[0]))
            print(section.text)
            folder = options.out or (ROOT / "bench" if section.is_whole and is_usual else None)
            if folder is not None:
                keep(folder, section)
    except BenchFailed as error:
        print(f"The bench failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
