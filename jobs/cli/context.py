"""The ledger, condition and publication as JSON, and the keys of a range."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.calendar import calendar_named
from core.calendar.dates import period_named
from core.calendar.periods import Mode
from core.errors import UsageError
from core.money import grouped
from core.stores.condition import Condition
from core.stores.runs import Run
from core.stores.summaries import Publication


def run_as_json(run: Run) -> dict[str, Any]:
    """A run of the ledger as JSON; instants in milliseconds since 1970 UTC."""
    return _with_fingerprint(asdict(run)) | {
        "status": str(run.status),
        "degraded": run.degraded,
        "rejects_not_kept": run.rejects_not_kept,
        "duration_s": run.duration_s,
        "documents_per_s": None if run.documents_per_s is None else round(run.documents_per_s, 1),
    }


def condition_as_json(condition: Condition, now_ms: int) -> dict[str, Any]:
    """The condition of the summaries as JSON."""
    freshness, refreshes = condition.freshness, condition.refreshes
    return {
        "state": condition.state,
        "degraded_by": list(condition.degraded_by),
        "failures_in_a_row": len(condition.failures),
        "sources_read_until_ms": None if freshness is None else freshness.as_of_ms,
        "age_s": None if freshness is None else freshness.age_s(now_ms),
        "refreshes": None
        if refreshes is None
        else {
            "every_s": refreshes.every_s,
            "due_ms": refreshes.due_ms,
            "missed": refreshes.missed(now_ms),
        },
    }


def amount_words(publication: Publication) -> str:
    """The total amount as text, in major units."""
    fingerprint = publication.fingerprint
    return f"{grouped(publication.total_amount, fingerprint.amount_scale)} {fingerprint.unit('')}"


def publication_as_json(publication: Publication | None) -> dict[str, Any] | None:
    return None if publication is None else _with_fingerprint(asdict(publication))


def _with_fingerprint(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with the fingerprint under its JSON name, ``meaning``."""
    return {"meaning" if name == "fingerprint" else name: value for name, value in fields.items()}


def range_of_keys(
    publication: Publication, mode: Mode, first: str | None, last: str | None
) -> tuple[str | None, str | None]:
    """The keys of ``--from`` and ``--to``; None for no bound.

    :raises UsageError: one of them is neither a key of `mode` nor a date, or the first is after the last.
    """
    calendar = calendar_named(publication.fingerprint.calendar)
    try:
        first_key, last_key = (
            None if text is None else period_named(calendar, mode, text).key for text in (first, last)
        )
    except ValueError as error:
        raise UsageError(str(error), f"--from and --to must be {mode} keys, or Gregorian dates.") from None
    if first_key is not None and last_key is not None and first_key > last_key:
        raise UsageError(f"--from {first_key} is after --to {last_key}", "Exchange them.")
    return first_key, last_key
