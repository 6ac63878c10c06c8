"""Publishing on SQLite: fill a new table in batches, then swap it in by one short transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any, Final

from core.calendar.periods import Mode
from core.errors import StoreUnavailable
from core.stores.generations import (
    SUMMARIES,
    TAKEN_OVER,
    generation_name,
    parse_generation_name,
    publication_lost,
    publishable,
    require_next,
)
from core.stores.records import publication_to_record
from core.stores.sqlite.database import WRITE_PAUSE_S, Database
from core.stores.sqlite.rows import insert
from core.stores.sqlite.schema import create_generation
from core.stores.summaries import Publication, no_progress

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import Frames

_BATCH_ROWS: Final = 48_000
"""Rows written per transaction, in some tenths of a second, so that other writers hardly wait."""

_DELETED_ROWS: Final = 500_000
"""Rows deleted per transaction, likewise."""

_DROPPED_ROWS: Final = 2_000_000
"""The largest table that is dropped at once, likewise: this takes a quarter of the time of deleting its rows."""

_STATEMENT_ROWS: Final = 64
"""Rows per INSERT statement: starting a statement takes as long as inserting a row or two."""

_CACHE_KIB: Final = 10_000
"""Enough for a batch: if SQLite has to evict pages of a transaction, it rewrites parts of its log."""

_INDEXES: Final = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"

_CURRENT: Final = "SELECT * FROM summary_publications ORDER BY generation DESC LIMIT 1"


def current_publication(connection: sqlite3.Connection) -> Any:
    """The row of the current publication, or None if nothing is published yet."""
    return connection.execute(_CURRENT).fetchone()


def current_generation(connection: sqlite3.Connection) -> int:
    """The generation of the current publication, or 0."""
    return int(connection.execute("SELECT coalesce(max(generation), 0) FROM summary_publications").fetchone()[0])


def publish(
    database: Database,
    publication: Publication,
    rows: pl.DataFrame | Frames,
    progress: Callable[[int], None] = no_progress,
) -> None:
    """Publish `rows` instead of all current summaries, atomically; see `core.stores.summaries.SummaryStore`."""
    with database.connection() as connection:
        require_next(publication, current_generation(connection))
    clear(database, publication.run_id)
    table = generation_name(publication.generation, publication.run_id)
    try:
        fill(database, publication, table, publishable(publication, rows), progress)
        swap(database, publication, table)
    except BaseException:
        with suppress(StoreUnavailable):  # the next run clears leftovers
            _drop(database, table)
        raise
    with suppress(StoreUnavailable):  # it is published: likewise
        clear(database, publication.run_id)


def fill(
    database: Database,
    publication: Publication,
    table: str,
    frames: Frames,
    progress: Callable[[int], None] = no_progress,
) -> None:
    """Create `table`, and fill it with `frames`."""
    from core.stores.frames import to_columns

    with database.transaction(durable=False) as connection:
        create_generation(connection, table)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    written = 0
    for columns in to_columns(frames, _BATCH_ROWS):
        with database.transaction(durable=False) as connection:
            _require_table(connection, publication, table)
            _insert_columns(connection, table, columns)
        written += len(columns[0])
        progress(written)
        time.sleep(WRITE_PAUSE_S)


def _insert_columns(connection: sqlite3.Connection, table: str, columns: Sequence[list[Any]]) -> None:
    """Insert rows. Their mode is part of the statement, as a seventh parameter would cost a tenth of the time."""
    modes, *others = columns
    values = chain.from_iterable(zip(*others, strict=True))
    for mode, same in groupby(modes):
        row = f"('{Mode(mode)}', {', '.join('?' for _ in others)})"
        whole, rest = divmod(len(list(same)), _STATEMENT_ROWS)
        for statements, rows in ((whole, _STATEMENT_ROWS), (rest, 1)):
            parameters = zip(*[islice(values, statements * rows * len(others))] * (rows * len(others)), strict=True)
            connection.executemany(f"INSERT INTO {table} VALUES {', '.join([row] * rows)}", parameters)


def swap(database: Database, publication: Publication, table: str) -> None:
    """Publish in one short transaction, after checking the generation and the number of rows."""
    with database.transaction() as connection:
        before = current_publication(connection)
        require_next(publication, before["generation"] if before else 0)
        require_open(connection, publication)
        _require_table(connection, publication, table)
        staged = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        if staged != publication.rows:
            raise publication_lost(publication, f"only {staged} of its {publication.rows} rows are left")
        retired = generation_name(before["generation"], before["run_id"]) if before else generation_name(0, 0)
        connection.execute(f"ALTER TABLE {SUMMARIES} RENAME TO {retired}")
        connection.execute(f"ALTER TABLE {table} RENAME TO {SUMMARIES}")
        insert(connection, "summary_publications", publication_to_record(publication))


def clear(database: Database, run_id: int) -> None:
    """Drop the tables that cannot be published any more: of earlier generations, and of runs up to `run_id`.

    These runs have ended or were taken over. A paused one that continues finds its table missing and fails.
    """
    with database.connection() as connection:
        generation = current_generation(connection)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        numbers = parse_generation_name(table)
        if numbers and (numbers[0] <= generation or numbers[1] <= run_id):
            _drop(database, table)


def require_open(connection: sqlite3.Connection, publication: Publication) -> None:
    """Raise if another run has taken over the run of `publication`, even without publishing.

    :raises PublicationLost: it was.
    """
    closed = "SELECT 1 FROM summary_runs WHERE id = ? AND ended_at_ms IS NOT NULL"
    if connection.execute(closed, (publication.run_id,)).fetchone():
        raise publication_lost(publication, TAKEN_OVER)


def _drop(database: Database, table: str) -> None:
    """Drop `table`: first its indexes, then most rows of a large table, so that others can write in between."""
    with database.transaction(durable=False) as connection:
        for (index,) in connection.execute(_INDEXES, (table,)).fetchall():
            connection.execute(f"DROP INDEX {index}")  # otherwise each deleted row would be searched for in them
    while True:
        with database.transaction(durable=False) as connection:
            if not _exists(connection, table):
                return
            first, last = connection.execute(
                f"SELECT min(rowid), (SELECT max(rowid) FROM {table}) FROM {table}"
            ).fetchone()
            if first is None or last - first < _DROPPED_ROWS:
                connection.execute(f"DROP TABLE {table}")
                return
            connection.execute(f"DELETE FROM {table} WHERE rowid < ?", (first + _DELETED_ROWS,))
        time.sleep(WRITE_PAUSE_S)


def _exists(connection: sqlite3.Connection, table: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone())


def _require_table(connection: sqlite3.Connection, publication: Publication, table: str) -> None:
    if not _exists(connection, table):
        raise publication_lost(publication, f"{TAKEN_OVER} and removed it")
