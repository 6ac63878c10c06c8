"""The store of merchant names on SQLite: the tables ``merchant_names`` and ``merchant_names_version``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from core.calendar.periods import Locale
from core.merchant_names import MerchantNames
from core.stores.merchant_names import MerchantNameStore, next_version
from core.stores.records import storable
from core.stores.sqlite.database import Database

_VERSION: Final = "SELECT version FROM merchant_names_version"
_READ: Final = (
    "SELECT version, merchant_id, language, name FROM merchant_names_version LEFT JOIN merchant_names ON true "
    "ORDER BY merchant_id, language DESC"
)
_INSERT: Final = "INSERT INTO merchant_names (merchant_id, language, name) VALUES (?, ?, ?)"


class SqliteMerchantNameStore(MerchantNameStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> str:
        with self._database.connection() as connection:
            return _version(connection)

    def read(self) -> MerchantNames:
        version, by_merchant = "", dict[str, dict[Locale, str]]()
        with self._database.connection() as connection:
            for found, merchant_id, language, name in connection.execute(_READ):
                version = found
                if merchant_id is not None:
                    by_merchant.setdefault(merchant_id, {})[language] = name
        return MerchantNames(version, by_merchant)

    def replace(self, names: Mapping[str, Mapping[Locale, str]], *, after: str, now_ms: int) -> bool:
        rows = [(storable(one), language, name) for one, texts in names.items() for language, name in texts.items()]
        with self._database.transaction() as connection:
            if _version(connection) != after:
                return False
            connection.execute("DELETE FROM merchant_names")
            connection.executemany(_INSERT, rows)
            connection.execute("DELETE FROM merchant_names_version")
            connection.execute("INSERT INTO merchant_names_version VALUES (?)", (next_version(after, now_ms),))
        return True


def _version(connection: sqlite3.Connection) -> str:
    row = connection.execute(_VERSION).fetchone()
    return "" if row is None else str(row["version"])
