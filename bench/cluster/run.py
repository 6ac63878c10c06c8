"""The part of the bench that measures a cluster: ``python -m bench cluster``."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.data import Data, into_page_cache
from bench.figures import AT_MOST, Figure, figure_table
from bench.measure import measured_by
from bench.programs import THREADS
from bench.running import BenchFailed, keep_to_two_cores, say
from bench.sections import Section, short, table

PARTS: Final = ("dask",)
"""The parts that can be measured separately."""

TRANSACTIONS: Final = 8_000_000
"""Transactions of one file, of which there are `LINKS`."""
QUICK_TRANSACTIONS: Final = 20_000
LINKS: Final = 8
_WAYS: Final = {"threads of this process": (), f"Dask, local:{THREADS}, warm workers": ("--cluster",)}


@dataclass(frozen=True, slots=True)
class Found:
    """The results.

    :param transactions: of all files together.
    :param seconds: one per round, by way of counting.
    """

    transactions: int
    rounds: int
    seconds: Mapping[str, list[float]]


def measure_cluster(data: Data, rounds: int) -> Section:
    """Measure both ways alternately.

    :raises BenchFailed: a way fails, or gives other totals.
    """
    keep_to_two_cores()
    seconds: dict[str, list[float]] = {way: [] for way in _WAYS}
    digests = set[str]()
    source, warm_up = data.file(".bson"), data.warm_up(".bson")
    into_page_cache(source)
    with _links(source) as folder, _links(warm_up) as small:
        for number in range(1, rounds + 1):
            for way, options in _WAYS.items():
                answer = measured_by("bench.cluster.worker", str(folder), str(small), *options)
                if answer["count"] != data.transactions * LINKS:
                    raise BenchFailed(f"{way} counted {answer['count']} of {data.transactions * LINKS} transactions")
                digests.add(answer["digest"])
                seconds[way].append(answer["seconds"])
                say(f"round {number} of {rounds}: {way} {answer['seconds']:.3f} s")
    if len(digests) != 1:
        raise BenchFailed("the cluster has other totals than this process")
    return as_section(Found(data.transactions * LINKS, rounds, seconds))


@contextmanager
def _links(path: Path) -> Iterator[Path]:
    """A folder next to `path` with `LINKS` hard links to it, which use no space."""
    with tempfile.TemporaryDirectory(prefix="links-", dir=path.parent) as name:
        folder = Path(name)
        for number in range(LINKS):
            (folder / f"{number}.bson").hardlink_to(path)
        yield folder


def as_section(found: Found) -> Section:
    """The section with the results."""
    here, there = (statistics.median(seconds) for seconds in found.seconds.values())
    what = f"Dask `local:{THREADS}`, warm workers, {found.transactions:,} documents: over this process"
    page = _PAGE.format(
        figures=figure_table([Figure(what, AT_MOST, 1.25, "x", [there / here])]),
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
    )  # fmt: skip
    return Section("cluster", page, asdict(found))


_PAGE = """\
{figures}

{ways}

The source is {links} hard links of one BSON file. The time is from opening them until all totals by merchant and day
are in one process: the median of {rounds} rounds, in which both ran alternately. The workers were started before, and
had counted small files, so their kernels were compiled. Scheduler, workers and client share two cores.
"""
