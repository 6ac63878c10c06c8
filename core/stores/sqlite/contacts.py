"""The store of contacts on SQLite: the table ``contacts``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.stores.contacts import ContactStore
from core.stores.records import storable
from core.stores.sqlite.database import Database
from core.tenants import OPERATOR

_INSERT: Final = "INSERT INTO contacts (user_id, tenant, channel, address) VALUES (?, ?, ?, ?)"

_LISTED: Final = (
    "SELECT user_id, channel, address FROM contacts WHERE tenant = ?1 AND user_id IN ("
    "SELECT DISTINCT user_id FROM contacts WHERE tenant = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3"
    ") ORDER BY user_id, channel"
)


class SqliteContactStore(ContactStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, user_id: str, addresses: Mapping[str, str], *, tenant: str = OPERATOR) -> None:
        user = storable(user_id), storable(tenant)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM contacts WHERE user_id = ? AND tenant = ?", user)
            connection.executemany(
                _INSERT,
                [(*user, channel, storable(address)) for channel, address in addresses.items()],
            )

    def change(self, user_id: str, changes: Mapping[str, str | None], *, tenant: str = OPERATOR) -> dict[str, str]:
        user = storable(user_id), storable(tenant)
        given = [(*user, channel, storable(address)) for channel, address in changes.items() if address is not None]
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM contacts WHERE user_id = ? AND tenant = ? AND channel = ?",
                [(*user, channel) for channel in changes],
            )
            connection.executemany(_INSERT, given)
            return self.get(user_id, tenant=tenant)

    def move(self, user_id: str, channel: str, previous: str, new: str, *, tenant: str = OPERATOR) -> bool:
        with self._database.transaction() as connection:
            moved = connection.execute(
                "UPDATE contacts SET address = ? WHERE user_id = ? AND tenant = ? AND channel = ? AND address = ?",
                (storable(new), storable(user_id), storable(tenant), channel, storable(previous)),
            )
        return moved.rowcount > 0

    def get(self, user_id: str, *, tenant: str = OPERATOR) -> dict[str, str]:
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT channel, address FROM contacts WHERE user_id = ? AND tenant = ? ORDER BY channel",
                (storable(user_id), storable(tenant)),
            ).fetchall()
        return {row["channel"]: row["address"] for row in rows}

    def listed(self, *, tenant: str = OPERATOR, after: str | None = None, limit: int) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        values = storable(tenant), storable(after or ""), max(limit, 0)
        with self._database.connection() as connection:
            for user_id, channel, address in connection.execute(_LISTED, values):
                found.setdefault(user_id, {})[channel] = address
        return found

    def tenants_of(self, user_id: str) -> frozenset[str]:
        with self._database.connection() as connection:
            rows = connection.execute("SELECT DISTINCT tenant FROM contacts WHERE user_id = ?", (storable(user_id),))
            return frozenset(row["tenant"] for row in rows)
