"""The embedded backend: one SQLite file in WAL mode, nothing to start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.stores.holders import Clock
from core.stores.sqlite.database import Database
from core.stores.sqlite.runs import SqliteRunLedger
from core.stores.sqlite.schema import prepare
from core.stores.sqlite.summaries import SqliteSummaryStore


def open_both(
    path: str, *, timeout_s: float, clock: Clock, create: bool
) -> tuple[SqliteSummaryStore, SqliteRunLedger, Callable[[], None]]:
    """The stores of the file at `path`, each on a connection of its own, and the function that closes both.

    :raises StoreUnavailable: it cannot be opened, or is not there and `create` is False.
    :raises StoreTooNew: a newer version of this program wrote it; nothing was changed.
    """
    of_summaries = Database(Path(path), timeout_s=timeout_s, create=create)
    try:
        prepare(of_summaries, create=create)
        of_runs = Database(Path(path), timeout_s=timeout_s, create=False)
    except BaseException:
        of_summaries.close()
        raise

    def close() -> None:
        of_runs.close()
        of_summaries.close()

    return SqliteSummaryStore(of_summaries), SqliteRunLedger(of_runs, clock), close
