"""How the ledger is shown to machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.stores.runs import Run
from core.stores.summaries import Publication


def run_as_json(run: Run) -> dict[str, Any]:
    """A run of the ledger for machines; instants in milliseconds since 1970 UTC."""
    return asdict(run) | {
        "status": str(run.status),
        "degraded": run.degraded,
        "rejects_not_kept": run.rejects_not_kept,
    }


def publication_as_json(publication: Publication | None) -> dict[str, Any] | None:
    """A publication for machines."""
    return None if publication is None else asdict(publication)
