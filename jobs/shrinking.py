"""What a run may remove of what is published: no documents is not proof of no transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from core.calendar.periods import Calendar, Mode
from core.errors import WouldShrink

_NAMED_DAYS: Final = 10

DayCounts = Mapping[int, int]
"""Day since 1970-01-01 -> number of its transactions; a day without transactions may be missing."""


class DayLoss(NamedTuple):
    """A day of which fewer transactions are counted than are published."""

    day: int
    published: int
    counted: int

    @property
    def lost(self) -> int:
        """How many fewer."""
        return self.published - self.counted


Protection = Callable[[DayCounts, DayCounts], Sequence[DayLoss]]
"""Gets what is published and what was counted of the days that are replaced; gives those that stay as they are.

It raises `WouldShrink` where nothing may be published at all.
"""


@dataclass(frozen=True, slots=True)
class LossLimits:
    """How many of its published transactions a day may lose in one refresh or repair.

    A day loses too many when it loses more than `ratio` of them and more than `count`.

    :param allow_shrink: whether days may lose any number.
    """

    ratio: float = 0.1
    count: int = 20
    allow_shrink: bool = False

    def are_exceeded_by(self, loss: DayLoss) -> bool:
        """Whether the day of `loss` loses too many."""
        return not self.allow_shrink and loss.lost > self.count and loss.lost > self.ratio * loss.published


def unprotected(_: DayCounts, __: DayCounts) -> Sequence[DayLoss]:
    """Let all days be replaced."""
    return ()


def losses(published: DayCounts, counted: DayCounts) -> list[DayLoss]:
    """The days of which fewer transactions are counted than are published, ascending."""
    found = (DayLoss(day, count, counted.get(day, 0)) for day, count in sorted(published.items()))
    return [loss for loss in found if loss.lost > 0]


@dataclass(frozen=True, slots=True)
class Retention:
    """Protects days whose documents may have been purged, and stops a run that loses those of later days.

    :param oldest_day: gives the day of the oldest document that counts, of the whole source and not only of the days
        that are replaced; None when none counts. Called only when some day has fewer transactions than before.
    :param limits: what a later day may lose.
    """

    calendar: Calendar
    oldest_day: Callable[[], int | None]
    limits: LossLimits

    def __call__(self, published: DayCounts, counted: DayCounts) -> Sequence[DayLoss]:
        """The days that stay as they are published; see `Protection`.

        :raises WouldShrink: a day after the oldest document's loses too many transactions; names such days.
        """
        lower = losses(published, counted)
        oldest_day = self.oldest_day() if lower else None
        kept = [loss for loss in lower if oldest_day is None or loss.day <= oldest_day]
        later = lower[len(kept) :]
        too_many = [loss for loss in later if self.limits.are_exceeded_by(loss)]
        if oldest_day is not None and too_many:
            raise WouldShrink(
                f"{len(too_many)} day(s) would lose more than {self.limits.ratio:.6g} of their published transactions "
                f"and more than {self.limits.count}: {self._named(too_many)}",
                "Nothing was published. The oldest document that counts is of "
                f"{self._key(oldest_day)}, so later days were not purged with the days before it. If the documents are "
                "gone for good, publish what is left with --allow-shrink.",
            )
        return kept

    def warnings(self, kept: Sequence[DayLoss]) -> tuple[str, ...]:
        """A warning about days that stay as they are published, if there are any."""
        if not kept:
            return ()
        published, counted = sum(loss.published for loss in kept), sum(loss.counted for loss in kept)
        return (
            f"{len(kept)} day(s) from {self._key(kept[0].day)} to {self._key(kept[-1].day)} keep their {published} "
            f"published transactions, although the source has {counted} of them now: these days are not after that of "
            "the oldest document, so the others may have been purged",
        )

    def _named(self, found: Sequence[DayLoss]) -> str:
        named = [f"{self._key(one.day)} ({one.published} published, {one.counted} counted)" for one in found]
        more = f" and {len(found) - _NAMED_DAYS} more" if len(found) > _NAMED_DAYS else ""
        return ", ".join(named[:_NAMED_DAYS]) + more

    def _key(self, day: int) -> str:
        return self.calendar.period_of(Mode.DAILY, day).key


def keep_half(published: DayCounts, counted: DayCounts) -> Sequence[DayLoss]:
    """Let all days be replaced, unless that would remove more than half of what is published of them.

    :raises WouldShrink: it would; says how many.
    """
    removed = sum(loss.lost for loss in losses(published, counted))
    total = sum(published.values())
    if 2 * removed > total:
        raise WouldShrink(
            f"{removed} of the {total} published transactions that are replaced would be removed, more than half",
            "Nothing was published. Check that the source is the right one and whole; --allow-shrink publishes it.",
        )
    return ()
