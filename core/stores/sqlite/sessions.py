"""The store of sessions on SQLite: the table ``api_sessions``."""

from __future__ import annotations

from core.stores.records import session_from_record, session_to_record
from core.stores.sessions import Session, SessionStore
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert


class SqliteSessionStore(SessionStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> bool:
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM api_sessions WHERE id = ?", (session.id,)).fetchone():
                return False
            insert(connection, "api_sessions", session_to_record(session))
        return True

    def get(self, session_id: str) -> Session | None:
        with self._database.connection() as connection:
            row = connection.execute("SELECT * FROM api_sessions WHERE id = ?", (session_id,)).fetchone()
        return None if row is None else session_from_record(from_row(row))

    def valid_ids(self, now_ms: int) -> frozenset[str]:
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT id FROM api_sessions WHERE ended_at_ms IS NULL AND expires_at_ms > ?", (now_ms,)
            )
            return frozenset(row["id"] for row in rows)

    def end(self, session_id: str, at_ms: int) -> None:
        self._write("UPDATE api_sessions SET ended_at_ms = ? WHERE id = ? AND ended_at_ms IS NULL", (at_ms, session_id))

    def end_all(self, at_ms: int) -> int:
        return self._write("UPDATE api_sessions SET ended_at_ms = ? WHERE ended_at_ms IS NULL", (at_ms,))

    def prune(self, before_ms: int) -> None:
        self._write("DELETE FROM api_sessions WHERE expires_at_ms < ?", (before_ms,))

    def _write(self, statement: str, parameters: tuple[object, ...]) -> int:
        with self._database.transaction() as connection:
            return connection.execute(statement, parameters).rowcount
