"""A store for the dashboard: sums beyond 2^53, refunds, names of all kinds, a last day that is not over, runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from examples import NOW_MS, run
from sales import JALALI, Sales, publish

from core.calendar import Mode
from core.stores import open_stores
from core.stores.runs import Counts, RunStatus
from core.stores.summaries import DayRange

FIRST_DAY, LAST_DAY = "1402/12/01", "1403/04/20"
LARGEST: Final = "shop-1"
PERSIAN: Final = "فروشگاه تهران"
REASON: Final = "amount: is not a whole number"
FAILURE: Final = "the source is damaged"
FAILURES: Final = 3
DAYS: Final = [
    period.key
    for period in JALALI.periods(
        Mode.DAILY, JALALI.parse(Mode.DAILY, FIRST_DAY).first_day, JALALI.parse(Mode.DAILY, LAST_DAY).first_day
    )
]


def _day(at: int) -> dict[str, tuple[int, int]]:
    sales = {
        LARGEST: (2**53 + 1 + at, 3),
        "shop-2": (1_000 * (at % 7 + 1), 1 + at % 5),
        PERSIAN: (-500 if at % 11 == 0 else 70_000 + at, 2),
    }
    return {merchant: values for merchant, values in sales.items() if merchant != "shop-2" or at % 9}


SHOP_SALES: Final[Sales] = {
    merchant: {key: _day(at)[merchant] for at, key in enumerate(DAYS) if merchant in _day(at)}
    for merchant in (LARGEST, "shop-2", PERSIAN)
}


def total(merchants: Sequence[str], days: Sequence[str]) -> int:
    """The exact sum of amounts of `merchants` on `days`."""
    return sum(SHOP_SALES[merchant].get(day, (0, 0))[0] for merchant in merchants for day in days)


def fill(store_url: str, generation: int = 1) -> None:
    """Publish `SHOP_SALES` by a run with seven rejects, before three that failed. The last day is incomplete."""
    publish(store_url, SHOP_SALES, generation, complete_days=(DayRange(FIRST_DAY, DAYS[-2]),))
    with open_stores(store_url, timeout_s=10) as stores:
        first = stores.runs.begin(run())
        counts = Counts(read=1_000, counted=985, rejected=7, filtered=5, out_of_range=3)
        first = replace(first, counts=counts, rejects_by_reason={REASON: 7}, phase="done", generation=1)
        stores.runs.update(first.ended(RunStatus.PUBLISHED, NOW_MS))
        for _ in range(FAILURES):
            failed = stores.runs.begin(run())
            stores.runs.update(failed.ended(RunStatus.FAILED, NOW_MS, FAILURE))
