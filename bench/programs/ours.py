"""This program, put together as `jobs.rebuild` does, without a store."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import polars as pl

from bench.programs import THREADS, Row, Totals
from core.calendar import calendar_named
from core.calendar.days import LocalDays
from jobs.aggregate.summaries import require_conservation, summarise
from jobs.counting import Counting
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.sources.recognise import open_source

_CALENDAR = calendar_named("jalali")


def daily_totals(path: Path) -> Totals:
    """The daily rows, from which all summaries are derived: what the peers bring about too."""
    daily = _daily(path, LocalDays("Asia/Tehran"))
    return lambda: _rows(daily)


def checked_totals(path: Path) -> Totals:
    """All that comes before publishing: the summaries of every mode, and the checks that they add up."""
    local_days = LocalDays("Asia/Tehran")
    daily = _daily(path, local_days)
    require_conservation(summarise(daily, _CALENDAR, local_days), daily)
    return lambda: _rows(daily)


def _daily(path: Path, local_days: LocalDays) -> pl.DataFrame:
    named = local_days.named_range_ms(_CALENDAR)
    counting = Counting(Fields(), Window(*named, *named), local_days, 0, THREADS, _silent, _silent)
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    sources = [partial(open_source, str(one), Fields(), None) for one in paths]
    return counting.count(sources, Path("rejects.jsonl")).daily


def _silent(*_: object, **__: object) -> None:
    """Show and record nothing."""


def _rows(daily: pl.DataFrame) -> Iterable[Row]:
    return daily.select("merchant_id", "day", pl.col("amount").cast(pl.Int64), "count").iter_rows()
