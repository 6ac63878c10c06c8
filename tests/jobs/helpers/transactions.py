"""Transactions for tests of whole jobs, and their expected summaries in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import bson
import jdatetime

from core.calendar.periods import Mode
from core.stores import Stores

FRIDAY = 4
Rows = Mapping[tuple[str, str, str | None], tuple[int, int]]
"""(mode, key, merchant or None for all together) -> (amount, count)."""


class Transaction(NamedTuple):
    """One raw transaction that must be counted."""

    merchant: Any
    amount: Any
    at: datetime

    def document(self) -> dict[str, Any]:
        """It, as MongoDB keeps it."""
        return {"_id": bson.ObjectId(), "merchantId": self.merchant, "amount": self.amount, "createdAt": self.at}


def spread(
    merchants: Sequence[Any], days: int, first: date = date(2024, 3, 16), amount: int = 1000
) -> list[Transaction]:
    """One transaction per merchant and day, at noon UTC, with different amounts."""
    noon = datetime(first.year, first.month, first.day, 12, tzinfo=UTC)
    return [
        Transaction(merchant, amount + 7 * day + number, noon + timedelta(days=day))
        for day in range(days)
        for number, merchant in enumerate(merchants)
    ]


def write_bson(path: Path, transactions: Iterable[Transaction | Mapping[str, Any]]) -> str:
    """Write a `.bson` file of transactions, or of documents as they are; its path."""
    path.write_bytes(bson_of(transactions))
    return str(path)


def bson_of(transactions: Iterable[Transaction | Mapping[str, Any]]) -> bytes:
    """The content of a `.bson` file."""
    documents = (one.document() if isinstance(one, Transaction) else one for one in transactions)
    return b"".join(bson.encode(document) for document in documents)


def summaries_of(transactions: Iterable[Transaction], zone: str = "Asia/Tehran", calendar: str = "jalali") -> Rows:
    """The expected summaries of `transactions`, calculated in plain Python."""
    keys_of = {"jalali": _jalali_keys, "gregorian": _gregorian_keys}[calendar]
    rows: dict[tuple[str, str, str | None], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in transactions:
        local_day = one.at.astimezone(ZoneInfo(zone)).date()
        for mode, key in keys_of(local_day):
            for merchant in (str(one.merchant), None):
                amount, count = rows[mode, key, merchant]
                rows[mode, key, merchant] = (amount + int(one.amount), count + 1)
    return dict(rows)


def published_rows(stores: Stores) -> Rows:
    """Everything that is published.

    It takes several calls, and a server may yet carry out what a process sent to it before it was killed: where
    something was published meanwhile, all is read again.
    """
    while True:
        before = stores.summaries.published()
        rows = _rows_of(stores)
        if stores.summaries.published() == before:
            return rows


def _rows_of(stores: Stores) -> Rows:
    found = [stores.summaries.rows(mode) for mode in Mode]
    columns = ("mode", "key", "merchant_id", "amount", "count")
    rows = {
        (mode, key, merchant): (amount, count)
        for frame in found
        for mode, key, merchant, amount, count in frame.select(columns).iter_rows()
    }
    assert len(rows) == sum(frame.height for frame in found)
    return rows


def _jalali_keys(day: date) -> list[tuple[str, str]]:
    jalali = jdatetime.date.fromgregorian(date=day)
    friday = jdatetime.date.fromgregorian(date=day + timedelta(days=(FRIDAY - day.weekday()) % 7))
    week = (friday.yday() - 1) // 7 + 1
    month = f"{jalali.year:04}/{jalali.month:02}"
    return [("daily", f"{month}/{jalali.day:02}"), ("weekly", f"{friday.year:04}/W{week:02}"), ("monthly", month)]


def _gregorian_keys(day: date) -> list[tuple[str, str]]:
    year, week, _ = day.isocalendar()
    return [("daily", f"{day}"), ("weekly", f"{year:04}-W{week:02}"), ("monthly", f"{day:%Y-%m}")]
