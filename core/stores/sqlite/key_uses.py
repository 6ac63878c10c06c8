"""The store of the last uses of API keys on SQLite: the table ``api_key_uses``."""

from __future__ import annotations

from collections.abc import Mapping

from core.stores.api_keys import KeyUseStore
from core.stores.sqlite.database import Database


class SqliteKeyUseStore(KeyUseStore):
    """Over its own `database`, as it may wait for writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, last_used_ms: Mapping[str, int]) -> None:
        with self._database.transaction(durable=False) as connection:
            connection.executemany(
                "INSERT INTO api_key_uses VALUES (?, ?) ON CONFLICT DO UPDATE "
                "SET last_used_at_ms = max(last_used_at_ms, excluded.last_used_at_ms)",
                list(last_used_ms.items()),
            )

    def all(self) -> dict[str, int]:
        with self._database.connection() as connection:
            return dict(connection.execute("SELECT key_id, last_used_at_ms FROM api_key_uses").fetchall())
