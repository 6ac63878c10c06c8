"""What every verb needs: settings, the store, and how the ledger is shown to machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.settings import Settings, read_settings
from core.stores import Stores, open_stores
from core.stores.runs import Run
from core.stores.summaries import Publication


def settings_and_store(store_url: str | None, *, create: bool) -> tuple[Settings, Stores]:
    """The settings, and the store they (or `store_url`) name."""
    settings = read_settings()
    return settings, open_stores(store_url or settings.store_url, timeout_s=settings.store_timeout_s, create=create)


def run_as_json(run: Run) -> dict[str, Any]:
    """A run of the ledger for machines; instants in milliseconds since 1970 UTC."""
    return asdict(run) | {"status": str(run.status), "degraded": run.degraded}


def publication_as_json(publication: Publication | None) -> dict[str, Any] | None:
    """A publication for machines."""
    return None if publication is None else asdict(publication)
