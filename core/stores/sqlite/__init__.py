"""The embedded backend: one SQLite file in WAL mode, nothing to start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from core.stores.holders import Clock
from core.stores.sqlite.database import Database
from core.stores.sqlite.keys import SqliteApiKeyStore
from core.stores.sqlite.runs import SqliteRunLedger
from core.stores.sqlite.schema import prepare
from core.stores.sqlite.summaries import SqliteSummaryStore


def open_all(
    path: str, *, timeout_s: float, clock: Clock, create: bool
) -> tuple[SqliteSummaryStore, SqliteRunLedger, SqliteApiKeyStore, Callable[[], None]]:
    """The stores of the file at `path`, each on a connection of its own, and the function that closes them.

    :raises StoreUnavailable: it cannot be opened, or is not there and `create` is False.
    :raises StoreTooNew: a newer version of this program wrote it; nothing was changed.
    """
    with ExitStack() as opened:

        def connect(*, create: bool) -> Database:
            database = Database(Path(path), timeout_s=timeout_s, create=create)
            opened.callback(database.close)
            return database

        of_summaries = connect(create=create)
        prepare(of_summaries, create=create)
        return (
            SqliteSummaryStore(of_summaries),
            SqliteRunLedger(connect(create=False), clock),
            SqliteApiKeyStore(connect(create=False)),
            opened.pop_all().close,
        )
