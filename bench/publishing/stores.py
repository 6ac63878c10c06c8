"""Generated summaries of some years, and recomputed sums of some of their days."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from bench.api.store import CALENDAR, LOCAL_DAYS, SEED, YEAR, day_range, every_merchant_daily, publication_of
from core.calendar.periods import Mode
from core.stores.summaries import Publication
from jobs.aggregate.summaries import summarise

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
        """The daily sums of `days`, different in each `turn`."""
        daily = every_merchant_daily(self.merchants, days)
        amounts = np.random.default_rng(SEED + turn).integers(1, 10**9, len(daily))
        return daily.with_columns(amount=pl.Series(amounts).cast(pl.Int128), count=pl.lit(1 + turn, pl.Int64))

    @cached_property
    def publication(self) -> Publication:
        """A function that publishes all of it, as generation 1."""
        return publication_of(self.rows, self.daily(self._days, 0))


def last_days() -> range:
    """The days that are replaced: the last."""
    return day_range()[-DAYS_REPLACED:]
