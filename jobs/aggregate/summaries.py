"""Summaries from partial sums: merges them, sums days to weeks and months, and checks the totals before publishing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.period_table import period_table
from core.calendar.periods import Calendar, Mode
from core.errors import ConservationBroken, TotalTooLarge
from core.stores.summaries import SUMMARY_COLUMNS

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


def merge(partials: list[pl.DataFrame]) -> pl.DataFrame:
    """Merge `partials` into one row per merchant and day.

    :param partials: frames of `jobs.aggregate.partial.PARTIAL_SCHEMA`.
    :returns: the same columns; sums are Int128 and cannot overflow.
    """
    sums = pl.concat(partials).lazy().group_by("merchant_id", "day").agg(pl.col("amount").sum(), pl.col("count").sum())
    return sums.collect()


def mixed_type_merchants(kinds: list[pl.DataFrame]) -> list[str]:
    """Merchants seen with more than one type, such as 42 and "42"; each is one merchant in the summaries.

    :param kinds: frames of ``merchant_id`` and ``kind``, one per worker.
    """
    mixed = pl.concat(kinds).unique().group_by("merchant_id").len().filter(pl.col("len") > 1)
    return mixed["merchant_id"].sort().to_list()


def summarise(
    daily: pl.DataFrame,
    calendar: Calendar,
    local_days: LocalDays,
    wanted: Mapping[Mode, Collection[str]] | None = None,
) -> pl.DataFrame:
    """The summaries of all modes, per merchant and overall.

    :param daily: frame of ``merchant_id``, ``day``, ``amount`` (Int128) and ``count``, one row per merchant and day.
    :param wanted: for each mode the keys of the wanted periods, whose days are all in `daily`; None: all periods.
    :returns: a frame of `core.stores.summaries.SUMMARY_COLUMNS`, ordered by mode, merchant (overall first), key.
    :raises TotalTooLarge: a total overflows int64; names the merchant and the period.
    """
    periods = periods_of(daily, calendar, local_days)
    daily = daily.sort("merchant_id", "day")
    frames: list[pl.DataFrame] = []
    for mode in sorted(Mode):
        some = periods if wanted is None else periods.filter(pl.col(f"{mode}_key").is_in(list(wanted[mode])))
        by_merchant = _sums_by_merchant(mode, daily, some)
        overall = by_merchant.group_by("period").agg(_totals()).with_columns(merchant_id=pl.lit(None, pl.String))
        frames += [_with_periods(mode, sums, some) for sums in (overall.sort("period"), by_merchant)]
    return pl.concat(frames)


def periods_of(daily: pl.DataFrame, calendar: Calendar, local_days: LocalDays) -> pl.DataFrame:
    """The periods of the days of `daily`, see `core.calendar.period_table`."""
    return period_table(calendar, local_days, daily["day"].unique().sort().to_numpy())


def summarise_merchants(mode: Mode, daily: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """The summaries of `mode` of each merchant; see `summarise`.

    :param daily: ordered by the text of the merchant, then day.
    :param periods: see `periods_of`.
    """
    return _with_periods(mode, _sums_by_merchant(mode, daily, periods), periods)


def summarise_overall(mode: Mode, days: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """The overall summaries of `mode`; see `summarise`.

    :param days: frame of ``day``, ``amount`` (Int128) and ``count``, one row per day, ascending.
    """
    return summarise_merchants(mode, days.with_columns(merchant_id=pl.lit(None, pl.String)), periods)


def _totals() -> tuple[pl.Expr, pl.Expr]:
    return pl.col("amount").sum(), pl.col("count").sum()


def _sums_by_merchant(mode: Mode, daily: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """The sums per merchant and period of `mode`, ordered by both; ``period`` numbers the periods in their order."""
    numbers = periods.select("day", pl.col(f"{mode}_key").rank("min").cast(pl.UInt32).alias("period"))
    dated = daily.join(numbers, on="day", how="inner", validate="m:1", maintain_order="left")
    if mode is not Mode.DAILY:
        dated = dated.group_by("merchant_id", "period", maintain_order=True).agg(_totals())
    return dated.select("merchant_id", "period", "amount", "count")


def _with_periods(mode: Mode, sums: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """Add the key and the bounds of each period to the `sums` of `_sums_by_merchant`."""
    table = periods.select(
        pl.col(f"{mode}_key").rank("min").cast(pl.UInt32).alias("period"),
        pl.col(f"{mode}_key").alias("key"),
        pl.col(f"{mode}_start").alias("period_start"),
        pl.col(f"{mode}_end").alias("period_end"),
    ).unique("period")
    rows = sums.join(table, on="period", maintain_order="left").with_columns(
        pl.col("merchant_id").cast(pl.String), pl.lit(str(mode)).alias("mode")
    )
    return _in_int64(rows).select(SUMMARY_COLUMNS)


def _label_of(row: dict[str, Any]) -> str:
    return "all merchants together" if row["merchant_id"] is None else f"merchant {row['merchant_id']}"


def _in_int64(rows: pl.DataFrame) -> pl.DataFrame:
    beyond = rows.filter(~pl.col("amount").is_between(pl.lit(INT64_MIN, pl.Int128), pl.lit(INT64_MAX, pl.Int128)))
    for row in beyond.head(1).iter_rows(named=True):
        raise TotalTooLarge(
            f"the {row['mode']} total of {_label_of(row)} in {row['key']} is {row['amount']}, which does not fit a "
            "signed 64-bit integer",
            "Nothing was published. Check the amounts of that period, or store them in a larger unit.",
        )
    return rows.with_columns(pl.col("amount").cast(pl.Int64))


def require_conservation(rows: pl.DataFrame, daily: pl.DataFrame) -> tuple[int, int]:
    """Raise unless `rows` have the same totals in every mode: the check between aggregation and publication.

    For each merchant the daily, weekly and monthly totals must equal those of `daily`, and so must the sum over
    merchants and the overall rows.

    :returns: the total amount (which may exceed int64) and the number of transactions.
    :raises ConservationBroken: names a merchant and the numbers that differ.
    """
    for mode in Mode:
        require_same_totals(mode, rows, daily)
    if not len(daily):
        return 0, 0
    return int(daily["amount"].cast(pl.Int128).sum()), int(daily["count"].sum())


def require_same_totals(mode: Mode, rows: pl.DataFrame, daily: pl.DataFrame, *, with_overall: bool = True) -> None:
    """Raise unless the summaries of `mode` in `rows` have the totals of `daily`, per merchant and overall.

    :param with_overall: whether `rows` has overall rows.
    :raises ConservationBroken: names a merchant and the numbers that differ.
    """
    wide = [pl.col("amount").cast(pl.Int128).sum(), pl.col("count").sum()]
    base = daily.group_by("merchant_id").agg(wide).with_columns(pl.col("merchant_id").cast(pl.String))
    overall = base.select(pl.lit(None, pl.String).alias("merchant_id"), *wide)
    expected = pl.concat([base, overall]) if len(base) and with_overall else base
    found = rows.filter(pl.col("mode") == str(mode)).group_by("merchant_id").agg(wide)
    both = expected.join(found, on="merchant_id", how="full", suffix="_found", nulls_equal=True, coalesce=True)
    wrong = both.filter(
        pl.col("amount").ne_missing(pl.col("amount_found")) | pl.col("count").ne_missing(pl.col("count_found"))
    )
    for row in wrong.head(1).iter_rows(named=True):
        raise ConservationBroken(
            f"the {mode} summaries of {_label_of(row)} add up to {row['amount_found'] or 0} in "
            f"{row['count_found'] or 0} transactions, but {row['amount'] or 0} in {row['count'] or 0} were counted",
            "Nothing was published. This is a defect of the program: please report it with the command used.",
        )
