"""Opens the stores of summaries, names, runs, API keys, sessions and notifications on either backend.

::

    with open_stores("sqlite:///summaries.db", timeout_s=30) as stores:
        stores.summaries.series(Mode.MONTHLY, "amount", None)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from core.errors import SettingsError
from core.instants import Clock, wall_clock_ms
from core.stores.api_keys import ApiKeyStore, KeyUseStore
from core.stores.contacts import ContactStore
from core.stores.merchant_names import MerchantNameStore
from core.stores.notifications import NotificationStore
from core.stores.run_lock import current_holder
from core.stores.runs import RunLedger
from core.stores.sessions import SessionStore
from core.stores.subscriptions import SubscriptionStore
from core.stores.summaries import SummaryStore

__all__ = ["Clock", "Stores", "current_holder", "open_stores", "wall_clock_ms"]


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one ``STORE_URL``; a context manager that closes them.

    Thread-safe, but not fork-safe: open after forking. On SQLite each store has its own connection, so a heartbeat in
    `runs` from another thread waits only for single batches of a publication in `summaries`.
    """

    summaries: SummaryStore
    runs: RunLedger
    keys: ApiKeyStore
    key_uses: KeyUseStore
    sessions: SessionStore
    notifications: NotificationStore
    contacts: ContactStore
    subscriptions: SubscriptionStore
    merchant_names: MerchantNameStore
    close: Callable[[], None]
    """Closes all connections; the stores cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_stores(store_url: str, *, timeout_s: float, clock: Clock = wall_clock_ms, create: bool = True) -> Stores:
    """Open the stores at `store_url`.

    :param store_url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``mongodb://host/database`` or
        ``mongodb+srv://host/database``.
    :param timeout_s: seconds to wait for a server that does not answer, or for another writer.
    :param clock: determines the age of heartbeats.
    :param create: whether to create a missing store; False for readers.
    :raises SettingsError: `store_url` is invalid.
    :raises StoreUnavailable: the store cannot be opened, or does not exist and `create` is False.
    :raises StoreTooNew: written by a newer version of this program; nothing was changed.
    """
    scheme, separator, path = store_url.partition(":///")
    if scheme == "sqlite" and separator and path not in ("", ":memory:"):
        from core.stores import sqlite

        return sqlite.open_all(path, timeout_s=timeout_s, clock=clock, create=create)
    if store_url.startswith(("mongodb://", "mongodb+srv://")):
        from core.stores import mongo

        return mongo.open_all(store_url, timeout_s=timeout_s, clock=clock, create=create)
    raise _unknown_url(store_url)


def _unknown_url(store_url: str) -> SettingsError:
    # Show only the scheme, as the rest may contain a password.
    scheme = re.match(r"[a-z][a-z0-9+.-]*:/{0,3}", store_url, re.IGNORECASE)
    found = f"begins with {scheme[0]!r}" if scheme else "is not a URL"
    return SettingsError(
        f"STORE_URL {found}: it must be sqlite:///path.db or mongodb://host/database",
        "A relative path has three slashes (sqlite:///summaries.db), an absolute one has four (sqlite:////srv/s.db).",
    )
