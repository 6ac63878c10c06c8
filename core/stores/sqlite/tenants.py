"""The part of the migration to tenants that SQL cannot do: whose a key is, and so what was made with it."""

from __future__ import annotations

import sqlite3
from typing import Final

from core.stores.ownerless import Ownerless
from core.stores.records import key_from_record
from core.stores.sqlite.rows import from_row
from core.tenants import OPERATOR

_OWNERLESS: Final = (
    "SELECT (SELECT count(DISTINCT user_id) FROM contacts) AS contacts, (SELECT count(*) FROM subscriptions) "
    "AS subscriptions, (SELECT count(*) FROM notifications WHERE sender_key_id IS NULL "
    "OR sender_key_id NOT IN (SELECT id FROM api_keys)) AS notifications"
)


def assign_tenants(connection: sqlite3.Connection) -> Ownerless:
    """Give each notification to the tenant of the key that it came with; all else is the operator's."""
    for row in connection.execute("SELECT * FROM api_keys").fetchall():
        key = key_from_record(from_row(row))
        if key.tenant != OPERATOR:
            connection.execute("UPDATE notifications SET tenant = ? WHERE sender_key_id = ?", (key.tenant, key.id))
    return Ownerless(**connection.execute(_OWNERLESS).fetchone())
