"""The part of the bench that measures publishing: ``python -m bench publishing``."""

from __future__ import annotations

import os
import statistics
import tempfile
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient

from bench.figures import AT_LEAST, AT_MOST, Figure, figure_table
from bench.live.server import running_server
from bench.mongo_urls import with_database
from bench.publishing.costs import Cost, measure_costs
from bench.publishing.stores import MERCHANTS, History
from bench.running import keep_to_two_cores
from bench.sections import Section, short, table

PARTS: Final = ("sqlite", "mongo")
"""The parts that can be measured separately."""

SUMMARIES: Final = (1_000_000, 5_000_000)
QUICK_SUMMARIES: Final = 50_000
_NAMES: Final = {"sqlite": "SQLite", "mongo": "MongoDB protocol"}

_PAGE: Final = """\
Each of up to {merchants:,} merchants has transactions on every day; larger stores have more years. *Everything*
publishes all summaries again, as `rebuild --truncate` does. *Three days* replaces the last three days with their weeks
and months, as `refresh` and `rebuild --from/--to` do. Finding is reading and comparing the affected weeks and months.
The longest wait is that of another program, which writes small records to the same store all the time. Medians of the
rounds.

{figures}

{table}

*Alone* is publishing while no other program writes. *Bare* is repeated `insert_many` of the same documents, prepared
beforehand, into a collection with the same indexes.
{about_server}"""
_ABOUT_FERRETDB: Final = "FerretDB searches all of a collection for any of its rows.\n"


def measure_publishing(only: Collection[str], folder: Path, summaries: Sequence[int], rounds: int) -> Section:
    """Measure publishing.

    :param folder: a folder on the disk to measure; its new files are removed.
    :param summaries: numbers of summaries of the stores, one measurement each.
    :raises BenchFailed: there is no server, or a store does not hold what was published.
    """
    keep_to_two_cores()
    costs: list[Cost] = []
    server = ""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="publishing-", dir=folder) as name:
        scratch = Path(name).resolve()
        histories = [History.of_about(count) for count in summaries]
        if "sqlite" in only:
            for number, history in enumerate(histories):
                costs += measure_costs("sqlite", f"sqlite:///{scratch}/{number}.db", history, rounds)
        if "mongo" in only:
            # FerretDB takes some ten thousand documents a second, and reads all of a collection to find some.
            most, repeated = (max(summaries), rounds) if "MONGO_URL" in os.environ else (1_000_000, 1)
            with running_server(scratch) as (url, server):
                for count, history in zip(summaries, histories, strict=True):
                    if count <= most:
                        with _new_database(url) as store_url:
                            costs += measure_costs("mongo", store_url, history, repeated)
    return _section(costs, server, is_whole=set(PARTS) <= set(only))


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    """The URL of a new database, which is dropped afterwards."""
    name = f"bench_publishing_{uuid.uuid4().hex}"
    try:
        yield with_database(server, name)
    finally:
        with MongoClient[Any](server) as client:
            client.drop_database(name)


def _section(costs: Sequence[Cost], server: str, *, is_whole: bool) -> Section:
    times = ("finding", "publishing", "alone", "bare", "longest wait")
    head = ("store", "summaries", "replaced", "written", *times, "rounds")
    page = _PAGE.format(
        merchants=MERCHANTS,
        figures=figure_table([figure for cost in costs for figure in _figures(cost)]),
        table=table(head, map(_cells, costs)),
        about_server=_ABOUT_FERRETDB if server.startswith("FerretDB") else "",
    )
    peers = {"server of the MongoDB protocol": server} if server else {}
    return Section("publishing", page, {"costs": [*map(asdict, costs)], "server": server}, is_whole, peers)


def _figures(cost: Cost) -> Iterator[Figure]:
    """The targets for `cost`."""
    publishing_s = statistics.median(cost.publishing_s)
    what = f"{_NAMES[cost.backend]}, {cost.way} of {cost.rows:,}"
    if cost.backend == "sqlite":
        if cost.written == cost.rows:
            yield Figure(f"{what}: summaries a second", AT_LEAST, 400_000, "", [cost.written / publishing_s])
        wait_s = statistics.median(cost.longest_wait_s)
        yield Figure(f"{what}: longest wait of another writer", AT_MOST, 1, "s", [wait_s])
    if cost.bare_s:
        ratio = statistics.median(cost.alone_s) / statistics.median(cost.bare_s)
        yield Figure(f"{what}: over bare", AT_MOST, 1.2, "x", [ratio])


def _cells(cost: Cost) -> tuple[str, ...]:
    return (
        _NAMES[cost.backend],
        f"{cost.rows:,}",
        cost.way,
        f"{cost.written:,}",
        *(
            f"{short(statistics.median(values))} s" if values else ""
            for values in (cost.finding_s, cost.publishing_s, cost.alone_s, cost.bare_s, cost.longest_wait_s)
        ),
        str(len(cost.publishing_s)),
    )
