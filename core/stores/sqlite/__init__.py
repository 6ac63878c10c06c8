"""The embedded backend: an SQLite file in WAL mode."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from core.instants import Clock
from core.stores import Stores
from core.stores.api_keys import ApiKeyStore
from core.stores.sessions import SessionStore
from core.stores.sqlite.contacts import SqliteContactStore
from core.stores.sqlite.database import Database
from core.stores.sqlite.key_uses import SqliteKeyUseStore
from core.stores.sqlite.merchant_names import SqliteMerchantNameStore
from core.stores.sqlite.notifications import SqliteNotificationStore
from core.stores.sqlite.record_table import SqliteTable
from core.stores.sqlite.runs import SqliteRunLedger
from core.stores.sqlite.schema import prepare
from core.stores.sqlite.summaries import SqliteSummaryStore
from core.stores.subscriptions import SubscriptionStore


def open_all(path: str, *, timeout_s: float, clock: Clock, create: bool) -> Stores:
    """Open the stores of the file at `path`, each on its own connection.

    :raises StoreUnavailable: it cannot be opened, or does not exist and `create` is False.
    :raises StoreTooNew: written by a newer version of this program; nothing was changed.
    """
    with ExitStack() as opened:

        def connect(*, create: bool) -> Database:
            database = Database(Path(path), timeout_s=timeout_s, create=create)
            opened.callback(database.close)
            return database

        of_summaries = connect(create=create)
        prepare(of_summaries, create=create)
        return Stores(
            summaries=SqliteSummaryStore(of_summaries),
            runs=SqliteRunLedger(connect(create=False), clock),
            keys=ApiKeyStore(SqliteTable(connect(create=False), "api_keys")),
            key_uses=SqliteKeyUseStore(connect(create=False)),
            sessions=SessionStore(SqliteTable(connect(create=False), "api_sessions")),
            notifications=SqliteNotificationStore(connect(create=False)),
            contacts=SqliteContactStore(connect(create=False)),
            subscriptions=SubscriptionStore(SqliteTable(connect(create=False), "subscriptions")),
            merchant_names=SqliteMerchantNameStore(connect(create=False)),
            close=opened.pop_all().close,
        )
