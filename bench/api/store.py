"""The store that is served while it is measured: one Jalali year of generated days, published as the job does."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from bench.running import ROOT, say
from core.calendar import JalaliCalendar, Mode
from core.calendar.days import LocalDays
from core.stores import current_holder, open_stores, wall_clock_ms
from core.stores.runs import Counts, Run, RunStatus
from core.stores.summaries import Fingerprint, Publication
from jobs.aggregate.summaries import require_conservation, summarise

YEAR: Final = 1403
SEED: Final = 1403
CALENDAR: Final = JalaliCalendar()
LOCAL_DAYS: Final = LocalDays("Asia/Tehran")
FINGERPRINT: Final = Fingerprint(LOCAL_DAYS.zone_name, CALENDAR.name, "merchantId", "amount", "createdAt")
_MOST_PER_DAY: Final = 400
_MEAN_AMOUNT: Final = 2_500_000
_TIMEOUT_S: Final = 60
_MADE_BY: Final = ("sql/schema/*.sql", "core/stores/sqlite/*.py", "bench/api/store.py")


@dataclass(frozen=True, slots=True)
class ServedStore:
    """An SQLite store, kept in a folder of its own.

    :param merchants: number of merchants with transactions on every day of the year.
    :param rows: of all modes, single merchants and all together.
    :param seconds: time to build it.
    """

    folder: Path
    merchants: int
    days: int
    rows: int
    seconds: float

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self.folder / "summaries.db"


def merchant_ids(count: int) -> list[str]:
    """The merchants of a store: 24 hex digits, as of an ObjectId."""
    raw = np.random.default_rng(SEED).bytes(12 * count)
    return [raw[at : at + 12].hex() for at in range(0, len(raw), 12)]


def day_range() -> range:
    """The days of the year, since 1970-01-01."""
    first = CALENDAR.parse(Mode.MONTHLY, f"{YEAR}/01").first_day
    return range(first, CALENDAR.parse(Mode.MONTHLY, f"{YEAR}/12").last_day + 1)


def served_store(cache: Path, merchants: int) -> ServedStore:
    """The store of that many merchants, built if `cache` has none of this version of the program."""
    version = _version()
    folder = (cache / f"store-{version}-{merchants}").resolve()
    facts = folder / "facts.json"
    if not facts.exists():
        for stale in cache.glob("store-*"):
            if not stale.name.startswith(f"store-{version}-"):
                shutil.rmtree(stale)
        say(f"making a store of {merchants} merchants")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.perf_counter()
        rows = _publish(folder / "summaries.db", merchants)
        made = ServedStore(folder, merchants, len(day_range()), rows, time.perf_counter() - began)
        facts.write_text(json.dumps(asdict(made) | {"folder": None}), encoding="utf-8")
    return ServedStore(**json.loads(facts.read_text("utf-8")) | {"folder": folder})


def _version() -> str:
    files = [file for pattern in _MADE_BY for file in sorted(ROOT.glob(pattern))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def every_merchant_daily(merchants: int, days: range) -> pl.DataFrame:
    """A row for each of `merchants` and each of `days`: ``merchant_id``, ``day``."""
    ids = pl.DataFrame({"merchant_id": merchant_ids(merchants)})
    return ids.join(pl.DataFrame({"day": pl.Series(days, dtype=pl.Int64)}), how="cross")


def publication_of(rows: pl.DataFrame, daily: pl.DataFrame, run_id: int = 1) -> Publication:
    """What publishes `rows`, the summaries of the sums `daily`, as generation 1."""
    total_amount, total_count = require_conservation(rows, daily)
    keys = rows.filter(pl.col("mode") == Mode.DAILY)["key"]
    return Publication(
        generation=1,
        run_id=run_id,
        published_at_ms=wall_clock_ms(),
        fingerprint=FINGERPRINT,
        rows=len(rows),
        first_day_key=str(keys.min()),
        last_day_key=str(keys.max()),
        total_amount=total_amount,
        total_count=total_count,
    )


def _daily(merchants: int) -> pl.DataFrame:
    random = np.random.default_rng(SEED)
    daily = every_merchant_daily(merchants, day_range())
    counts = random.integers(1, _MOST_PER_DAY, len(daily))
    amounts = (counts * _MEAN_AMOUNT * random.lognormal(0, 0.5, len(daily))).astype(np.int64)
    return daily.with_columns(amount=pl.Series(amounts).cast(pl.Int128), count=pl.Series(counts))


def _publish(path: Path, merchants: int) -> int:
    daily = _daily(merchants)
    rows = summarise(daily, CALENDAR, LOCAL_DAYS)
    with open_stores(f"sqlite:///{path}", timeout_s=_TIMEOUT_S) as stores:
        now = wall_clock_ms()
        draft = Run(0, "rebuild", RunStatus.RUNNING, current_holder(), now, now, ("made up",), FINGERPRINT)
        run = stores.runs.begin(draft)
        publication = publication_of(rows, daily, run.id)
        stores.summaries.publish(publication, rows)
        counts = Counts(read=publication.total_count, counted=publication.total_count)
        stores.runs.update(replace(run.ended(RunStatus.PUBLISHED, wall_clock_ms()), generation=1, counts=counts))
    return len(rows)
