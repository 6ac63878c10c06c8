"""The store of subscriptions on SQLite: the table ``subscriptions``."""

from __future__ import annotations

from core.stores.notification_records import subscription_from_record, subscription_to_record
from core.stores.records import storable
from core.stores.sqlite.database import Database
from core.stores.sqlite.rows import from_row, insert
from core.stores.subscriptions import Subscription


class SqliteSubscriptionStore:
    """`core.stores.subscriptions.SubscriptionStore` over `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, subscription: Subscription) -> Subscription:
        """Keep `subscription`, unless one of its id is kept already; durable when it returns."""
        record = subscription_to_record(subscription)
        with self._database.transaction() as connection:
            found = self.get(subscription.id)
            if found is None:
                insert(connection, "subscriptions", record)
        return found or subscription_from_record(record)

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription of that id, also an ended one, or None."""
        with self._database.connection() as connection:
            row = connection.execute("SELECT * FROM subscriptions WHERE id = ?", (subscription_id,)).fetchone()
        return None if row is None else subscription_from_record(from_row(row))

    def all(
        self,
        *,
        user_id: str | None = None,
        in_force: bool = False,
        after: tuple[int, str] | None = None,
        limit: int | None = None,
    ) -> list[Subscription]:
        """Subscriptions by the instant of creation, then by id."""
        user_id = None if user_id is None else storable(user_id)
        created_at_ms, last_id = after or (None, None)
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT * FROM subscriptions WHERE (?1 IS NULL OR user_id = ?1) AND (NOT ?2 OR ended_at_ms IS NULL) "
                "AND (?3 IS NULL OR (created_at_ms, id) > (?3, ?4)) ORDER BY created_at_ms, id LIMIT ?5",
                (user_id, in_force, created_at_ms, last_id, -1 if limit is None else limit),
            ).fetchall()
        return [subscription_from_record(from_row(row)) for row in rows]

    def end(self, subscription_id: str, at_ms: int) -> Subscription:
        """Let the subscription end at `at_ms`; durable when it returns."""
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
        """Remove the subscriptions that ended before `before_ms`; how many those were."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM subscriptions WHERE ended_at_ms < ?", (before_ms,)).rowcount
