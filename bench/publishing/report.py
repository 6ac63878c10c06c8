"""What was measured of publishing, as a section of the page and as samples."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from bench.figures import AT_LEAST, AT_MOST, Figure, figure_table
from bench.publishing.costs import Cost
from bench.publishing.stores import MERCHANTS
from bench.sections import Section, short, table

_NAMES: Final = {"sqlite": "SQLite", "mongo": "MongoDB protocol"}

_PAGE: Final = """\
A store of years in which each of up to {merchants:,} merchants has transactions on every day: a larger one is of more
years. *Everything* publishes all of it anew, as `rebuild --truncate` does; *three days* replaces the last three with
their weeks and months, as `refresh` and `rebuild --from/--to` do. Finding is reading the weeks and months concerned
and comparing; the longest wait is that of another writer of the same store, which stores something small all the time.
Medians of the rounds.

{figures}

{table}

*Alone* is publishing while nobody else writes, *bare* one `insert_many` after another of the same
documents, made beforehand, into a collection with the same indexes.
FerretDB searches all of a collection for any of its rows.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """All that one run has to tell.

    :param server: what answered for MongoDB; empty where nothing did.
    """

    costs: Sequence[Cost]
    server: str


def as_section(found: Found, *, is_whole: bool) -> Section:
    """The section that tells `found`."""
    times = ("finding", "publishing", "alone", "bare", "longest wait")
    head = ("store", "summaries", "replaced", "written", *times, "rounds")
    page = _PAGE.format(
        merchants=MERCHANTS,
        figures=figure_table([figure for cost in found.costs for figure in _figures(cost)]),
        table=table(head, map(_cells, found.costs)),
    )
    peers = {"server of the MongoDB protocol": found.server} if found.server else {}
    return Section("publishing", page, asdict(found), is_whole, peers)


def _figures(cost: Cost) -> Iterator[Figure]:
    """The figures to reach that `cost` tells of."""
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
