"""Compares the fingerprint of a run with that of the store: raises, or warns of an adopted rules version."""

from __future__ import annotations

import numpy as np
import polars as pl

from core.calendar import calendar_named
from core.calendar.days import LocalDays
from core.calendar.periods import Mode
from core.errors import FingerprintMismatch
from core.stores.summaries import Fingerprint, Publication, SummaryStore


def require_same_fingerprint(
    fingerprint: Fingerprint, published: Publication, summaries: SummaryStore, local_days: LocalDays
) -> None:
    """Raise unless totals counted with `fingerprint` may be merged with those of `published`.

    If only the time zone rules differ, the error names the first published day whose bounds they change. This reads the
    daily summaries, a month at a time.

    :raises FingerprintMismatch: names the differences, and what to do.
    """
    try:
        fingerprint.require_same(published.fingerprint)
    except FingerprintMismatch as mismatch:
        if fingerprint.differing(published.fingerprint) != ["zone_rules"]:
            raise
        moved = _what_moves(published, summaries, local_days)
        raise FingerprintMismatch(f"{mismatch.sentence}; {moved}", mismatch.hint) from None


def adoption_warnings(
    fingerprint: Fingerprint, before: Publication | None, summaries: SummaryStore, local_days: LocalDays
) -> tuple[str, ...]:
    """The warnings for a run with `fingerprint` that replaces a part of `before`.

    If `before` has no rules, the store adopts those of the run. The next publication has them, even if nothing else
    changes, so the warning occurs once per store.
    """
    if before is None or not before.rows or before.fingerprint.zone_rules is not None:
        return ()
    return (
        f"the store had no recorded time zone rules of {fingerprint.time_zone}, and now records those of "
        f"{fingerprint.rules_words()}: {_what_moves(before, summaries, local_days)}",
    )


def _what_moves(published: Publication, summaries: SummaryStore, local_days: LocalDays) -> str:
    day = _first_moved_day(published, summaries, local_days)
    if day is None:
        return "the boundaries of the published days do not change"
    return f"{day} is the first published day whose boundaries change"


def _first_moved_day(published: Publication, summaries: SummaryStore, local_days: LocalDays) -> str | None:
    """The key of the first published day whose bounds differ by the current rules, or None."""
    calendar = calendar_named(published.fingerprint.calendar)
    if published.first_day_key is None or published.last_day_key is None:
        return None
    first, last = (
        calendar.parse(Mode.DAILY, key).first_day for key in (published.first_day_key, published.last_day_key)
    )
    for month in calendar.periods(Mode.MONTHLY, first, last):
        bounds = (calendar.period_of(Mode.DAILY, day).key for day in (month.first_day, month.last_day))
        rows = summaries.rows(Mode.DAILY, *bounds).filter(pl.col("merchant_id").is_null()).sort("key")
        days = np.array([calendar.parse(Mode.DAILY, key).first_day for key in rows["key"]], dtype=np.int64)
        starts, ends = local_days.starts_ms(days), local_days.starts_ms(days + 1)
        stored_starts, stored_ends = (rows[name].to_physical().to_numpy() for name in ("period_start", "period_end"))
        moved = np.flatnonzero((starts != stored_starts) | (ends != stored_ends))
        if moved.size:
            return str(rows["key"][int(moved[0])])
    return None
