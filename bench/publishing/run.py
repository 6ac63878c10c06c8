"""The part of the bench that measures publishing: ``python -m bench publishing``."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient

from bench.live.server import running_server
from bench.mongo_urls import with_database
from bench.publishing.costs import Cost, measure_costs
from bench.publishing.report import Found, as_section
from bench.publishing.stores import History
from bench.running import keep_to_cores
from bench.sections import Section

PARTS: Final = ("sqlite", "mongo")
"""What can be measured alone."""

CORES: Final = 2
SUMMARIES: Final = (1_000_000, 5_000_000)
QUICK_SUMMARIES: Final = 50_000
MOST_ON_FERRETDB: Final = 1_000_000
"""It takes some ten thousand documents a second, and reads all of a collection to find some."""
ROUNDS_ON_FERRETDB: Final = 1


def measure_publishing(only: Collection[str], folder: Path, summaries: Sequence[int], rounds: int) -> Section:
    """Measure publishing.

    :param only: some of `PARTS`.
    :param folder: on the disk to measure on; what is made in it is removed again.
    :param summaries: how many a store holds, a measurement each.
    :raises BenchFailed: there is no server, or a store does not hold what was published.
    """
    keep_to_cores(CORES)
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
            most, repeated = MOST_ON_FERRETDB, ROUNDS_ON_FERRETDB
            if "MONGO_URL" in os.environ:
                most, repeated = max(summaries), rounds
            with running_server(scratch) as (url, server):
                for count, history in zip(summaries, histories, strict=True):
                    if count <= most:
                        with _new_database(url) as store_url:
                            costs += measure_costs("mongo", store_url, history, repeated)
    return as_section(Found(costs, server), is_whole=set(PARTS) <= set(only))


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    """The URL of a database for this alone, dropped afterwards."""
    name = f"bench_publishing_{uuid.uuid4().hex}"
    try:
        yield with_database(server, name)
    finally:
        with MongoClient[Any](server) as client:
            client.drop_database(name)
