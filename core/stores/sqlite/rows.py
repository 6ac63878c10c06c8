"""Records as rows of an SQLite table with a column per entry; lists are JSON text."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from core.stores.records import Record

_LISTS: Final = (
    "sources",
    "where_filters",
    "rejects_by_reason",
    "warnings",
    "scopes",
    "merchants",
    "channels",
    "modes",
    "complete_days",
    "announced",
)


def insert(connection: sqlite3.Connection, table: str, record: Record) -> None:
    """Insert `record` into `table`."""
    columns = ", ".join(record)
    places = ", ".join(f":{name}" for name in record)
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", _to_parameters(record))


def update(connection: sqlite3.Connection, table: str, record: Record, where: str = "TRUE") -> bool:
    """Replace the row of `table` with the ``id`` of `record`, if `where` is true for it; False if there is none.

    :param where: a condition, which may use the entries of `record` as parameters.
    """
    assignments = ", ".join(f"{name} = :{name}" for name in record)
    statement = f"UPDATE {table} SET {assignments} WHERE id = :id AND {where}"
    cursor = connection.execute(statement, _to_parameters(record))
    return cursor.rowcount == 1


def from_row(row: sqlite3.Row) -> Record:
    """The record of `row`."""
    record = dict(row)
    for name in _LISTS:
        if record.get(name) is not None:
            record[name] = json.loads(record[name])
    return record


def _to_parameters(record: Record) -> dict[str, Any]:
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for name, value in record.items()
    }
