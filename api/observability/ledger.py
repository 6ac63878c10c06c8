"""What the ledger of runs says at one time, with the publication that it is about."""

from __future__ import annotations

from collections.abc import Sequence

from core.stores import Stores
from core.stores.freshness import RUNS_LOOKED_AT, Standing
from core.stores.runs import Run


def read_ledger(stores: Stores) -> tuple[Standing | None, Sequence[Run]]:
    """How what is published stands, or None when nothing is; and the latest runs, newest first.

    :raises StoreUnavailable: the store does not answer.
    """
    standing = Standing.read(stores)
    return standing, stores.runs.recent(RUNS_LOOKED_AT) if standing is None else standing.recent
