"""A store with the summaries and notifications for the examples in the OpenAPI document."""

from __future__ import annotations

import itertools
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import polars as pl
from api_client import Api
from example_notifications import add_notifications
from examples import frame, row

from core.calendar import Mode, calendar_named
from core.calendar.periods import Locale
from core.stores import current_holder, open_stores
from core.stores.runs import Counts, Run, RunStatus
from core.stores.summaries import DayRange, Fingerprint, Publication

PUBLISHED_AT_MS: Final = 1_719_540_000_000
ASKED_AT_MS: Final = PUBLISHED_AT_MS + 3_600_000
FINGERPRINT: Final = Fingerprint("Asia/Tehran", "jalali", "merchantId", "amount", "createdAt")

_DAILY: Final = (
    ("corner-shop", "1403/04/01", 900_000, 3),
    ("corner-shop", "1403/04/04", 120_000, 2),
    ("corner-shop", "1403/04/06", 80_000, 1),
    ("tea-house", "1403/03/31", 450_000, 5),
    ("tea-house", "1403/04/04", 60_000, 1),
    ("book-market", "1403/04/02", 2_500_000, 4),
)
_NAMES: Final[Mapping[str, Mapping[Locale, str]]] = {
    "corner-shop": {"fa": "فروشگاه سر کوچه", "en": "Corner Shop"},
    "tea-house": {"fa": "چای‌خانهٔ یاس"},
}
_COUNTED: Final = sum(count for *_, count in _DAILY)


def fill(store_url: str) -> None:
    """Publish the summaries at `store_url`, with a ledger of the run that made them and of one that failed later.

    With names of merchants, and a few notifications.
    """
    with open_stores(store_url, timeout_s=10, clock=lambda: PUBLISHED_AT_MS) as stores:
        rows = _summaries()
        publisher = stores.runs.begin(_draft("rebuild --truncate dump.archive.gz", PUBLISHED_AT_MS - 5000))
        publication = Publication(
            generation=1,
            run_id=publisher.id,
            published_at_ms=PUBLISHED_AT_MS,
            complete_until_ms=PUBLISHED_AT_MS - 5000,
            fingerprint=FINGERPRINT,
            rows=rows.height,
            first_day_key=min(key for _, key, *_ in _DAILY),
            last_day_key=max(key for _, key, *_ in _DAILY),
            total_amount=sum(amount for *_, amount, _ in _DAILY),
            total_count=_COUNTED,
            complete_days=(DayRange("1200/01/01", "1403/04/05"),),
        )
        stores.summaries.publish(publication, rows)
        stores.merchant_names.replace(_NAMES, after="", now_ms=PUBLISHED_AT_MS)
        counts = Counts(read=_COUNTED + 1, counted=_COUNTED, rejected=1)
        done = replace(publisher, counts=counts, rejects_by_reason={"amount: fraction": 1}, generation=1, phase="done")
        stores.runs.update(done.ended(RunStatus.PUBLISHED, PUBLISHED_AT_MS))
        failed = stores.runs.begin(_draft("rebuild --truncate cut.archive.gz", PUBLISHED_AT_MS + 60_000))
        sentence = "cut.archive.gz ends in the middle of a document"
        stores.runs.update(failed.ended(RunStatus.FAILED, PUBLISHED_AT_MS + 61_000, sentence))
        add_notifications(stores, ASKED_AT_MS - 600_000)


def copy_of(store_url: str, folder: Path) -> str:
    """The URL of a copy in `folder` of a SQLite store that nobody has open."""
    return f"sqlite:///{shutil.copy(store_url.removeprefix('sqlite:///'), folder)}"


def api_over(store_url: str, **settings: Any) -> Api:
    """The API over the store, an hour after it was published to.

    :param settings: those that shall not have their defaults.
    """
    return Api(store_url, {"api_freshness_s": 0.0, **settings}, clock=lambda: ASKED_AT_MS)


def _draft(command: str, at_ms: int) -> Run:
    source = command.rpartition(" ")[2]
    return Run(0, command, RunStatus.RUNNING, current_holder(), at_ms, at_ms, (source,), FINGERPRINT)


def _summaries() -> pl.DataFrame:
    """Rows of all modes for each merchant and for all together."""
    calendar = calendar_named("jalali")
    sums: dict[tuple[str, str, str | None], list[int]] = defaultdict(lambda: [0, 0])
    for (merchant_id, key, amount, count), mode in itertools.product(_DAILY, Mode):
        period = calendar.period_of(mode, calendar.parse(Mode.DAILY, key).first_day)
        for named in (merchant_id, None):
            sums[mode, period.key, named][0] += amount
            sums[mode, period.key, named][1] += count
    return frame([row(*named, *summed) for named, summed in sums.items()])
