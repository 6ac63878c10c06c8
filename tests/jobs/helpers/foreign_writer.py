"""Direct writes to the summaries of a store, as by another program."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from core.calendar.periods import Mode
from core.stores.generations import generation_name
from core.stores.summaries import SUMMARY_COLUMNS

Which = tuple[Mode, str, str | None]
"""Mode, key and merchant of one summary."""


class ForeignWriter:
    """Writes into the summaries of the store at `url`; on MongoDB into those of the first publication."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_sqlite = url.startswith("sqlite")

    def remove(self, which: Which) -> None:
        """Remove one summary."""
        if self._is_sqlite:
            self._execute("DELETE FROM summary_transaction WHERE mode = ? AND key = ? AND merchant_id IS ?", which)
        else:
            with self._collection() as collection:
                assert collection.delete_one(_query(which)).deleted_count == 1

    def alter(self, which: Which) -> None:
        """Change the amount of one summary."""
        if self._is_sqlite:
            change = "UPDATE summary_transaction SET amount = 7 WHERE mode = ? AND key = ? AND merchant_id IS ?"
            self._execute(change, which)
        else:
            with self._collection() as collection:
                assert collection.update_one(_query(which), {"$set": {"amount": 7}}).modified_count == 1

    def add(self, which: Which) -> None:
        """Add one summary."""
        row = (*which, 5, 1, 0, 86_400_000)
        if self._is_sqlite:
            self._execute("INSERT INTO summary_transaction VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        else:
            with self._collection() as collection:
                collection.insert_one(dict(zip(SUMMARY_COLUMNS, row, strict=True)))

    def set_zone_rules(self, digest: str | None) -> None:
        """Set the recorded digest of time zone rules, or remove it as in an old store."""
        source = None if digest is None else "tzdata 1999.1"
        for name in ("summary_publications", "summary_runs"):
            if self._is_sqlite:
                change = f"UPDATE {name} SET zone_rules = ?, zone_rules_source = ?"
                with closing(self._connection()) as connection, connection:
                    connection.execute(change, (digest, source))
            else:
                with self._collection() as collection:
                    values = {"zone_rules": digest, "zone_rules_source": source}
                    collection.database[name].update_many({}, {"$set": values})

    def forget_currency(self) -> None:
        """Remove the recorded currency, as in a store of an earlier version."""
        for name in ("summary_publications", "summary_runs"):
            if self._is_sqlite:
                with closing(self._connection()) as connection, connection:
                    connection.execute(f"UPDATE {name} SET currency = NULL")
            else:
                with self._collection() as collection:
                    collection.database[name].update_many({}, {"$unset": {"currency": ""}})

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        with closing(self._connection()) as connection, connection:
            assert connection.execute(statement, values).rowcount == 1

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._url.removeprefix("sqlite:///"))

    @contextmanager
    def _collection(self) -> Iterator[Collection[dict[str, Any]]]:
        client: MongoClient[dict[str, Any]]
        with MongoClient(self._url) as client:
            yield client.get_default_database()[generation_name(1, 1)]


def _query(which: Which) -> dict[str, object]:
    return dict(zip(("mode", "key", "merchant_id"), which, strict=True))
