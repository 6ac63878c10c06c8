"""The schema of an SQLite store: applies the numbered files of ``sql/schema`` in order, each once.

``PRAGMA user_version`` is the number of the last file that was applied.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from core.stores.api_keys import key_from_record
from core.stores.generations import SUMMARIES
from core.stores.opening import Ownerless, no_store, too_new
from core.stores.sqlite.database import Database, execute_when_free
from core.stores.sqlite.rows import from_row
from core.tenants import OPERATOR

SCHEMA: Final = Path(__file__).parents[3] / "sql" / "schema"

_OWNERLESS: Final = (
    "SELECT (SELECT count(DISTINCT user_id) FROM contacts) AS contacts, (SELECT count(*) FROM subscriptions) "
    "AS subscriptions, (SELECT count(*) FROM notifications WHERE sender_key_id IS NULL "
    "OR sender_key_id NOT IN (SELECT id FROM api_keys)) AS notifications"
)


def _assign_tenants(connection: sqlite3.Connection) -> Ownerless:
    """Assign each notification to the tenant of its API key, which SQL cannot derive; all else to the operator."""
    for row in connection.execute("SELECT * FROM api_keys").fetchall():
        key = key_from_record(from_row(row))
        if key.tenant != OPERATOR:
            connection.execute("UPDATE notifications SET tenant = ? WHERE sender_key_id = ?", (key.tenant, key.id))
    return Ownerless(**connection.execute(_OWNERLESS).fetchone())


def prepare(database: Database, *, create: bool, schema: Path = SCHEMA) -> None:
    """Migrate `database` to the newest schema, and the file to WAL mode.

    :param create: whether to create the tables of a new store.
    :param schema: the folder of ``0001_….sql``, ``0002_….sql``, … and ``generation.sql``.
    :raises StoreTooNew: its schema is of a newer version of this program; nothing was changed.
    :raises StoreUnavailable: it cannot be written, or has no store and `create` is False.
    """
    scripts = sorted(schema.glob("[0-9]*.sql"))
    assert [int(script.name[:4]) for script in scripts] == [*range(1, len(scripts) + 1)], "numbers have gaps or repeat"
    with database.connection() as connection:
        version = _version(connection)
        if version > len(scripts):
            raise too_new(str(database.path), version, len(scripts))
        if version == 0 and not create:
            raise no_store(str(database.path))
        _use_wal(connection, database.timeout_s)
    if version < len(scripts):
        _migrate(database, scripts, schema)


def create_generation(connection: sqlite3.Connection, table: str, schema: Path = SCHEMA) -> None:
    """Create an empty table of summaries named `table`, with its indexes, in the current transaction."""
    _execute(connection, (schema / "generation.sql").read_text("utf-8").replace("{table}", table))


def _migrate(database: Database, scripts: list[Path], schema: Path) -> None:
    with database.transaction() as connection:
        version = _version(connection)  # migrated concurrently
        if version > len(scripts):
            raise too_new(str(database.path), version, len(scripts))
        for script in scripts[version:]:
            _execute(connection, script.read_text("utf-8"))
            if script.name == "0011_tenants.sql":  # reports before the commit, so that both are repeated after a kill
                _assign_tenants(connection).report(str(database.path))
        if version == 0:
            create_generation(connection, SUMMARIES, schema)
        connection.execute(f"PRAGMA user_version = {len(scripts)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch to WAL mode, waiting for other connections: SQLite ignores the busy timeout for this statement."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        execute_when_free(connection, "PRAGMA journal_mode = WAL", timeout_s)


def _execute(connection: sqlite3.Connection, script: str) -> None:
    """Run the statements of `script` in the current transaction, which ``executescript`` would commit."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
