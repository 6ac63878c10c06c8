"""This program, put together as `jobs.rebuild` does, without a store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from bench.programs import THREADS, Row, Totals
from core.calendar import calendar_named
from core.calendar.days import LocalDays
from jobs.aggregate.summaries import merge, require_conservation, summarise
from jobs.decode.batch import Reject
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.reading import SourceReader
from jobs.reading import Totals as Reading
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
    source = open_source(str(path), Fields(), None)
    reading = Reading()
    try:
        window = Window(*named, *named)
        SourceReader(source, Fields(), window, local_days, _refuse, THREADS, reading).read(lambda: None)
    finally:
        source.close()
    reading.counts.require_conservation()
    return merge(reading.partials)


def _refuse(rejects: list[Reject]) -> None:
    raise AssertionError(f"the sample holds no rejects, but {rejects[0]} was rejected")


def _rows(daily: pl.DataFrame) -> Iterable[Row]:
    return daily.select("merchant_id", "day", pl.col("amount").cast(pl.Int64), "count").iter_rows()
