"""The part of the bench that measures a cluster: ``python -m bench cluster``."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.data import ROOT, Data, into_page_cache
from bench.machine import describe, load_average
from bench.measure import BenchFailed, keep_to_cores
from bench.programs import THREADS
from bench.sections import Section, short, table

PARTS: Final = ("dask",)
"""What can be measured alone."""

TRANSACTIONS: Final = 8_000_000
"""Of one file, of which there are `LINKS`."""
QUICK_TRANSACTIONS: Final = 20_000
LINKS: Final = 8
_TIMEOUT_S: Final = 1800
_LIMIT: Final = 1.25
_WAYS: Final = {"threads of this process": (), f"Dask, local:{THREADS}, warm workers": ("--cluster",)}


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured.

    :param transactions: of all files together.
    :param seconds: one a round, by way.
    """

    transactions: int
    rounds: int
    seconds: Mapping[str, list[float]]
    machine: Mapping[str, str]
    load: tuple[float, float]


def measure_cluster(only: Collection[str], data: Data, rounds: int) -> tuple[Section, bool]:
    """Measure both ways, in turn.

    :param only: some of `PARTS`.
    :returns: the section, and whether all of it was measured.
    :raises BenchFailed: a way fails, or gives other totals.
    """
    keep_to_cores(THREADS)
    load_before = load_average()
    seconds: dict[str, list[float]] = {way: [] for way in _WAYS}
    digests = set[str]()
    source, warm_up = data.file(".bson"), data.warm_up(".bson")
    into_page_cache(source)
    with _links(source) as folder, _links(warm_up) as small:
        for number in range(1, rounds + 1):
            for way, options in _WAYS.items():
                answer = _run(way, [str(folder), str(small), *options])
                if answer["count"] != data.transactions * LINKS:
                    raise BenchFailed(f"{way} counted {answer['count']} of {data.transactions * LINKS} transactions")
                digests.add(answer["digest"])
                seconds[way].append(answer["seconds"])
                print(f"round {number} of {rounds}: {way} {answer['seconds']:.3f} s", file=sys.stderr, flush=True)
    if len(digests) != 1:
        raise BenchFailed("the cluster has other totals than this process")
    found = Found(data.transactions * LINKS, rounds, seconds, describe(), (load_before, load_average()))
    return as_section(found), set(PARTS) <= set(only)


@contextmanager
def _links(path: Path) -> Iterator[Path]:
    """A folder beside `path` with `LINKS` hard links of it: as many files, which take no room."""
    with tempfile.TemporaryDirectory(prefix="links-", dir=path.parent) as name:
        folder = Path(name)
        for number in range(LINKS):
            (folder / f"{number}.bson").hardlink_to(path)
        yield folder


def _run(way: str, arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.cluster.worker", *arguments]
    environment = os.environ | {"POLARS_MAX_THREADS": str(THREADS)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=_TIMEOUT_S, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{way} took longer than {_TIMEOUT_S} s") from None
    if done.returncode:
        raise BenchFailed(f"{way} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def as_section(found: Found) -> Section:
    """The section that tells what was found."""
    here, there = (statistics.median(seconds) for seconds in found.seconds.values())
    ratio = there / here
    what = f"Dask `local:{THREADS}`, warm workers, {found.transactions:,} documents: over this process"
    page = _PAGE.format(
        figures=table(
            ("what", "to reach", "measured", "met"),
            [(what, f"at most {_LIMIT} x", f"{short(ratio)} x", "yes" if ratio <= _LIMIT else "**no**")],
        ),
        ways=table(
            ("way", "median", "best", "documents/s"),
            [
                (way, f"{short(statistics.median(taken))} s", f"{short(min(taken))} s",
                 f"{found.transactions / statistics.median(taken):,.0f}")
                for way, taken in found.seconds.items()
            ],
        ),
        rounds=found.rounds,
        links=LINKS,
        load=found.load,
        machine=table(("machine", ""), found.machine.items()),
    )  # fmt: skip
    return Section("cluster", page, asdict(found))


_PAGE = """\
{figures}

{ways}

{links} hard links of one BSON file, from opening them until all totals by merchant and day are in one process;
median of {rounds} rounds, in which both took turns. The workers are begun before, and count small files, so that their
kernels are compiled. Scheduler, workers and client share two cores.

{machine}

Load average {load[0]:.1f} before and {load[1]:.1f} after.
"""
