"""The run ledger on SQLite: the table ``summary_runs``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from core.instants import Clock
from core.stores.records import run_from_record, run_to_record
from core.stores.run_lock import require_free, stalled_future_run
from core.stores.runs import Run, RunLedger, taken_over
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert, update
from core.stores.summaries import Publication

_REMOVE: Final = (
    "DELETE FROM summary_runs WHERE id = ? AND ended_at_ms IS NOT NULL AND id < (SELECT max(id) FROM summary_runs)"
)

_FOUND_UNCHANGED: Final = "WHERE id > ? AND status = 'unchanged' AND generation = ? ORDER BY id DESC LIMIT 1"

_OPEN: Final = "ended_at_ms IS NULL"
_HELD: Final = (
    f"{_OPEN} AND host = :host AND process_id = :process_id AND process_started_ms = :process_started_ms "
    "AND process_identity IS :process_identity"
)


class SqliteRunLedger(RunLedger):
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, draft: Run) -> Run:
        stalled = stalled_future_run(self.recent, self._clock)
        with self._database.transaction() as connection:
            before = next(iter(self.recent(1)), None)
            if before is not None:
                require_free(before, self._clock(), stalled)
                self._close_open(connection)
            run = replace(draft, id=1 if before is None else before.id + 1)
            insert(connection, "summary_runs", run_to_record(run))
        return run

    def update(self, run: Run) -> None:
        with self._database.transaction() as connection:
            if update(connection, "summary_runs", run_to_record(run), _HELD):
                return
        if self.get(run.id) is None:
            raise LookupError(f"the ledger has no run {run.id}")
        raise taken_over(run)

    def get(self, run_id: int) -> Run | None:
        return next(iter(self._runs("WHERE id = ?", run_id)), None)

    def recent(self, limit: int) -> list[Run]:
        return self._runs("ORDER BY id DESC LIMIT ?", max(limit, 0))

    def found_unchanged(self, publication: Publication) -> Run | None:
        return next(iter(self._runs(_FOUND_UNCHANGED, publication.run_id, publication.generation)), None)

    def ended_before(self, before_ms: int, *, below: int) -> list[int]:
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT id FROM summary_runs WHERE id < ? AND ended_at_ms < ? ORDER BY id", (below, before_ms)
            ).fetchall()
        return [row["id"] for row in rows]

    def remove(self, run_ids: Sequence[int]) -> int:
        with self._database.transaction() as connection:
            return connection.executemany(_REMOVE, [(run_id,) for run_id in run_ids]).rowcount if run_ids else 0

    def _close_open(self, connection: sqlite3.Connection) -> None:
        """Close the runs whose process is gone; after earlier versions there may be several."""
        for run in self._runs(f"WHERE {_OPEN}"):
            published = connection.execute(
                "SELECT max(generation) FROM summary_publications WHERE run_id = ?", (run.id,)
            ).fetchone()[0]
            update(connection, "summary_runs", run_to_record(run.taken_over(self._clock(), published)))

    def _runs(self, clauses: str, *values: int) -> list[Run]:
        """The runs that ``SELECT`` finds with `clauses`."""
        with self._database.connection() as connection:
            rows = connection.execute(f"SELECT * FROM summary_runs {clauses}", values).fetchall()
        return [run_from_record(from_row(row)) for row in rows]
