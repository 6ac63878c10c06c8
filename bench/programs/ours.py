"""This program, put together as `jobs.rebuild` does, without a store."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import polars as pl

from bench.programs import THREADS, Row, Totals
from core.calendar import calendar_named
from core.calendar.days import LocalDays
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.counting import Counted, Counting
from jobs.partitions.daily_sums import all_sums
from jobs.publish.derived import Derived
from jobs.sources.recognise import open_source

_CALENDAR = calendar_named("jalali")


def daily_totals(path: Path) -> Totals:
    """The daily rows, from which all summaries are derived: what the peers bring about too."""
    counted = _counted(path, LocalDays("Asia/Tehran"))
    return lambda: rows_of(counted)


def checked_totals(path: Path) -> Totals:
    """All that comes before publishing: the summaries of every mode, and the checks that they add up."""
    local_days = LocalDays("Asia/Tehran")
    counted = _counted(path, local_days)
    for _ in Derived.of(counted.daily, counted.days, _CALENDAR, local_days).frames():
        pass
    return lambda: rows_of(counted)


def _counted(path: Path, local_days: LocalDays) -> Counted:
    named = local_days.named_range_ms(_CALENDAR)
    counting = Counting(Fields(), Window(*named, *named), local_days, 0, THREADS, _silent, _silent)
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    sources = [partial(open_source, str(one), Fields(), None) for one in paths]
    return counting.count(sources, Path("rejects.jsonl"))


def _silent(*_: object, **__: object) -> None:
    """Show and record nothing."""


def rows_of(counted: Counted) -> Iterable[Row]:
    """The daily sums, as every program lists its totals."""
    return all_sums(counted.daily).select("merchant_id", "day", pl.col("amount").cast(pl.Int64), "count").iter_rows()
