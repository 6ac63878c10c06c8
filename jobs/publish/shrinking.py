"""Protects published transactions from removal: missing documents do not prove that there were no transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from core.calendar.periods import Calendar, Mode
from core.errors import WouldShrink

_NAMED_DAYS: Final = 10

DayCounts = Mapping[int, int]
"""Number of transactions by day since 1970-01-01; days without transactions may be missing."""


class DayLoss(NamedTuple):
    """A day with fewer counted than published transactions."""

    day: int
    published: int
    counted: int

    @property
    def lost(self) -> int:
        return self.published - self.counted


Protection = Callable[[DayCounts, DayCounts], Sequence[DayLoss]]
"""From the published and the counted numbers of the days to replace, returns the days that must not be replaced.

Raises `WouldShrink` if nothing may be published.
"""


@dataclass(frozen=True, slots=True)
class LossLimits:
    """Limits of the published transactions that days may lose in one refresh or repair.

    They lose too many if they lose more than `ratio` of them and more than `count`.

    :param allow_shrink: no limits.
    """

    ratio: float = 0.1
    count: int = 20
    allow_shrink: bool = False

    def are_exceeded_by(self, lost: int, published: int) -> bool:
        """Whether `lost` of `published` transactions are too many."""
        return not self.allow_shrink and lost > self.count and lost > self.ratio * published


def protect_nothing(_: DayCounts, __: DayCounts) -> Sequence[DayLoss]:
    """A `Protection` that protects nothing."""
    return ()


def losses(published: DayCounts, counted: DayCounts) -> list[DayLoss]:
    """The days with fewer counted than published transactions, ascending."""
    found = (DayLoss(day, count, counted.get(day, 0)) for day, count in sorted(published.items()))
    return [loss for loss in found if loss.lost > 0]


@dataclass(frozen=True, slots=True)
class Retention:
    """Protects days whose documents may have been deleted, and stops a run if later days lose too many transactions.

    Days before the oldest document of the source are protected. The limits apply to each later day, to the sum of all
    later days, and to the sum of those that lose everything. The sums are needed because one old document makes all
    days later ones, also a history of days with few transactions.

    :param oldest_day: returns the day of the oldest counted document of the whole source; None if there is none. Called
        only if a day has fewer transactions than before.
    :param limits: limits of later days.
    """

    calendar: Calendar
    oldest_day: Callable[[], int | None]
    limits: LossLimits

    def __call__(self, published: DayCounts, counted: DayCounts) -> Sequence[DayLoss]:
        """The days that retain their published totals; see `Protection`.

        :raises WouldShrink: days after the oldest document lose too many transactions; names them.
        """
        lower = losses(published, counted)
        oldest_day = self.oldest_day() if lower else None
        protected = [loss for loss in lower if oldest_day is None or loss.day <= oldest_day]
        later = lower[len(protected) :]
        if oldest_day is not None:
            compared = sum(count for day, count in published.items() if day > oldest_day)
            self._require_few(later, compared, oldest_day)
        return protected

    def warnings(self, protected: Sequence[DayLoss], lost: Sequence[DayLoss] = ()) -> tuple[str, ...]:
        """Warnings about protected days, and about days that lose transactions."""
        warnings = []
        if protected:
            published, counted = sum(loss.published for loss in protected), sum(loss.counted for loss in protected)
            warnings.append(
                f"{len(protected)} day(s) from {self._key(protected[0].day)} to {self._key(protected[-1].day)} "
                f"keep their {published} published transactions, although the source has {counted} of "
                "them now: no valid document is older than these days, so their documents may have been deleted on "
                "purpose"
            )
        if lost:
            removed = sum(loss.lost for loss in lost)
            warnings.append(f"{len(lost)} day(s) lost {removed} published transactions: {self._named(lost)}")
        return tuple(warnings)

    def _require_few(self, later: Sequence[DayLoss], published: int, oldest_day: int) -> None:
        """Raise if the days `later` lose too many of the `published` transactions of all days after `oldest_day`."""
        of_one_day = [loss for loss in later if self.limits.are_exceeded_by(loss.lost, loss.published)]
        emptied = [loss for loss in later if not loss.counted]
        limits = f"more than {self.limits.ratio:.6g} of their published transactions and more than {self.limits.count}"
        if of_one_day:
            problem = f"{len(of_one_day)} day(s) would lose {limits}: {self._named(of_one_day)}"
        elif self._lose_too_many(later, published):
            lost = sum(loss.lost for loss in later)
            problem = f"{len(later)} day(s) together would lose {lost}, {limits}: {self._named(later)}"
        elif self._lose_too_many(emptied, sum(loss.published for loss in emptied)):
            lost = sum(loss.lost for loss in emptied)
            problem = f"{len(emptied)} day(s) together would lose all their {lost} transactions: {self._named(emptied)}"
        else:
            return
        raise WouldShrink(
            problem,
            f"Nothing was published. The oldest valid document is of {self._key(oldest_day)}, so deletion by age "
            "does not explain why later days lose documents. If they were deleted on purpose, publish with "
            "--allow-shrink.",
        )

    def _lose_too_many(self, found: Sequence[DayLoss], published: int) -> bool:
        return self.limits.are_exceeded_by(sum(loss.lost for loss in found), published)

    def _named(self, found: Sequence[DayLoss]) -> str:
        named = [f"{self._key(one.day)} ({one.published} published, {one.counted} counted)" for one in found]
        more = f" and {len(found) - _NAMED_DAYS} more" if len(found) > _NAMED_DAYS else ""
        return ", ".join(named[:_NAMED_DAYS]) + more

    def _key(self, day: int) -> str:
        return self.calendar.period_of(Mode.DAILY, day).key


def as_one_day(counts: DayCounts) -> DayCounts:
    """The total as if of one day, to compare counts whose days may have moved."""
    return {0: sum(counts.values())}


def require_half(published: DayCounts, counted: DayCounts) -> Sequence[DayLoss]:
    """A `Protection` that protects nothing, but refuses to remove more than half of the published transactions.

    :raises WouldShrink: names the numbers.
    """
    removed = sum(loss.lost for loss in losses(published, counted))
    total = sum(published.values())
    if 2 * removed > total:
        raise WouldShrink(
            f"{removed} of the {total} published transactions of the replaced days would be removed, more than half",
            "Nothing was published. Check that the source is correct and complete; --allow-shrink publishes it.",
        )
    return ()
