"""How old sources are, and up to which instant what is published is complete after a run has read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar
from core.errors import ServiceError
from core.stores.complete_days import CompleteDays
from jobs.sources.dump_folder import collection_file
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.url import is_glob, is_remote
from jobs.sources.streams import STANDARD_INPUT
from jobs.sources.url import is_live

_USUAL: Final = RemoteOptions()


def as_of_ms(sources: Sequence[str], collection: str | None, now_ms: int, remote: RemoteOptions = _USUAL) -> int | None:
    """What happened before this instant is in `sources`, as far as they tell; None where one does not.

    Of a file or remote object that is when it was last written, of a live collection `now_ms`. Of several the oldest
    counts: each may hold a part of every day.
    """
    instants = [_written_at_ms(source, collection, now_ms, remote) for source in sources]
    known = [instant for instant in instants if instant is not None]
    return min(now_ms, *known) if len(known) == len(instants) else None


def file_status(source: str, collection: str | None) -> os.stat_result:
    """That of the file which is read of a file or dump folder.

    :raises OSError: there is none.
    :raises ServiceError: the folder has no such collection.
    """
    path = Path(source)
    return (collection_file(path, collection) if path.is_dir() else path).stat()


def _written_at_ms(source: str, collection: str | None, now_ms: int, remote: RemoteOptions) -> int | None:
    if is_live(source):
        return now_ms
    try:
        if is_remote(source):
            if is_glob(source):
                return None
            from jobs.sources.remote.stored import modified_ms

            return modified_ms(source, collection, remote)
        return None if source == STANDARD_INPUT else file_status(source, collection).st_mtime_ns // 1_000_000
    except (ServiceError, OSError):
        return None  # reported when it is opened


@dataclass(frozen=True, slots=True)
class Reading:
    """What a run read.

    :param sources: files, folders, URLs of live collections, or ``-``.
    :param as_of_ms: see `as_of_ms`; where that is None, when the run began.
    :param first_day: the first day that was replaced.
    :param last_day: the last one, or None for all there are.
    :param days: what was counted, with a column ``day``.
    :param oldest_day: the first day that the sources have transactions of; None: the first one of `days`.
    :param says_first: whether the user says that the sources have all days from `first_day` on.
    """

    sources: Sequence[str]
    as_of_ms: int
    first_day: int
    last_day: int | None
    days: pl.DataFrame
    oldest_day: int | None = None
    says_first: bool = False


def complete_until_after(
    before_ms: int | None, reading: Reading, calendar: Calendar, local_days: LocalDays
) -> int | None:
    """The instant before which all transactions are in what is published, once it holds `reading`.

    What was known before stays known, but for what the reading replaced with something older; None: nothing is known.

    :param before_ms: that instant of what was published before, or None.
    """
    read_until_ms = _read_until_ms(reading, local_days)
    if reading.last_day is not None:
        end_ms = local_days.start_ms(reading.last_day + 1)
        if before_ms is None or end_ms <= reading.as_of_ms:
            return before_ms
        begin_ms = local_days.start_ms(reading.first_day)
        return min(before_ms, max(begin_ms, reading.as_of_ms))
    if reading.first_day == calendar.first_day:
        return read_until_ms
    if before_ms is None:
        return None
    begin_ms = local_days.start_ms(reading.first_day)
    if begin_ms > before_ms:
        return before_ms
    return begin_ms if read_until_ms is None else max(begin_ms, read_until_ms)


def complete_days_after(
    before: CompleteDays, reading: Reading, calendar: Calendar, local_days: LocalDays, protected: Iterable[int] = ()
) -> CompleteDays:
    """The days that are complete in what is published, once it holds `reading`.

    :param before: those of what was published before, without the days that have lost transactions.
    :param protected: the days that stay as they are published.
    """
    last_day = calendar.last_day if reading.last_day is None else reading.last_day
    oldest_day = reading.days["day"].min() if reading.oldest_day is None else reading.oldest_day
    first_day = reading.first_day if reading.says_first else before.held_from(oldest_day)  # type: ignore[arg-type]
    if first_day is None:
        return before
    return before.after_reading(
        [(max(first_day, reading.first_day), last_day)], _open_day(reading, local_days), protected
    )


def _open_day(reading: Reading, local_days: LocalDays) -> int | None:
    """The first day that was not over, or of which the sources may lack some; None: of which nothing is known."""
    read_until_ms = _read_until_ms(reading, local_days)
    open_day = None if read_until_ms is None else local_days.day_of(read_until_ms)
    # With a last day the user says that an export has all of it.
    if open_day is not None and open_day == reading.last_day:
        open_day = min(open_day + 1, local_days.day_of(reading.as_of_ms))
    return open_day


def _read_until_ms(reading: Reading, local_days: LocalDays) -> int | None:
    """Up to when the sources hold everything, if they hold anything.

    An export may be older than the date of its file, so it is taken to end with the last day it has transactions of.
    """
    if all(map(is_live, reading.sources)):
        return reading.as_of_ms
    days = reading.days["day"]
    last_day = days.filter(days <= local_days.day_of(reading.as_of_ms)).max()
    return None if last_day is None else min(reading.as_of_ms, local_days.start_ms(int(last_day)))  # type: ignore[arg-type]
