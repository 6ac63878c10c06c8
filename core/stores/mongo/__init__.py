"""The MongoDB backend, for servers that speak its protocol. It needs no transactions and no views."""

from __future__ import annotations

from collections.abc import Callable

from core.stores.holders import Clock
from core.stores.mongo.database import Database
from core.stores.mongo.keys import MongoApiKeyStore
from core.stores.mongo.runs import MongoRunLedger
from core.stores.mongo.schema import prepare
from core.stores.mongo.summaries import MongoSummaryStore


def open_all(
    url: str, *, timeout_s: float, clock: Clock, create: bool
) -> tuple[MongoSummaryStore, MongoRunLedger, MongoApiKeyStore, Callable[[], None]]:
    """The stores of the database that `url` names, over one client, and the function that closes it.

    :raises SettingsError: `url` is not valid, or names no database.
    :raises StoreUnavailable: the server does not answer, or holds no store and `create` is False.
    :raises StoreTooNew: a newer version of this program wrote it; nothing was changed.
    """
    database = Database(url, timeout_s=timeout_s)
    try:
        prepare(database, create=create)
    except BaseException:
        database.close()
        raise
    return MongoSummaryStore(database), MongoRunLedger(database, clock), MongoApiKeyStore(database), database.close
