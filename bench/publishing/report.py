"""What was measured of publishing, as a section of the page and as samples."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from bench.publishing.costs import Cost
from bench.publishing.stores import MERCHANTS
from bench.sections import Section, short, table

_RATE: Final = 400_000
"""Summaries a second that SQLite shall take."""
_OVER_BARE: Final = 1.2
"""How many times as long as bare inserts publishing to MongoDB's protocol may take."""
_NAMES: Final = {"sqlite": "SQLite", "mongo": "MongoDB protocol"}

_PAGE: Final = """\
A store of years in which each of up to {merchants:,} merchants has transactions on every day: a larger one is of more
years. *Everything* publishes all of it anew, as `rebuild --truncate` does; *three days* replaces the last three with
their weeks and months, as `refresh` and `rebuild --from/--to` do. Finding is reading the weeks and months concerned
and comparing; the longest wait is that of another writer of the same store, which stores something small all the time.
Medians of the rounds.

| what | to reach | measured | met |
| --- | --- | --- | --- |
{figures}

{table}

*Alone* is publishing while nobody else writes, *bare* one `insert_many` after another of the same
documents, made beforehand, into a collection with the same indexes.

{server}Load average {load[0]:.2f} before, {load[1]:.2f} after.

{machine}
"""


_SERVER: Final = "The server of the MongoDB protocol is {}; FerretDB searches all of a collection for any of its rows. "


@dataclass(frozen=True, slots=True)
class Found:
    """All that one run has to tell.

    :param server: what answered for MongoDB; empty where nothing did.
    :param machine: see `bench.machine.describe`.
    :param load: the load average before and after.
    """

    costs: Sequence[Cost]
    server: str
    machine: Mapping[str, str]
    load: tuple[float, float]


def as_section(found: Found) -> Section:
    """The section that tells `found`."""
    head = (
        "store",
        "summaries",
        "replaced",
        "written",
        "finding",
        "publishing",
        "alone",
        "bare",
        "longest wait",
        "rounds",
    )
    page = _PAGE.format(
        merchants=MERCHANTS,
        figures="\n".join(f"| {' | '.join(cells)} |" for cost in found.costs for cells in _figures(cost)),
        table=table(head, map(_cells, found.costs)),
        server=_SERVER.format(found.server) if found.server else "",
        load=found.load,
        machine=table(("machine", ""), found.machine.items()),
    )
    return Section("publishing", page, asdict(found))


def _figures(cost: Cost) -> Iterator[tuple[str, ...]]:
    """The figures to reach that `cost` tells of."""
    publishing_s = statistics.median(cost.publishing_s)
    what = f"{_NAMES[cost.backend]}, {cost.way} of {cost.rows:,}"
    if cost.backend == "sqlite":
        if cost.written == cost.rows:
            rate = cost.written / publishing_s
            yield f"{what}: summaries a second", f"at least {_RATE:,}", f"{rate:,.0f}", _met(rate >= _RATE)
        wait_s = statistics.median(cost.longest_wait_s)
        yield f"{what}: longest wait of another writer", "at most 1 s", f"{short(wait_s)} s", _met(wait_s <= 1)
    if cost.bare_s:
        ratio = statistics.median(cost.alone_s) / statistics.median(cost.bare_s)
        yield f"{what}: over bare", f"at most {_OVER_BARE} x", f"{short(ratio)} x", _met(ratio <= _OVER_BARE)


def _met(is_met: bool) -> str:
    return "yes" if is_met else "**no**"


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
