"""Daily summaries for tests, and the expected responses of the API, computed by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from examples import FINGERPRINT, NOW_MS, Row, frame, publication, row

from core.calendar import Mode, calendar_named
from core.stores import open_stores
from core.stores.summaries import DayRange, Fingerprint, Publication

JALALI = calendar_named("jalali")

COMPLETE_DAYS = (DayRange("1402/12/01", "1403/04/04"),)
"""The complete days of the publication of `published_in`."""

Sales = Mapping[str, Mapping[str, tuple[int, int]]]
"""For each merchant and daily key the amount and the count."""

EXACT = 2**53 + 1
"""The least integer that a double cannot hold."""

ODD_IDS = ("فروشگاه تهران", "a&b=c+d%20e", " blank both ", "quo\"te's,;", "#?/<>", "ß-Straße", "ĞİŞ", "\u200cنیم‌فاصله")
"""Merchants whose names must be encoded with care."""

SALES: Sales = {
    "shop-1": {
        "1402/12/27": (5, 1),
        "1402/12/29": (-7, 2),
        "1403/01/01": (EXACT, 3),
        "1403/01/03": (100, 1),
        "1403/04/04": (120_000, 12),
        "1403/04/05": (-(2**62), 1),
    },
    "shop-2": {"1403/01/02": (1_000, 1), "1403/04/04": (0, 4), "1403/12/30": (2, 1)},
    **{merchant: {"1403/02/15": (10 + number, number + 1)} for number, merchant in enumerate(ODD_IDS)},
}


def expected_series(
    sales: Sales, mode: Mode, measure: Literal["amount", "count"], merchant_id: str | None
) -> list[dict[str, object]]:
    """The array that a series of `sales` is."""
    totals: dict[str, int] = defaultdict(int)
    for merchant, days in sales.items():
        if merchant_id in (None, merchant):
            for day, values in days.items():
                totals[_key(mode, day)] += values[measure == "count"]
    return [{"key": key, "value": totals[key]} for key in sorted(totals)]


@cache
def _key(mode: Mode, day: str) -> str:
    """The key of the period that the day of a daily key is in."""
    return JALALI.period_of(mode, JALALI.parse(Mode.DAILY, day).first_day).key


def rows_of(sales: Sales) -> list[Row]:
    """All summaries of `sales`: single merchants and all together, of each mode."""
    rows = []
    for merchant in [None, *sales]:
        for mode in Mode:
            amounts = expected_series(sales, mode, "amount", merchant)
            counts = expected_series(sales, mode, "count", merchant)
            for amount, count in zip(amounts, counts, strict=True):
                rows.append(
                    row(mode, str(amount["key"]), merchant, int(str(amount["value"])), int(str(count["value"])))
                )
    return rows


def published_in(folder: Path) -> str:
    """The URL of a store in `folder` where `SALES` are published."""
    path = folder / "summaries.db"
    path.write_bytes(_published())
    return f"sqlite:///{path}"


@cache
def _published() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "summaries.db"
        publish(f"sqlite:///{path}", complete_days=COMPLETE_DAYS)
        return path.read_bytes()


def publish(
    store_url: str,
    sales: Sales = SALES,
    generation: int = 1,
    at_ms: int = NOW_MS,
    complete_days: tuple[DayRange, ...] | None = None,
    fingerprint: Fingerprint = FINGERPRINT,
) -> Publication:
    """Publish `sales` as that generation; creates the store if needed."""
    rows = frame(rows_of(sales))
    published = replace(
        publication(generation, rows), published_at_ms=at_ms, fingerprint=fingerprint, complete_days=complete_days
    )
    with open_stores(store_url, timeout_s=10) as stores:
        stores.summaries.publish(published, rows)
    return published
