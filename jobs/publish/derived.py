"""Derives the summaries of all modes from daily sums, by mode and ranges of merchants, and checks their totals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar, Mode
from core.errors import ConservationBroken
from jobs.aggregate.summaries import (
    INT64_MAX,
    periods_of,
    require_same_totals,
    summarise_merchants,
    summarise_overall,
)
from jobs.partitions.daily_sums import DailySums, in_order
from jobs.publish.replacing import StoreTotals


@dataclass(frozen=True, slots=True)
class Derived(StoreTotals):
    """The summaries of `daily`, one frame in memory at a time.

    :param periods: the periods of its days, see `core.calendar.period_table`.
    :param overall: the overall summaries.
    """

    daily: DailySums
    periods: pl.DataFrame
    overall: dict[Mode, pl.DataFrame]

    @classmethod
    def of(cls, daily: DailySums, days: pl.DataFrame, calendar: Calendar, local_days: LocalDays) -> Self:
        """The summaries of `daily`.

        :param days: its totals by day, see `jobs.partitions.daily_sums.day_totals`.
        :raises TotalTooLarge: a total overflows int64; names the merchant and the period.
        """
        periods = periods_of(days, calendar, local_days)
        overall = {mode: summarise_overall(mode, days, periods) for mode in sorted(Mode)}
        of_merchants = sum(daily.map(partial(_count_rows, periods=periods)))
        keys = overall[Mode.DAILY]["key"]
        return cls(
            total_rows=of_merchants + sum(map(len, overall.values())),
            first_day_key=keys.min(),  # type: ignore[arg-type]
            last_day_key=keys.max(),  # type: ignore[arg-type]
            total_amount=int(days["amount"].sum()),
            total_count=int(days["count"].sum()),
            daily=daily,
            periods=periods,
            overall=overall,
        )

    def frames(self) -> Iterator[pl.DataFrame]:
        """The summaries, as `core.stores.frames.Frames`.

        :raises ConservationBroken: the totals of a mode differ from the daily sums.
        """
        for mode, overall in self.overall.items():
            before = overall
            sums = _by_period(overall.clear())
            for part in self.daily.parts():
                rows = summarise_merchants(mode, part, self.periods)
                require_same_totals(mode, rows, part, with_overall=False)
                sums = _added_up(pl.concat([sums, _by_period(rows)]))
                yield pl.concat([before, rows])
                before = overall.clear()
            _require_overall(mode, overall, sums)


def _count_rows(frame: pl.DataFrame, periods: pl.DataFrame) -> int:
    """The number of summaries per merchant that `frame` has.

    :raises TotalTooLarge: a total overflows int64.
    """
    if int(frame["amount"].abs().sum()) > INT64_MAX:
        for mode in sorted(Mode):
            summarise_merchants(mode, in_order(frame), periods)
    count = len(frame)
    merchants = pl.col("merchant_id").to_physical().cast(pl.UInt64)
    for mode in (Mode.WEEKLY, Mode.MONTHLY):
        numbers = periods.select("day", pl.col(f"{mode}_key").rle_id().cast(pl.UInt64).alias("period"))
        pairs = frame.join(numbers, on="day", maintain_order="none").select(merchants * 2**32 + pl.col("period"))
        count += pairs.to_series().n_unique()
    return count


def _by_period(summaries: pl.DataFrame) -> pl.DataFrame:
    """The sums of each period over all merchants."""
    return _added_up(summaries.select("key", pl.col("amount").cast(pl.Int128), "count"))


def _added_up(sums: pl.DataFrame) -> pl.DataFrame:
    return sums.group_by("key").agg(pl.col("amount").sum(), pl.col("count").sum())


def _require_overall(mode: Mode, overall: pl.DataFrame, sums: pl.DataFrame) -> None:
    """Raise unless the overall summaries equal the sums over merchants.

    :raises ConservationBroken: names a period.
    """
    found = sums.join(_by_period(overall), on="key", how="full", suffix="_overall", coalesce=True)
    wrong = found.filter(
        pl.col("amount").ne_missing(pl.col("amount_overall")) | pl.col("count").ne_missing(pl.col("count_overall"))
    )
    for row in wrong.sort("key").head(1).iter_rows(named=True):
        raise ConservationBroken(
            f"the {mode} summaries of {row['key']} of all merchants add up to {row['amount'] or 0} in "
            f"{row['count'] or 0} transactions, but the overall summary has {row['amount_overall'] or 0} in "
            f"{row['count_overall'] or 0}",
            "Nothing was published. This is a defect of the program: please report it with the command used.",
        )
