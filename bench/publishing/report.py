"""What was measured of publishing, as a section of the page and as samples."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from bench.kept import Section, short, table
from bench.publishing.costs import Cost
from bench.publishing.stores import MERCHANTS

_NAMES: Final = {"sqlite": "SQLite", "mongo": "MongoDB protocol"}

_PAGE: Final = """\
A store of years in which each of up to {merchants:,} merchants has transactions on every day: a larger one is of more
years. *Everything* publishes all of it anew, as `rebuild --truncate` does; *three days* replaces the last three with
their weeks and months, as `refresh` and `rebuild --from/--to` do. Finding is reading the weeks and months concerned
and comparing; the longest wait is that of another writer of the same store, which stores something small all the time.
Medians of the rounds.

{table}

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
    head = ("store", "summaries", "replaced", "written", "finding", "publishing", "longest wait", "rounds")
    page = _PAGE.format(
        merchants=MERCHANTS,
        table=table(head, map(_cells, found.costs)),
        server=_SERVER.format(found.server) if found.server else "",
        load=found.load,
        machine=table(("machine", ""), found.machine.items()),
    )
    return Section("publishing", page, asdict(found))


def _cells(cost: Cost) -> tuple[str, ...]:
    return (
        _NAMES[cost.backend],
        f"{cost.rows:,}",
        cost.way,
        f"{cost.written:,}",
        *(
            f"{short(statistics.median(values))} s"
            for values in (cost.finding_s, cost.publishing_s, cost.longest_wait_s)
        ),
        str(len(cost.publishing_s)),
    )
