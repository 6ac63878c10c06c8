"""This program, put together as `jobs.rebuild` does, without a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from bench.programs import THREADS, Row, Totals
from core.calendar import calendar_named
from core.calendar.days import LocalDays
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.counting import Counted, Counting
from jobs.partitions.daily_sums import all_sums
from jobs.publish.derived import Derived
from jobs.sources.partition import Source
from jobs.sources.recognise import open_source

_CALENDAR: Final = calendar_named("jalali")
_LOCAL_DAYS: Final = LocalDays("Asia/Tehran")


def daily_totals(path: Path) -> Totals:
    """The daily rows, from which all summaries are derived, as computed by the peers."""
    counted = count_files(path)
    return lambda: rows_of(counted)


def checked_totals(path: Path) -> Totals:
    """All steps before publishing: the summaries of every mode, and the checks that they add up."""
    counted = count_files(path)
    for _ in Derived.of(counted.daily, counted.days, _CALENDAR, _LOCAL_DAYS).frames():
        pass
    return lambda: rows_of(counted)


def count_files(path: Path, cluster: str | None = None) -> Counted:
    """The result of counting a file, or all files of a folder, in this process or on `cluster`."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    return count([partial(open_source, str(one), Fields(), None) for one in paths], cluster)


def count(sources: Iterable[Callable[[], Source]], cluster: str | None = None) -> Counted:
    """The result of counting `sources`, in this process or on `cluster`."""
    named = _LOCAL_DAYS.named_range_ms(_CALENDAR)
    counting = Counting(Fields(), Window(*named, *named), _LOCAL_DAYS, 0, THREADS, _silent, _silent, cluster=cluster)
    return counting.count(sources, Path("rejects.jsonl"))


def _silent(*_: object, **__: object) -> None:
    """Show and record nothing."""


def rows_of(counted: Counted) -> Iterable[Row]:
    """The daily sums, as every program lists its totals."""
    return all_sums(counted.daily).select("merchant_id", "day", pl.col("amount").cast(pl.Int64), "count").iter_rows()
