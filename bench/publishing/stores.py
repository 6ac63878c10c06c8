"""A made-up year of summaries, and some of its days counted anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from bench.api.store import SEED, TIME_ZONE, day_range, merchant_ids
from core.calendar import JalaliCalendar
from core.calendar.days import LocalDays
from core.stores.summaries import Meaning, Publication
from jobs.aggregate.summaries import require_conservation, summarise

CALENDAR: Final = JalaliCalendar()
LOCAL_DAYS: Final = LocalDays(TIME_ZONE)
MEANING: Final = Meaning(TIME_ZONE, CALENDAR.name, "merchantId", "amount", "createdAt")
SUMMARIES_PER_MERCHANT: Final = 366 + 53 + 12
DAYS_REPLACED: Final = 3


@dataclass(frozen=True)
class Year:
    """A year in which every merchant has transactions on every day.

    :param merchants: how many.
    """

    merchants: int

    @cached_property
    def rows(self) -> pl.DataFrame:
        """Its summaries."""
        return summarise(self.daily(day_range(), 0), CALENDAR, LOCAL_DAYS)

    def daily(self, days: range, turn: int) -> pl.DataFrame:
        """The daily sums of `days`, others in each `turn`."""
        ids = pl.DataFrame({"merchant_id": merchant_ids(self.merchants)})
        daily = ids.join(pl.DataFrame({"day": pl.Series(days, dtype=pl.Int64)}), how="cross")
        amounts = np.random.default_rng(SEED + turn).integers(1, 10**9, len(daily))
        return daily.with_columns(amount=pl.Series(amounts).cast(pl.Int128), count=pl.lit(1 + turn, pl.Int64))

    @cached_property
    def publication(self) -> Publication:
        """What publishes all of it, as generation 1."""
        total_amount, total_count = require_conservation(self.rows, self.daily(day_range(), 0))
        keys = self.rows.filter(pl.col("mode") == "daily")["key"]
        return Publication(
            generation=1,
            run_id=1,
            published_at_ms=0,
            meaning=MEANING,
            rows=self.rows.height,
            first_day_key=str(keys.min()),
            last_day_key=str(keys.max()),
            total_amount=total_amount,
            total_count=total_count,
        )


def last_days() -> range:
    """The days that are replaced: the last of the year."""
    return day_range()[-DAYS_REPLACED:]
