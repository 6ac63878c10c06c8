"""The summary store on SQLite: the table ``summary_transaction`` and the list ``summary_publications``."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, get_args

from core.calendar.periods import Mode
from core.errors import StoreUnavailable
from core.stores.generations import (
    SUMMARIES,
    generation_name,
    parse_generation_name,
    publication_lost,
    require_next,
    require_publishable,
)
from core.stores.records import publication_from_record, publication_to_record
from core.stores.sqlite.database import BREATH_S, Database
from core.stores.sqlite.rows import from_row, insert
from core.stores.sqlite.schema import create_generation
from core.stores.summaries import SUMMARY_COLUMNS, Measure, MerchantTotals, Publication, SeriesPoint

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import SummaryTuple

_BATCH_ROWS: Final = 20_000
"""Written in one transaction: short enough that other writers hardly wait, long enough that commits cost little."""

_LAST_TEXT: Final = "\U0010ffff"  # sorts after every key

_IN_FORCE: Final = "SELECT * FROM summary_publications ORDER BY generation DESC LIMIT 1"
_SERIES: Final = {
    measure: f"SELECT key, {measure} FROM {SUMMARIES} "
    "WHERE mode = ? AND merchant_id IS ? AND key BETWEEN ? AND ? ORDER BY key"
    for measure in get_args(Measure)
}
_DAILY: Final = f"SELECT {', '.join(SUMMARY_COLUMNS)} FROM {SUMMARIES} WHERE mode = ? AND merchant_id IS NOT NULL"
# sum() fails beyond int64, so the upper and the lower 32 bits are summed apart; >> keeps the sign.
_MERCHANTS: Final = (
    "SELECT merchant_id, sum(amount >> 32), sum(amount & 0xFFFFFFFF), sum(count >> 32), sum(count & 0xFFFFFFFF) "
    f"FROM {SUMMARIES} WHERE mode = ? AND merchant_id IS NOT NULL AND key BETWEEN ? AND ? "
    "GROUP BY merchant_id ORDER BY merchant_id"
)
_HAS_MERCHANT: Final = f"SELECT 1 FROM {SUMMARIES} WHERE mode IN (?, ?, ?) AND merchant_id = ? LIMIT 1"


class SqliteSummaryStore:
    """`core.stores.summaries.SummaryStore` over `database`. Every read is one statement, hence one snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def published(self) -> Publication | None:
        """The publication in force, or None when nothing was published yet."""
        self._database.require_in_place()
        with self._database.connection() as connection:
            row = connection.execute(_IN_FORCE).fetchone()
        return None if row is None else publication_from_record(from_row(row))

    def daily(self) -> pl.DataFrame:
        """The daily rows of single merchants of the publication in force."""
        from core.stores.frames import from_batches

        with self._database.connection() as connection:
            cursor = connection.cursor()
            cursor.row_factory = None
            return from_batches(_batches(cursor.execute(_DAILY, (Mode.DAILY,))))

    def series(
        self,
        mode: Mode,
        measure: Measure,
        merchant_id: str | None,
        first_key: str | None = None,
        last_key: str | None = None,
    ) -> list[SeriesPoint]:
        """One merchant's values (None: all merchants together), ascending by key."""
        with self._database.connection() as connection:
            cursor = connection.cursor()
            cursor.row_factory = None
            rows = cursor.execute(_SERIES[measure], (mode, merchant_id, *_bounds(first_key, last_key))).fetchall()
        return list(map(SeriesPoint._make, rows))

    def has_merchant(self, merchant_id: str) -> bool:
        """Whether the publication in force holds summaries of `merchant_id`."""
        with self._database.connection() as connection:
            return connection.execute(_HAS_MERCHANT, (*Mode, merchant_id)).fetchone() is not None

    def merchants(self, first_month_key: str | None = None, last_month_key: str | None = None) -> list[MerchantTotals]:
        """What each merchant's monthly summaries add up to, ascending by merchant."""
        with self._database.connection() as connection:
            rows = connection.execute(_MERCHANTS, (Mode.MONTHLY, *_bounds(first_month_key, last_month_key))).fetchall()
        return [
            MerchantTotals(merchant_id, (amount_high << 32) + amount_low, (count_high << 32) + count_low)
            for merchant_id, amount_high, amount_low, count_high, count_low in rows
        ]

    def publish(self, publication: Publication, rows: pl.DataFrame) -> None:
        """Replace everything that is published with `rows`, atomically."""
        require_publishable(publication, rows)
        with self._database.connection() as connection:
            require_next(publication, _generation_in_force(connection))
        self._clear(publication.run_id)
        table = generation_name(publication.generation, publication.run_id)
        try:
            self._fill(publication, table, rows)
            self._swap(publication, table)
        except BaseException:
            with suppress(StoreUnavailable):  # the next run clears what stays
                self._drop(table)
            raise
        with suppress(StoreUnavailable):  # it is published: likewise
            self._clear(publication.run_id)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _fill(self, publication: Publication, table: str, rows: pl.DataFrame) -> None:
        from core.stores.frames import to_batches

        with self._database.transaction() as connection:
            create_generation(connection, table)
        places = ", ".join("?" for _ in SUMMARY_COLUMNS)
        for batch in to_batches(rows, _BATCH_ROWS):
            with self._database.transaction() as connection:
                _require_table(connection, publication, table)
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", batch)
            time.sleep(BREATH_S)

    def _swap(self, publication: Publication, table: str) -> None:
        """The moment of publication: one short transaction, which the fence and the count of rows guard."""
        with self._database.transaction() as connection:
            before = connection.execute(_IN_FORCE).fetchone()
            require_next(publication, before["generation"] if before else 0)
            _require_table(connection, publication, table)
            staged = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if staged != publication.rows:
                raise publication_lost(publication, f"only {staged} of its {publication.rows} rows are left")
            retired = generation_name(before["generation"], before["run_id"]) if before else generation_name(0, 0)
            connection.execute(f"ALTER TABLE {SUMMARIES} RENAME TO {retired}")
            connection.execute(f"ALTER TABLE {table} RENAME TO {SUMMARIES}")
            insert(connection, "summary_publications", publication_to_record(publication))

    def _clear(self, run_id: int) -> None:
        """Drop the tables that can never be published: of earlier generations, and of runs up to `run_id`.

        Those runs have ended or were taken over. One that comes back finds its table gone and fails.
        """
        with self._database.connection() as connection:
            in_force = _generation_in_force(connection)
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            numbers = parse_generation_name(table)
            if numbers and (numbers[0] <= in_force or numbers[1] <= run_id):
                self._drop(table)

    def _drop(self, table: str) -> None:
        with self._database.connection() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _bounds(first_key: str | None, last_key: str | None) -> tuple[str, str]:
    return first_key or "", _LAST_TEXT if last_key is None else last_key


def _generation_in_force(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(generation), 0) FROM summary_publications").fetchone()[0])


def _require_table(connection: sqlite3.Connection, publication: Publication, table: str) -> None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        raise publication_lost(publication, "a later run has taken over and cleared it away")


def _batches(cursor: sqlite3.Cursor) -> Iterator[Sequence[SummaryTuple]]:
    while batch := cursor.fetchmany(_BATCH_ROWS):
        yield batch
