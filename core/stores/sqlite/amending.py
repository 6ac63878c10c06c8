"""Amending on SQLite: changes the differing summaries in place, in the short transaction that publishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from core.calendar.periods import Mode
from core.errors import StoreUnavailable
from core.stores.generations import SUMMARIES, require_amendable, require_amended, require_next, require_untouched
from core.stores.records import publication_to_record
from core.stores.sqlite.database import Database
from core.stores.sqlite.publishing import clear, current_generation, current_publication, publish, require_open
from core.stores.sqlite.rows import insert
from core.stores.summaries import SUMMARY_COLUMNS, KeyRange, Publication

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import Difference

MOST_IN_PLACE: Final = 200_000
"""Maximal number of summaries changed in one transaction. At about 5 µs each, other writers wait for about a second,
well below the time-out of the API. Larger changes are published as a whole, in batches."""

_THIS_ONE: Final = "mode = ? AND merchant_id IS ? AND key = ?"
_REMOVE: Final = f"DELETE FROM {SUMMARIES} WHERE {_THIS_ONE}"
_CHANGE: Final = f"UPDATE {SUMMARIES} SET amount = ?, count = ?, period_start = ?, period_end = ? WHERE {_THIS_ONE}"
_COUNT: Final = f"SELECT count(*) FROM {SUMMARIES}"
_ADD: Final = f"INSERT INTO {SUMMARIES} VALUES ({', '.join('?' for _ in SUMMARY_COLUMNS)})"


def amend(
    database: Database,
    read: Callable[[Mode, str | None, str | None], pl.DataFrame],
    publication: Publication,
    rows: pl.DataFrame,
    ranges: Sequence[KeyRange],
) -> None:
    """Replace the periods of `ranges`; see `core.stores.summaries.SummaryStore`.

    :param read: reads the summaries of a mode and range of keys.
    """
    import polars as pl

    from core.stores.frames import Difference, from_batches, within

    require_amendable(rows, ranges)
    with database.connection() as connection:
        require_next(publication, current_generation(connection))
    # If anything read from here on changes before the transaction below, the generation check in it fails.
    stored = pl.concat([from_batches([]), *(read(*replaced) for replaced in ranges)])
    difference = Difference.between(stored, rows)
    if difference.height <= MOST_IN_PLACE:
        _apply(database, publication, difference)
        with suppress(StoreUnavailable):  # it is published; the next publication clears leftovers
            clear(database, publication.run_id)
    else:
        others = [read(mode, None, None).filter(~within(ranges)) for mode in Mode]
        everything = pl.concat([*others, rows])
        require_amended(publication, everything.height)
        publish(database, publication, everything)


def _apply(database: Database, publication: Publication, difference: Difference) -> None:
    from core.stores.frames import to_tuples

    # Before the transaction, to make it short.
    removals = [(mode, merchant_id, key) for mode, key, merchant_id, *_ in to_tuples(difference.removed)]
    changes = [(*values, mode, merchant_id, key) for mode, key, merchant_id, *values in to_tuples(difference.changed)]
    additions = to_tuples(difference.added)
    with database.transaction() as connection:
        before = current_publication(connection)
        require_next(publication, before["generation"] if before else 0)
        require_open(connection, publication)
        removed = connection.executemany(_REMOVE, removals).rowcount
        changed = connection.executemany(_CHANGE, changes).rowcount
        connection.executemany(_ADD, additions)
        require_untouched(len(removals) + len(changes) - removed - changed)
        require_amended(publication, connection.execute(_COUNT).fetchone()[0])
        insert(connection, "summary_publications", publication_to_record(publication))
