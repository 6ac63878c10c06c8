"""Stores in which a few days of a few merchants are published, for the tests of the named queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from core.calendar import calendar_named
from core.calendar.periods import Mode
from core.stores import Stores
from core.stores.summaries import SUMMARY_COLUMNS, Fingerprint, Publication

Sales = Mapping[str, Mapping[str, int | tuple[int, int]]]
"""Merchant -> day -> amount of one transaction, or amount and number of several."""

_NOON = datetime(2024, 6, 24, 12, tzinfo=UTC)


def publish(stores: Stores, sales: Sales, calendar_name: str = "jalali") -> None:
    """Publish `sales` as the next generation, weeks and months derived from their days one by one."""
    before = stores.summaries.published()
    rows = frame(sales, calendar_name)
    days = rows.filter(pl.col("mode") == "daily")["key"]
    overall = rows.filter(pl.col("mode") == "daily", pl.col("merchant_id").is_null())
    publication = Publication(
        generation=1 if before is None else before.generation + 1,
        run_id=1 if before is None else before.run_id + 1,
        published_at_ms=0,
        fingerprint=Fingerprint("Asia/Tehran", calendar_name, "merchantId", "amount", "createdAt"),
        rows=rows.height,
        first_day_key=None if days.is_empty() else str(days.min()),
        last_day_key=None if days.is_empty() else str(days.max()),
        total_amount=sum(overall["amount"]),
        total_count=sum(overall["count"]),
    )
    stores.summaries.publish(publication, rows)


def frame(sales: Sales, calendar_name: str = "jalali") -> pl.DataFrame:
    """The summaries of `sales`: a frame of `SUMMARY_COLUMNS` with arbitrary instants."""
    calendar = calendar_named(calendar_name)
    totals: dict[tuple[str, str, str | None], list[int]] = defaultdict(lambda: [0, 0])
    for merchant, days in sales.items():
        for day_key, sold in days.items():
            amount, count = sold if isinstance(sold, tuple) else (sold, 1)
            day = calendar.parse(Mode.DAILY, day_key).first_day
            for mode in Mode:
                for whose in (merchant, None):
                    total = totals[mode.value, calendar.period_of(mode, day).key, whose]
                    total[0] += amount
                    total[1] += count
    rows = [(*key, *total, _NOON, _NOON) for key, total in totals.items()]
    instant = pl.Datetime("ms", "UTC")
    types = (pl.String, pl.String, pl.String, pl.Int64, pl.Int64, instant, instant)
    return pl.DataFrame(rows, schema=dict(zip(SUMMARY_COLUMNS, types, strict=True)), orient="row")
