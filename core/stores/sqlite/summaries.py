"""The summary store on SQLite: the tables ``summary_transaction`` and ``summary_publications``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, get_args

from core.calendar.periods import Mode
from core.stores.generations import SUMMARIES
from core.stores.records import publication_from_record
from core.stores.sqlite.amending import amend
from core.stores.sqlite.database import Database
from core.stores.sqlite.publishing import current_publication, publish
from core.stores.sqlite.rows import from_row
from core.stores.summaries import (
    SCAN_ROWS,
    SUMMARY_COLUMNS,
    Bound,
    KeyRange,
    Measure,
    MerchantPoint,
    MerchantTotals,
    Publication,
    Scan,
    SeriesPoint,
    SeriesRange,
    SummaryStore,
    no_progress,
)

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import Frames, SummaryTuple

_READ_ROWS: Final = 20_000

_LAST_TEXT: Final = "\U0010ffff"  # sorts after every key

_SERIES: Final = {
    measure: f"SELECT key, {measure} FROM {SUMMARIES} "
    "WHERE mode = ? AND merchant_id IS ? AND key BETWEEN ? AND ? ORDER BY key"
    for measure in get_args(Measure)
}
# Iterates over merchants, as the index is by merchant and key: reading some days must not scan everything. The last
# merchant is null, for the overall rows.
_ROWS: Final = f"""
    WITH RECURSIVE merchant (id) AS (
        SELECT min(merchant_id) FROM {SUMMARIES} WHERE mode = ?1
        UNION ALL
        SELECT (SELECT min(merchant_id) FROM {SUMMARIES} WHERE mode = ?1 AND merchant_id > merchant.id)
        FROM merchant WHERE merchant.id IS NOT NULL
    )
    SELECT {", ".join(f"summary.{name}" for name in SUMMARY_COLUMNS)}
    FROM merchant CROSS JOIN {SUMMARIES} AS summary
    WHERE summary.mode = ?1 AND summary.merchant_id IS merchant.id AND summary.key BETWEEN ?2 AND ?3
"""
_OVERALL: Final = f"SELECT {', '.join(SUMMARY_COLUMNS)} FROM {SUMMARIES} WHERE mode = ? AND merchant_id IS NULL"
_SCAN: Final = (
    f"SELECT {', '.join(SUMMARY_COLUMNS)} FROM {SUMMARIES} WHERE mode = ? AND key BETWEEN ? AND ? {{merchants}} "
    "ORDER BY merchant_id, key"
)
# Likewise iterates over merchants, from ?4 on, without the overall rows.
_EACH_MERCHANT: Final = f"""
    WITH RECURSIVE merchant (id) AS (
        SELECT min(merchant_id) FROM {SUMMARIES} WHERE mode = ?1 AND merchant_id >= ?4
        UNION ALL
        SELECT (SELECT min(merchant_id) FROM {SUMMARIES} WHERE mode = ?1 AND merchant_id > merchant.id)
        FROM merchant WHERE merchant.id IS NOT NULL
    )
"""
_NAMED: Final = "WITH merchant (id) AS (VALUES {places})"
# The order is that of the loops: a CROSS JOIN iterates over the merchants, and the index over the keys of each. An
# ORDER BY would sort everything before the first row.
_MERCHANT_SERIES: Final = f"""
    SELECT merchant.id, summary.key, summary.{{measure}}
    FROM merchant CROSS JOIN {SUMMARIES} AS summary
    WHERE summary.mode = ?1 AND summary.merchant_id = merchant.id AND summary.key BETWEEN ?2 AND ?3
        AND (merchant.id > ?4 OR summary.key > ?5)
    LIMIT ?6
"""
# sum() fails beyond int64, so the upper and the lower 32 bits are summed separately; >> preserves the sign.
_MERCHANTS: Final = f"""{_EACH_MERCHANT}
    SELECT merchant.id, sum(amount >> 32), sum(amount & 0xFFFFFFFF), sum(count >> 32), sum(count & 0xFFFFFFFF)
    FROM merchant CROSS JOIN {SUMMARIES} AS summary
    WHERE summary.mode = ?1 AND summary.merchant_id = merchant.id AND summary.key BETWEEN ?2 AND ?3
    GROUP BY merchant.id ORDER BY merchant.id
