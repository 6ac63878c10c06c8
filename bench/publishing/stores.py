"""Made-up summaries of some years, and some of their days counted anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from bench.api.store import SEED, TIME_ZONE, YEAR, day_range, merchant_ids
from core.calendar import JalaliCalendar
from core.calendar.days import LocalDays
from core.calendar.periods import Mode
from core.stores.summaries import Fingerprint, Publication
from jobs.aggregate.summaries import require_conservation, summarise

CALENDAR: Final = JalaliCalendar()
LOCAL_DAYS: Final = LocalDays(TIME_ZONE)
FINGERPRINT: Final = Fingerprint(TIME_ZONE, CALENDAR.name, "merchantId", "amount", "createdAt")
DAYS_REPLACED: Final = 3
MERCHANTS: Final = 2_320
_SUMMARIES_A_YEAR: Final = 366 + 53 + 12


@dataclass(frozen=True)
class History:
    """Years in which every merchant has transactions on every day.

    :param merchants: how many.
    :param years: how many, up to the last of the store that the API is measured with.
    """

    merchants: int
    years: int

    @classmethod
    def of_about(cls, summaries: int) -> History:
        """One of about that many: more of them mean more years, and no more to replace in some days."""
        merchants = min(MERCHANTS, max(1, summaries // _SUMMARIES_A_YEAR))
        return cls(merchants, max(1, round(summaries / (merchants * _SUMMARIES_A_YEAR))))

    @property
    def _days(self) -> range:
        year = day_range()
        first = CALENDAR.parse(Mode.MONTHLY, f"{YEAR - self.years + 1}/01").first_day
        return range(first, year.stop)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """Its summaries."""
        return summarise(self.daily(self._days, 0), CALENDAR, LOCAL_DAYS)

    def daily(self, days: range, turn: int) -> pl.DataFrame:
        """The daily sums of `days`, others in each `turn`."""
        ids = pl.DataFrame({"merchant_id": merchant_ids(self.merchants)})
        daily = ids.join(pl.DataFrame({"day": pl.Series(days, dtype=pl.Int64)}), how="cross")
        amounts = np.random.default_rng(SEED + turn).integers(1, 10**9, len(daily))
        return daily.with_columns(amount=pl.Series(amounts).cast(pl.Int128), count=pl.lit(1 + turn, pl.Int64))

    @cached_property
    def publication(self) -> Publication:
        """What publishes all of it, as generation 1."""
        total_amount, total_count = require_conservation(self.rows, self.daily(self._days, 0))
        keys = self.rows.filter(pl.col("mode") == "daily")["key"]
        return Publication(
            generation=1,
            run_id=1,
            published_at_ms=0,
            fingerprint=FINGERPRINT,
            rows=self.rows.height,
            first_day_key=str(keys.min()),
            last_day_key=str(keys.max()),
            total_amount=total_amount,
            total_count=total_count,
        )


def last_days() -> range:
    """The days that are replaced: the last."""
    return day_range()[-DAYS_REPLACED:]
