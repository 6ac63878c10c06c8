"""Computes the changes of a store when some days are recomputed, including their weeks and months."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.period_table import distinct_periods
from core.calendar.periods import Calendar, Mode
from core.errors import PublicationLost
from core.stores.complete_days import Days
from core.stores.frames import within
from core.stores.summaries import Fingerprint, KeyRange, Publication, SummaryStore
from jobs.aggregate.summaries import require_same_totals, summarise
from jobs.publish.published_days import AffectedPeriods, StoredDays
from jobs.publish.shrinking import DayCounts, DayLoss, Protection, losses, protect_nothing

_SUMS: Final = ("merchant_id", "day", "amount", "count")


@dataclass(frozen=True, slots=True)
class StoreTotals:
    """The totals of a store after a publication.

    :param total_rows: summaries of all modes; likewise `total_amount` (may exceed int64) and `total_count`.
    :param first_day_key: the earliest day with transactions, or None; likewise `last_day_key`.
    """

    total_rows: int
    first_day_key: str | None
    last_day_key: str | None
    total_amount: int
    total_count: int

    def publication(self, before: Publication | None, run_id: int, fingerprint: Fingerprint, at_ms: int) -> Publication:
        """The publication after `before`, with unknown completeness.

        :param at_ms: time of publication, milliseconds since 1970 UTC.
        """
        return Publication(
            generation=1 if before is None else before.generation + 1,
            run_id=run_id,
            published_at_ms=at_ms,
            fingerprint=fingerprint,
            rows=self.total_rows,
            first_day_key=self.first_day_key,
            last_day_key=self.last_day_key,
            total_amount=self.total_amount,
            total_count=self.total_count,
        )


@dataclass(frozen=True, slots=True)
class Change(StoreTotals):
    """The arguments of `SummaryStore.amend`, and the totals of the store afterwards.

    :param periods: the periods whose summaries differ from the stored ones, of any merchant; ascending.
    :param ranges: the same periods as ranges.
    :param rows: all new summaries of these periods, a frame of `core.stores.summaries.SUMMARY_COLUMNS`.
    :param replaced: the stored summaries of these periods.
    :param protected: days that retain their published totals although the source has fewer of their transactions.
    :param lost: days with fewer transactions afterwards; ascending.
    """

    periods: Mapping[Mode, tuple[str, ...]]
    ranges: tuple[KeyRange, ...]
    rows: pl.DataFrame
    replaced: pl.DataFrame
    protected: tuple[DayLoss, ...]
    lost: tuple[DayLoss, ...]

    @property
    def days_changed(self) -> int:
        return len(self.periods[Mode.DAILY])

    def __bool__(self) -> bool:
        return bool(self.ranges)


def replace_days(
    summaries: SummaryStore,
    before: Publication | None,
    calendar: Calendar,
    local_days: LocalDays,
    daily: pl.DataFrame,
    days: Sequence[Days],
    protection: Protection = protect_nothing,
) -> Change:
    """Compute the change that gives some days new daily sums, and derives their weeks and months again.

    Reads only the weeks and months with one of these days. Compares whole periods with the stored summaries, so it also
    repairs weeks that differ from their days, and periods that something else wrote or removed. The totals afterwards
    are computed from the actual content of the store, not from its publication record.

    :param before: the current publication, read before this call, so that a concurrent publication is detected here or
        by `SummaryStore.amend`.
    :param daily: the new sums, a frame of ``merchant_id``, ``day``, ``amount`` (Int128) and ``count``, one row per
        merchant and day. A day without rows has no transactions any more.
    :param days: the days to replace, in any order.
    :param protection: decides which of them retain their stored sums; their weeks and months include these.
    :raises WouldShrink: `protection` refuses the change.
    :raises ValueError: `daily` has a day that is not in `days`, or outside of `calendar`.
    :raises TotalTooLarge: a total overflows int64; names the merchant and the period.
    :raises ConservationBroken: the totals of derived weeks and months differ from their days.
    :raises PublicationLost: `before` is not current any more; call again with the current one.
    :raises StoreUnavailable: the store does not answer.
    """
    affected = AffectedPeriods.of(calendar, days)
    if not all(map(affected.replaces, daily["day"].unique())):
        raise ValueError("there are sums of days that are not replaced")
    current = StoredDays.read(summaries, affected)
    if summaries.published() != before:
        raise PublicationLost(
            "another run published while this run searched for changes",
            "Nothing of this run was published. Run the same command again; it starts from the current publication.",
        )
    stored_counts, counted = _stored_counts(current.rows[Mode.DAILY], calendar, affected), day_counts(daily)
    protected = tuple(protection(stored_counts, counted))
    protected_days = {loss.day for loss in protected}
    stored_of_protected = _sums_of(current.rows[Mode.DAILY], calendar, protected_days.__contains__)
    daily = pl.concat([daily.select(_SUMS).filter(~pl.col("day").is_in(protected_days)), stored_of_protected])
    stored = pl.concat([current.rows[mode].filter(within(affected.replaced[mode])) for mode in Mode])
    derived = _derive(calendar, local_days, affected, current.rows[Mode.DAILY], daily)
    changed = pl.concat([stored, derived]).unique(keep="none").select("mode", "key").unique().sort("key")
    rows = derived.join(changed, on=["mode", "key"], how="semi")
    retired = stored.join(changed, on=["mode", "key"], how="semi")
    keys = {mode: tuple(changed.filter(pl.col("mode") == str(mode))["key"]) for mode in Mode}
    known = {mode: current.keys(mode).union(keys[mode]) for mode in Mode}

    others = {key: sums for key, sums in current.overall.items() if not affected.holds(Mode.DAILY, key)}
    keys_after = sorted([*others, *(calendar.period_of(Mode.DAILY, day).key for day in daily["day"].unique())])
    return Change(
        periods=keys,
        ranges=tuple(one for mode in Mode for one in _ranges(keys[mode], known[mode], affected.replaced[mode])),
        rows=rows,
        replaced=retired,
        protected=protected,
        lost=tuple(loss for loss in losses(stored_counts, counted) if loss.day not in protected_days),
        total_rows=current.count + rows.height - retired.height,
        first_day_key=keys_after[0] if keys_after else None,
        last_day_key=keys_after[-1] if keys_after else None,
        total_amount=sum(amount for amount, _ in others.values()) + int(daily["amount"].sum()),
        total_count=sum(count for _, count in others.values()) + int(daily["count"].sum()),
    )


def _derive(
    calendar: Calendar, local_days: LocalDays, affected: AffectedPeriods, stored_days: pl.DataFrame, daily: pl.DataFrame
) -> pl.DataFrame:
    """All new summaries of the periods with a day to replace.

    :param stored_days: the stored daily summaries of these periods.
    """
    sums = pl.concat([daily, _sums_of(stored_days, calendar, lambda day: not affected.replaces(day))])
    days = sums["day"].unique().sort().to_list()
    periods = {
        mode: [one for one in distinct_periods(mode, calendar, days)[0] if affected.holds(mode, one.key)]
        for mode in Mode
    }
    derived = summarise(sums, calendar, local_days, {mode: [one.key for one in periods[mode]] for mode in Mode})
    for mode in Mode:
        whole = [day for one in periods[mode] for day in range(one.first_day, one.last_day + 1)]
        require_same_totals(mode, derived, sums.filter(pl.col("day").is_in(whole)))
    return derived


def _sums_of(stored_days: pl.DataFrame, calendar: Calendar, is_wanted: Callable[[int], bool]) -> pl.DataFrame:
    """The stored sums per merchant of some days, in the columns of `summarise`."""
    merchants = _with_days(stored_days.filter(pl.col("merchant_id").is_not_null()), calendar, is_wanted)
    return merchants.with_columns(pl.col("amount").cast(pl.Int128)).select(_SUMS)


def _stored_counts(stored_days: pl.DataFrame, calendar: Calendar, affected: AffectedPeriods) -> DayCounts:
    """The stored transactions of each day to replace: the overall count, or the sum over merchants if larger."""
    dated = _with_days(stored_days, calendar, affected.replaces)
    of_each = dated.group_by("day", pl.col("merchant_id").is_null()).agg(pl.col("count").sum())
    return dict(of_each.group_by("day").agg(pl.col("count").max()).iter_rows())


def day_counts(daily: pl.DataFrame) -> DayCounts:
    """The number of transactions of each day of `daily`, see `replace_days`."""
    return dict(daily.group_by("day").agg(pl.col("count").sum()).iter_rows())


def _with_days(stored_days: pl.DataFrame, calendar: Calendar, is_wanted: Callable[[int], bool]) -> pl.DataFrame:
    """The rows of `stored_days` of the wanted days, with a column ``day``."""
    days = days_of(stored_days["key"].unique().to_list(), calendar)
    wanted = {key: day for key, day in days.items() if is_wanted(day)}
    table = pl.DataFrame({"key": wanted.keys(), "day": wanted.values()}, schema={"key": pl.String, "day": pl.Int64})
    return stored_days.join(table, on="key", validate="m:1")


def days_of(keys: Collection[str], calendar: Calendar) -> dict[str, int]:
    """The day of each valid key."""
    found: dict[str, int] = {}
    for key in keys:
        with suppress(ValueError):  # written by something else
            period = calendar.parse(Mode.DAILY, key)
            if period.key == key:
                found[key] = period.first_day
    return found


def _ranges(chosen: Collection[str], known: Collection[str], read: Sequence[KeyRange]) -> Iterator[KeyRange]:
    """The periods `chosen` as few ranges, which contain no others of `known` and no unread periods."""
    for mode, first_key, last_key in read:
        keys = sorted(key for key in known if first_key <= key <= last_key)
        for is_chosen, run in groupby(keys, set(chosen).__contains__):
            if is_chosen:
                first, *rest = run
                yield KeyRange(mode, first, rest[-1] if rest else first)
