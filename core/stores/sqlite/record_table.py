"""A table of records on SQLite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from core.stores.record_table import Condition, RecordTable
from core.stores.records import Record, plain
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert

_COMPARISONS: Final = {"=": "IS ?", "<": "< ?", ">": "> ?", "in": "IN (SELECT value FROM json_each(?))"}


class SqliteTable(RecordTable):
    """The table `name` of `database`."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    def insert(self, record: Record) -> bool:
        with self._database.transaction() as connection:
            if connection.execute(f"SELECT 1 FROM {self._name} WHERE id = ?", (record["id"],)).fetchone():
                return False
            insert(connection, self._name, record)
        return True

    def get(self, record_id: str) -> Record | None:
        with self._database.connection() as connection:
            row = connection.execute(f"SELECT * FROM {self._name} WHERE id = ?", (record_id,)).fetchone()
        return None if row is None else from_row(row)

    def find(self, *where: Condition, after: tuple[int, str] | None = None, limit: int | None = None) -> list[Record]:
        clause, values = _where(where)
        if after is not None:
            clause, values = f"{clause} AND (created_at_ms, id) > (?, ?)", [*values, *after]
        query = f"SELECT * FROM {self._name} WHERE {clause} ORDER BY created_at_ms, id LIMIT ?"
        with self._database.connection() as connection:
            return [from_row(row) for row in connection.execute(query, (*values, -1 if limit is None else limit))]

    def ids(self, *where: Condition) -> frozenset[str]:
        clause, values = _where(where)
        with self._database.connection() as connection:
            rows = connection.execute(f"SELECT id FROM {self._name} WHERE {clause}", values)
            return frozenset(row["id"] for row in rows)

    def update(self, changes: Record, *where: Condition) -> int:
        clause, values = _where(where)
        assignments = ", ".join(f"{name} = ?" for name in changes)
        return self._write(f"UPDATE {self._name} SET {assignments} WHERE {clause}", (*changes.values(), *values))

    def delete(self, *where: Condition) -> int:
        clause, values = _where(where)
        return self._write(f"DELETE FROM {self._name} WHERE {clause}", values)

    def _write(self, statement: str, values: Sequence[Any]) -> int:
        with self._database.transaction() as connection:
            return connection.execute(statement, values).rowcount


def _where(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
    """The condition of a WHERE clause, and its values."""
    clause = " AND ".join(["TRUE", *(f"{name} {_COMPARISONS[comparison]}" for name, comparison, _ in conditions)])
    values = [plain(value) for _, _, value in conditions]
    return clause, [json.dumps(value) if isinstance(value, list) else value for value in values]
