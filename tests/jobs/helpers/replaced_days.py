"""Replaces days of a store by sums, and compares the result with a rebuild of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
from polars.testing import assert_frame_equal

from core.calendar import JalaliCalendar
from core.calendar.days import LocalDays
from core.calendar.periods import Mode
from core.stores import Stores
from core.stores.summaries import Fingerprint
from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.aggregate.summaries import require_conservation, summarise
from jobs.publish.replacing import Change, replace_days

CALENDAR, TEHRAN = JalaliCalendar(), LocalDays("Asia/Tehran")
FINGERPRINT = Fingerprint("Asia/Tehran", "jalali", "merchantId", "amount", "createdAt")
SCHEMA = pl.Schema({**PARTIAL_SCHEMA, "merchant_id": pl.String()})
ALWAYS = (CALENDAR.first_day, CALENDAR.last_day)

Sums = Mapping[tuple[str, int], tuple[int, int]]
"""(Merchant, day) -> (amount, count)."""


def day(key: str) -> int:
    return CALENDAR.parse(Mode.DAILY, key).first_day


NOWRUZ = day("1402/12/27")
"""Two days before a year that begins in the middle of a week."""


def frame(sums: Sums) -> pl.DataFrame:
    """The sums in the schema of `replace_days`."""
    rows = [(merchant, day, amount, count) for (merchant, day), (amount, count) in sums.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def find(stores: Stores, sums: Sums, *days: tuple[int, int]) -> Change:
    """The change that replaces `days` by `sums`."""
    return replace_days(stores.summaries, stores.summaries.published(), CALENDAR, TEHRAN, frame(sums), days)


def publish(stores: Stores, sums: Sums, *days: tuple[int, int]) -> Change:
    """Replace `days` by `sums`."""
    before = stores.summaries.published()
    change = find(stores, sums, *days)
    publication = change.publication(before, 1, FINGERPRINT, 0)
    stores.summaries.amend(publication, change.rows, change.ranges)
    return change


def require_holds(stores: Stores, sums: Sums) -> None:
    """Require that the store equals a rebuild of everything from `sums`."""
    expected = summarise(frame(sums), CALENDAR, TEHRAN)
    total_amount, total_count = require_conservation(expected, frame(sums))
    found = pl.concat([stores.summaries.rows(mode) for mode in Mode])
    assert_frame_equal(found, expected, check_row_order=False)
    keys = sorted(CALENDAR.period_of(Mode.DAILY, day).key for _, day in sums)
    published = stores.summaries.published()
    assert published is not None
    assert published == replace(
        published,
        rows=expected.height,
        total_amount=total_amount,
        total_count=total_count,
        first_day_key=keys[0] if keys else None,
        last_day_key=keys[-1] if keys else None,
    )
