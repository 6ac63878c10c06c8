"""The MongoDB backend, for MongoDB and compatible servers. It requires neither transactions nor views."""

from __future__ import annotations

from core.instants import Clock
from core.stores import Stores
from core.stores.api_keys import ApiKeyStore
from core.stores.mongo.contacts import MongoContactStore
from core.stores.mongo.database import Database
from core.stores.mongo.key_uses import MongoKeyUseStore
from core.stores.mongo.merchant_names import MongoMerchantNameStore
from core.stores.mongo.notifications import MongoNotificationStore
from core.stores.mongo.record_table import MongoTable
from core.stores.mongo.runs import MongoRunLedger
from core.stores.mongo.schema import prepare
from core.stores.mongo.summaries import MongoSummaryStore
from core.stores.sessions import SessionStore
from core.stores.subscriptions import SubscriptionStore


def open_all(url: str, *, timeout_s: float, clock: Clock, create: bool) -> Stores:
    """Open the stores of the database of `url`, over one client.

    :raises SettingsError: `url` is invalid, or names no database.
    :raises StoreUnavailable: the server does not answer, or has no store and `create` is False.
    :raises StoreTooNew: written by a newer version of this program; nothing was changed.
    """
    database = Database(url, timeout_s=timeout_s)
    try:
        prepare(database, create=create)
    except BaseException:
        database.close()
        raise
    return Stores(
        summaries=MongoSummaryStore(database),
        runs=MongoRunLedger(database, clock),
        keys=ApiKeyStore(MongoTable(database, "api_keys")),
        key_uses=MongoKeyUseStore(database),
        sessions=SessionStore(MongoTable(database, "api_sessions")),
        notifications=MongoNotificationStore(database),
        contacts=MongoContactStore(database),
        subscriptions=SubscriptionStore(MongoTable(database, "subscriptions")),
        merchant_names=MongoMerchantNameStore(database),
        close=database.close,
    )
