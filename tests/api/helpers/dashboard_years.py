"""A store with eighteen months of days and many merchants, and the expected figures of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from sales import JALALI, Sales, publish

from core.calendar import Mode
from core.stores.summaries import DayRange

Figure = Literal["amount", "count"]

FIRST_DAY, LAST_DAY = "1401/01/01", "1402/06/20"
STEADY: Final = "shop-steady"
SMALL_MERCHANTS: Final = 118
MERCHANTS: Final = SMALL_MERCHANTS + 2


@dataclass(frozen=True)
class Span:
    """A period: its key, the first and the last day of it that is published, and how many days it has."""

    key: str
    first: str
    last: str
    length: int


def _spans(mode: Mode) -> list[Span]:
    first, last = (JALALI.parse(Mode.DAILY, day).first_day for day in (FIRST_DAY, LAST_DAY))
    day = [JALALI.period_of(Mode.DAILY, each).key for each in range(first, last + 1)]
    return [
        Span(
            one.key,
            day[max(one.first_day, first) - first],
            day[min(one.last_day, last) - first],
            one.last_day - one.first_day + 1,
        )
        for one in JALALI.periods(mode, first, last)
    ]


SPANS: Final = {mode: _spans(mode) for mode in Mode}
"""The periods of each mode."""
DAYS: Final = [span.key for span in SPANS[Mode.DAILY]]

YEARS_SALES: Final[Sales] = {
    STEADY: {day: (20_000 + 37 * at % 9_001, 3 + at % 4) for at, day in enumerate(DAYS)},
    "فروشگاه یک روز در میان": {
        day: (-800 if at % 22 == 0 else 9_000 + 11 * at, 2) for at, day in enumerate(DAYS) if at % 2 == 0
    },
    **{f"small-{number:03}": {DAYS[-1 - number % 9]: (100 + number, 1)} for number in range(SMALL_MERCHANTS)},
}


def fill(store_url: str) -> None:
    """Publish `YEARS_SALES`; the first day and the last are incomplete."""
    publish(store_url, YEARS_SALES, complete_days=(DayRange(DAYS[1], DAYS[-2]),))


@dataclass(frozen=True)
class ExpectedFigures:
    """The expected figures of a period."""

    key: str
    value: int
    complete: bool


def series(mode: Mode, figure: Figure, merchant: str | None) -> list[ExpectedFigures]:
    """Every published period of one merchant or of all."""
    days = [sales for name, sales in YEARS_SALES.items() if merchant in (None, name)]
    found = []
    for span in SPANS[mode]:
        within = DAYS[DAYS.index(span.first) : DAYS.index(span.last) + 1]
        value = sum(sales.get(day, (0, 0))[figure == "count"] for sales in days for day in within)
        complete = span.first >= DAYS[1] and span.last <= DAYS[-2] and len(within) == span.length
        found.append(ExpectedFigures(span.key, value, complete))
    return found


def ranked(figure: Figure, days: Sequence[str]) -> list[int]:
    """The totals of the merchants with sales on `days`, the highest first."""
    on = set(days)
    totals = [
        sum(values[figure == "count"] for day, values in sales.items() if day in on)
        for sales in YEARS_SALES.values()
        if on & sales.keys()
    ]
    return sorted(totals, reverse=True)


def rounded(number: Fraction) -> int:
    """To the nearest integer, halves away from zero."""
    size = int(abs(number) + Fraction(1, 2))
    return size if number >= 0 else -size


def change(pairs: Sequence[tuple[ExpectedFigures, ExpectedFigures | None]]) -> tuple[int, int, int] | None:
    """For pairs of complete periods: their number, the earlier total, and the change in permille."""
    both = [(now, then) for now, then in pairs if then is not None and now.complete and then.complete]
    before = sum(then.value for _, then in both)
    if not both or before == 0:
        return None
    return len(both), before, rounded(Fraction((sum(now.value for now, _ in both) - before) * 1000, abs(before)))
