"""The command line: ``python -m bench``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from bench import job
from bench.api import run as api
from bench.cluster import run as cluster
from bench.data import ROOT, Data
from bench.live import run as live
from bench.measure import BenchFailed
from bench.notifier import run as notifier
from bench.publishing import run as publishing
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
    parser = argparse.ArgumentParser("python -m bench", description="Measure this program beside its peers.")
    parser.add_argument("section", nargs="?", choices=list(HEADINGS), help="one of the sections; default: all")
    parser.add_argument("--quick", action="store_true", help="little data, one short round; keeps no results")
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


def _measured(name: str, only: list[str], options: argparse.Namespace) -> tuple[Section, bool]:
    rounds = options.rounds or (1 if options.quick else _ROUNDS)
    if name == "jobs":
        transactions = options.transactions or (_QUICK_TRANSACTIONS if options.quick else _TRANSACTIONS)
        section, is_whole = job.measure_job(only, Data(options.data, transactions), rounds, options.real)
        return section, is_whole and not options.transactions
    if name == "live":
        transactions = options.transactions or (live.QUICK_TRANSACTIONS if options.quick else live.TRANSACTIONS)
        section, is_whole = live.measure_live(only, Data(options.data, transactions), rounds)
        return section, is_whole and not options.transactions
    if name == "cluster":
        transactions = options.transactions or (cluster.QUICK_TRANSACTIONS if options.quick else cluster.TRANSACTIONS)
        section, is_whole = cluster.measure_cluster(only, Data(options.data, transactions), rounds)
        return section, is_whole and not options.transactions
    if name == "publishing":
        usual = (publishing.QUICK_SUMMARIES,) if options.quick else publishing.SUMMARIES
        summaries = (options.summaries,) if options.summaries else usual
        section, is_whole = publishing.measure_publishing(only, options.data, summaries, rounds)
        return section, is_whole and not options.summaries
    seconds = options.seconds or (1 if options.quick else api.SECONDS)
    if name == "notifier":
        messages = options.messages or (notifier.QUICK_MESSAGES if options.quick else notifier.MESSAGES)
        section, is_whole = notifier.measure_notifier(only, options.data, messages, rounds, seconds)
        return section, is_whole and not (options.messages or options.seconds)
    merchants = options.merchants or (api.QUICK_MERCHANTS if options.quick else api.MERCHANTS)
    section, is_whole = api.measure_api(only, options.data, merchants, rounds, seconds)
    return section, is_whole and not (options.merchants or options.seconds)


def main() -> int:
    """Measure, print the page, and keep it where that is wanted."""
    options = _parser().parse_args()
    try:
        for name, parts in _PARTS.items():
            only = [part for part in parts if not options.only or part in options.only]
            if not only or options.section not in (None, name):
                continue
            section, is_whole = _measured(name, only, options)
            print(section.text)
            folder = options.out or (ROOT / "bench" if is_whole and not options.quick else None)
            if folder is not None:
                keep(folder, [section])
    except BenchFailed as error:
        print(f"The bench failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
