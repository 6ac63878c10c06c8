"""The stores of API keys on SQLite: the tables ``api_keys`` and ``api_key_uses``."""

from __future__ import annotations

from collections.abc import Mapping

from core.stores.api_keys import ApiKey, ApiKeyStore, KeyUseStore
from core.stores.records import key_from_record, key_to_record
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert


class SqliteApiKeyStore(ApiKeyStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM api_keys WHERE id = ?", (key.id,)).fetchone():
                raise ValueError(f"there is a key {key.id} already")
            insert(connection, "api_keys", key_to_record(key))

    def get(self, key_id: str) -> ApiKey | None:
        with self._database.connection() as connection:
            row = connection.execute("SELECT * FROM api_keys WHERE id = ?", (key_id,)).fetchone()
        return None if row is None else key_from_record(from_row(row))

    def all(self) -> list[ApiKey]:
        with self._database.connection() as connection:
            rows = connection.execute("SELECT * FROM api_keys ORDER BY created_at_ms, id").fetchall()
        return [key_from_record(from_row(row)) for row in rows]

    def revoke(self, key_id: str, at_ms: int) -> ApiKey:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE api_keys SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL", (at_ms, key_id)
            )
            key = self.get(key_id)
        if key is None:
            raise LookupError(f"there is no key {key_id}")
        return key


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