"""
_COUNT: Final = f"SELECT count(*) FROM {SUMMARIES}"
_HAS_MERCHANT: Final = f"SELECT 1 FROM {SUMMARIES} WHERE mode IN (?, ?, ?) AND merchant_id = ? LIMIT 1"

_CURRENT: Final = (
    "SELECT generation, run_id, published_at_ms FROM summary_publications ORDER BY generation DESC LIMIT 1"
)
# SQLite builds the JSON in one step without the GIL, for which threads that fetch rows would contend at each row. The
# order is that of the subquery: SQLite does not flatten an ordered subquery into an aggregate.
_ONE_JSON: Final = f"""(
    SELECT CAST(json_group_array(json_object('key', key, 'value', value)) AS BLOB) FROM (
        SELECT key, CASE WHEN ? THEN amount ELSE count END AS value FROM {SUMMARIES}
        WHERE mode = ? AND merchant_id IS ? AND key BETWEEN ? AND ? ORDER BY key
    )
)"""
_SERIES_JSON: Final = f"SELECT {{series}} FROM ({_CURRENT}) WHERE generation = ? AND run_id = ? AND published_at_ms = ?"
_BEFORE: Final = (
    "SELECT generation FROM summary_publications WHERE generation < ? AND published_at_ms < ? ORDER BY generation"
)
_FORGET: Final = (
    "DELETE FROM summary_publications WHERE generation = ? "
    "AND generation < (SELECT max(generation) - 1 FROM summary_publications)"
)


class SqliteSummaryStore(SummaryStore):
    """Every read is one statement, hence one snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Some builds of SQLite overwrite deleted content with zeros, which makes removing a generation several times as
        # slow. All who can read the file can read its summaries anyway.
        with database.connection() as connection:
            connection.execute("PRAGMA secure_delete = OFF")

    def published(self) -> Publication | None:
        self._database.require_in_place()
        with self._database.connection() as connection:
            row = current_publication(connection)
        return None if row is None else publication_from_record(from_row(row))

    def is_current(self, publication: Publication) -> bool:
        self._database.require_in_place()
        with self._database.connection() as connection:
            row = connection.execute(_CURRENT).fetchone()
        return row is not None and tuple(row) == _identity(publication)

    def rows(self, mode: Mode, first_key: Bound = None, last_key: Bound = None) -> pl.DataFrame:
        from core.stores.frames import from_batches

        with self._database.connection() as connection:
            return from_batches(_batches(_tuples(connection, _ROWS, mode, *_bounds(first_key, last_key))))

    def rows_within(self, ranges: Sequence[KeyRange], overall: Mode) -> pl.DataFrame:
        import polars as pl

        from core.stores.frames import from_batches, within

        with self._database.connection() as connection, connection:  # which ends the transaction
            connection.execute("BEGIN")
            found = [self.rows(*one) for one in ranges]
            others = from_batches(_batches(_tuples(connection, _OVERALL, overall)))
        return pl.concat([*found, others.filter(~within(ranges))])

    @contextmanager
    def scan(
        self, mode: Mode, first_key: Bound = None, last_key: Bound = None, *, overall: bool
    ) -> Iterator[Scan | None]:
        self._database.require_in_place()
        # Its own connection, as its transaction sees one state and must not block others.
        own = Database(self._database.path, timeout_s=self._database.timeout_s, create=False)
        with closing(own), own.connection() as connection:
            connection.execute("BEGIN")
            row = current_publication(connection)
            if row is None:
                yield None
                return
            statement = _SCAN.format(merchants="" if overall else "AND merchant_id IS NOT NULL")
            found = _tuples(connection, statement, mode, *_bounds(first_key, last_key))
            yield Scan(publication_from_record(from_row(row)), _batches(found, SCAN_ROWS))

    def series(
        self, mode: Mode, measure: Measure, merchant_id: str | None, first_key: Bound = None, last_key: Bound = None
    ) -> list[SeriesPoint]:
        with self._database.connection() as connection:
            bounds = _bounds(first_key, last_key)
            rows = _tuples(connection, _SERIES[measure], mode, merchant_id, *bounds).fetchall()
        return list(map(SeriesPoint._make, rows))

    def merchant_series(
        self,
        mode: Mode,
        measure: Measure,
        merchants: Sequence[str] | None,
        first_key: Bound = None,
        last_key: Bound = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int,
    ) -> list[MerchantPoint]:
        after_merchant, after_key = after or ("", "")
        wanted = None if merchants is None else [one for one in merchants if one >= after_merchant]
        if wanted == []:
            return []
        if wanted is None:
            statement = _EACH_MERCHANT
        else:
            statement = _NAMED.format(places=", ".join(f"(?{number})" for number in range(7, 7 + len(wanted))))
        statement += _MERCHANT_SERIES.format(measure=measure)
        given = (mode, *_bounds(first_key, last_key), after_merchant, after_key, limit, *(wanted or ()))
        with self._database.connection() as connection:
            return list(map(MerchantPoint._make, _tuples(connection, statement, *given)))

    def series_json(self, publication: Publication, series: Sequence[SeriesRange]) -> list[bytes] | None:
        statement = _SERIES_JSON.format(series=", ".join([_ONE_JSON] * len(series)))
        given: list[Any] = []
        for mode, measure, merchant_id, first_key, last_key in series:
            given += measure == "amount", mode, merchant_id, *_bounds(first_key, last_key)
        self._database.require_in_place()
        with self._database.connection() as connection:
            row = _tuples(connection, statement, *given, *_identity(publication)).fetchone()
        return None if row is None else list(row)

    def has_merchant(self, merchant_id: str) -> bool:
        with self._database.connection() as connection:
            return connection.execute(_HAS_MERCHANT, (*Mode, merchant_id)).fetchone() is not None

    def merchants(
        self, first_key: Bound = None, last_key: Bound = None, mode: Mode = Mode.MONTHLY
    ) -> list[MerchantTotals]:
        with self._database.connection() as connection:
            rows = connection.execute(_MERCHANTS, (mode, *_bounds(first_key, last_key), "")).fetchall()
        return [
            MerchantTotals(merchant_id, (amount_high << 32) + amount_low, (count_high << 32) + count_low)
            for merchant_id, amount_high, amount_low, count_high, count_low in rows
        ]

    def count(self) -> int:
        with self._database.connection() as connection:
            return int(connection.execute(_COUNT).fetchone()[0])

    def publish(
        self, publication: Publication, rows: pl.DataFrame | Frames, progress: Callable[[int], None] = no_progress
    ) -> None:
        publish(self._database, publication, rows, progress)

    def amend(self, publication: Publication, rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
        amend(self._database, self.rows, publication, rows, ranges)

    def publications_before(self, before_ms: int, *, below: int) -> list[int]:
        with self._database.connection() as connection:
            return [row["generation"] for row in connection.execute(_BEFORE, (below, before_ms))]

    def remove_publications(self, generations: Sequence[int]) -> int:
        with self._database.transaction() as connection:
            return connection.executemany(_FORGET, [(one,) for one in generations]).rowcount if generations else 0


def _identity(publication: Publication) -> tuple[int, int, int]:
    """The columns of `_CURRENT`, if `publication` is the current one."""
    return publication.generation, publication.run_id, publication.published_at_ms


def _bounds(first_key: Bound, last_key: Bound) -> tuple[str, str]:
    return first_key or "", _LAST_TEXT if last_key is None else last_key


def _tuples(connection: sqlite3.Connection, statement: str, *values: Any) -> sqlite3.Cursor:
    """The result of `statement` as plain tuples, which are made faster than other rows."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(statement, values)


def _batches(cursor: sqlite3.Cursor, rows: int = _READ_ROWS) -> Iterator[Sequence[SummaryTuple]]:
    while batch := cursor.fetchmany(rows):
        yield batch
