"""Replacing days: what changes in a store when some of its days are recomputed, their weeks and months included."""

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
from jobs.publish.published_days import Scope, StoredDays
from jobs.publish.shrinking import DayCounts, DayLoss, Protection, losses, unprotected

_SUMS: Final = ("merchant_id", "day", "amount", "count")


@dataclass(frozen=True, slots=True)
class Change:
    """What `SummaryStore.amend` is to do, and what the store holds afterwards.

    :param periods: the periods that come out otherwise than they are stored, of any merchant; ascending.
    :param ranges: the same as ranges.
    :param rows: all summaries of these periods, a frame of `core.stores.summaries.SUMMARY_COLUMNS`.
    :param replaced: likewise as they are stored.
    :param protected: the days that keep their published totals although the source has fewer of their transactions.
    :param lost: the days that have fewer transactions afterwards; ascending.
    :param total_rows: summaries of all modes in the store afterwards; likewise `total_amount` and `total_count`.
    :param first_day_key: the earliest day with transactions afterwards, or None; likewise `last_day_key`.
    """

    periods: Mapping[Mode, tuple[str, ...]]
    ranges: tuple[KeyRange, ...]
    rows: pl.DataFrame
    replaced: pl.DataFrame
    protected: tuple[DayLoss, ...]
    lost: tuple[DayLoss, ...]
    total_rows: int
    first_day_key: str | None
    last_day_key: str | None
    total_amount: int
    total_count: int

    @property
    def days_changed(self) -> int:
        """How many days come out otherwise."""
        return len(self.periods[Mode.DAILY])

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.ranges)

    def publication(self, before: Publication | None, run_id: int, fingerprint: Fingerprint, at_ms: int) -> Publication:
        """The publication of this change.

        :param before: what was published when the change was found.
        :param at_ms: when it is published, milliseconds since 1970 UTC.
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


def replace_days(
    summaries: SummaryStore,
    before: Publication | None,
    calendar: Calendar,
    local_days: LocalDays,
    daily: pl.DataFrame,
    days: Sequence[Days],
    protection: Protection = unprotected,
) -> Change:
    """What changes when the store gets other daily sums for some days; their weeks and months are derived again.

    Only the weeks and months that hold one of these days are read, not the rest of the store. They are compared with
    what is stored whole, so that a week that does not equal its days comes out right again, too, and so does a period
    that something else wrote or removed. What the store holds afterwards follows from what it really held, not from
    what was announced.

    :param before: what is published. Must have been read before this is called: another publication that is made
        meanwhile is then noticed, here or by `SummaryStore.amend`.
    :param daily: the new sums, a frame of ``merchant_id``, ``day``, ``amount`` (Int128) and ``count``, one row a
        merchant and day. A day without rows has no transactions any more.
    :param days: the days that are replaced, in any order.
    :param protection: which of these stay as they are stored all the same. Their weeks and months are derived with
        what is stored of them.
    :raises WouldShrink: `protection` refuses the change.
    :raises ValueError: `daily` has a day that is not one of `days`, or that `calendar` does not name.
    :raises TotalTooLarge: a total does not fit int64; names the merchant and the period.
    :raises ConservationBroken: the weeks and months that were derived do not add up to their days.
    :raises PublicationLost: `before` is not current any more; call it again with what is.
    :raises StoreUnavailable: the store does not answer.
    """
    if not all(_is_within(day, days) for day in daily["day"].unique()):
        raise ValueError("there are sums of days that are not replaced")
    scope = Scope.of(calendar, days)
    current = StoredDays.read(summaries, scope)
    if summaries.published() != before:
        raise PublicationLost(
            "another run published while this one searched for changes",
            "Nothing of this run was published. Run the same command again; it starts from what is published now.",
        )
    stored_counts, counted = _stored_counts(current.rows[Mode.DAILY], calendar, scope), day_counts(daily)
    protected = tuple(protection(stored_counts, counted))
    protected_days = {loss.day for loss in protected}
    stored_of_protected = _sums_of(current.rows[Mode.DAILY], calendar, protected_days.__contains__)
    daily = pl.concat([daily.select(_SUMS).filter(~pl.col("day").is_in(protected_days)), stored_of_protected])
    stored = pl.concat([current.rows[mode].filter(within(scope.replaced[mode])) for mode in Mode])
    derived = _derive(calendar, local_days, scope, current.rows[Mode.DAILY], daily)
    changed = pl.concat([stored, derived]).unique(keep="none").select("mode", "key").unique().sort("key")
    rows = derived.join(changed, on=["mode", "key"], how="semi")
    retired = stored.join(changed, on=["mode", "key"], how="semi")
    keys = {mode: tuple(changed.filter(pl.col("mode") == str(mode))["key"]) for mode in Mode}
    known = {mode: current.keys(mode).union(keys[mode]) for mode in Mode}

    others = {key: sums for key, sums in current.overall.items() if not scope.holds(Mode.DAILY, key)}
    keys_after = sorted([*others, *(calendar.period_of(Mode.DAILY, day).key for day in daily["day"].unique())])
    return Change(
        periods=keys,
        ranges=tuple(one for mode in Mode for one in _ranges(keys[mode], known[mode], scope.replaced[mode])),
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
    calendar: Calendar, local_days: LocalDays, scope: Scope, stored_days: pl.DataFrame, daily: pl.DataFrame
) -> pl.DataFrame:
    """All summaries of the periods that hold a day that is replaced, as they come out.

    :param stored_days: the daily summaries of these periods as they are stored.
    """
    sums = pl.concat([daily, _sums_of(stored_days, calendar, lambda day: not scope.replaces(day))])
    days = sums["day"].unique().sort().to_list()
    periods = {
        mode: [one for one in distinct_periods(mode, calendar, days)[0] if scope.holds(mode, one.key)] for mode in Mode
    }
    derived = summarise(sums, calendar, local_days, {mode: [one.key for one in periods[mode]] for mode in Mode})
    for mode in Mode:
        whole = [day for one in periods[mode] for day in range(one.first_day, one.last_day + 1)]
        require_same_totals(mode, derived, sums.filter(pl.col("day").is_in(whole)))
    return derived


def _sums_of(stored_days: pl.DataFrame, calendar: Calendar, is_wanted: Callable[[int], bool]) -> pl.DataFrame:
    """The stored sums of single merchants of some days, as they go into `summarise`."""
    merchants = _with_days(stored_days.filter(pl.col("merchant_id").is_not_null()), calendar, is_wanted)
    return merchants.with_columns(pl.col("amount").cast(pl.Int128)).select(_SUMS)


def _stored_counts(stored_days: pl.DataFrame, calendar: Calendar, scope: Scope) -> DayCounts:
    """The transactions of each day that is replaced, as stored: overall or of its merchants, whichever are more."""
    dated = _with_days(stored_days, calendar, scope.replaces)
    of_each = dated.group_by("day", pl.col("merchant_id").is_null()).agg(pl.col("count").sum())
    return dict(of_each.group_by("day").agg(pl.col("count").max()).iter_rows())


def day_counts(daily: pl.DataFrame) -> DayCounts:
    """The transactions of each day of `daily`, a frame as `replace_days` takes it."""
    return dict(daily.group_by("day").agg(pl.col("count").sum()).iter_rows())


def _with_days(stored_days: pl.DataFrame, calendar: Calendar, is_wanted: Callable[[int], bool]) -> pl.DataFrame:
    """Those of `stored_days` whose key is that of a wanted day, with a column ``day``."""
    days = days_of(stored_days["key"].unique().to_list(), calendar)
    wanted = {key: day for key, day in days.items() if is_wanted(day)}
    table = pl.DataFrame({"key": wanted.keys(), "day": wanted.values()}, schema={"key": pl.String, "day": pl.Int64})
    return stored_days.join(table, on="key", validate="m:1")


def days_of(keys: Collection[str], calendar: Calendar) -> dict[str, int]:
    """The day of each of `keys` that is the key of a day."""
    found: dict[str, int] = {}
    for key in keys:
        with suppress(ValueError):  # something else wrote it
            period = calendar.parse(Mode.DAILY, key)
            if period.key == key:
                found[key] = period.first_day
    return found


def _ranges(chosen: Collection[str], known: Collection[str], read: Sequence[KeyRange]) -> Iterator[KeyRange]:
    """The periods of `chosen` as few ranges, in which there are no others of `known`, nor any that were not read."""
    for mode, first_key, last_key in read:
        keys = sorted(key for key in known if first_key <= key <= last_key)
        for is_chosen, run in groupby(keys, set(chosen).__contains__):
            if is_chosen:
                first, *rest = run
                yield KeyRange(mode, first, rest[-1] if rest else first)


def _is_within(day: int, ranges: Sequence[Days]) -> bool:
    return any(first <= day <= last for first, last in ranges)
