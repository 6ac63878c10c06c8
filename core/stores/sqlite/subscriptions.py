"""The store of subscriptions on SQLite: the table ``subscriptions``."""

from __future__ import annotations

import json
from collections.abc import Collection

from core.stores.notification_records import subscription_from_record, subscription_to_record
from core.stores.records import storable
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert
from core.stores.subscriptions import Subscription, SubscriptionStore


class SqliteSubscriptionStore(SubscriptionStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, subscription: Subscription) -> Subscription:
        record = subscription_to_record(subscription)
        with self._database.transaction() as connection:
            found = self.get(subscription.id)
            if found is None:
                insert(connection, "subscriptions", record)
        return found or subscription_from_record(record)

    def get(self, subscription_id: str) -> Subscription | None:
        with self._database.connection() as connection:
            row = connection.execute("SELECT * FROM subscriptions WHERE id = ?", (subscription_id,)).fetchone()
        return None if row is None else subscription_from_record(from_row(row))

    def all(
        self,
        *,
        tenant: str | None = None,
        merchants: Collection[str] | None = None,
        user_id: str | None = None,
        active: bool = False,
        after: tuple[int, str] | None = None,
        limit: int | None = None,
    ) -> list[Subscription]:
        parts: list[tuple[str, tuple[int | str, ...]]] = [("NOT ? OR ended_at_ms IS NULL", (active,))]
        if tenant is not None:
            parts.append(("tenant = ?", (storable(tenant),)))
        if merchants is not None:
            readable = json.dumps([storable(merchant_id) for merchant_id in merchants])
            parts.append(("merchant_id IN (SELECT value FROM json_each(?))", (readable,)))
        if user_id is not None:
            parts.append(("user_id = ?", (storable(user_id),)))
        if after is not None:
            parts.append(("(created_at_ms, id) > (?, ?)", after))
        where = " AND ".join(f"({condition})" for condition, _ in parts)
        values = [value for _, given in parts for value in given]
        query = f"SELECT * FROM subscriptions WHERE {where} ORDER BY created_at_ms, id LIMIT ?"
        with self._database.connection() as connection:
            rows = connection.execute(query, (*values, -1 if limit is None else limit)).fetchall()
        return [subscription_from_record(from_row(row)) for row in rows]

    def end(self, subscription_id: str, at_ms: int) -> Subscription:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE subscriptions SET ended_at_ms = ? WHERE id = ? AND ended_at_ms IS NULL",
                (at_ms, subscription_id),
            )
            subscription = self.get(subscription_id)
        if subscription is None:
            raise LookupError(f"there is no subscription {subscription_id}")
        return subscription

    def remove_ended(self, before_ms: int) -> int:
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM subscriptions WHERE ended_at_ms < ?", (before_ms,)).rowcount
