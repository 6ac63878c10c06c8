"""The age of sources, and the completeness of a publication after reading them."""

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
from jobs.sources.dump_folder import only_file_in
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.url import is_glob, is_remote
from jobs.sources.streams import STANDARD_INPUT
from jobs.sources.url import is_live

_USUAL: Final = RemoteOptions()


def as_of_ms(sources: Sequence[str], collection: str | None, now_ms: int, remote: RemoteOptions = _USUAL) -> int | None:
    """The instant of the content of `sources`; None if unknown for one of them.

    For a file or remote object its modification time, for a live collection `now_ms`. The minimum of several sources,
    as each may have a part of every day.
    """
    instants = [_written_at_ms(source, collection, now_ms, remote) for source in sources]
    known = [instant for instant in instants if instant is not None]
    return min(now_ms, *known) if len(known) == len(instants) else None


def file_status(source: str, collection: str | None) -> os.stat_result:
    """The status of a file, or of the file that is read of a folder.

    :raises OSError: the file does not exist.
    :raises ServiceError: the folder does not have the collection, or has several files to read.
    """
    path = Path(source)
    return (only_file_in(path, collection)[0] if path.is_dir() else path).stat()


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
    """The sources and days that a run has read.

    :param sources: files, folders, URLs of live collections, or ``-``.
    :param as_of_ms: see `as_of_ms`; the start of the run if that is None.
    :param first_day: the first replaced day.
    :param last_day: the last replaced day, or None without limit.
    :param days: the counted totals, with a column ``day``.
    :param oldest_day: the first day with transactions in the sources; None: the first one of `days`.
    :param says_first: whether the user asserts that the sources have all days from `first_day` on.
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
    """The instant before which the publication has all transactions, after publishing `reading`; None: unknown.

    The previous value remains valid, unless the reading replaced days with older content.

    :param before_ms: this instant of the previous publication, or None.
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
    """The complete days of the publication, after publishing `reading`.

    :param before: those of the previous publication, without days that lost transactions.
    :param protected: days that retain their published totals.
    """
    last_day = calendar.last_day if reading.last_day is None else reading.last_day
    oldest_day = reading.days["day"].min() if reading.oldest_day is None else reading.oldest_day
    first_day = reading.first_day if reading.says_first else before.whole_from(oldest_day)  # type: ignore[arg-type]
    if first_day is None:
        return before
    return before.after_reading(
        [(max(first_day, reading.first_day), last_day)], _open_day(reading, local_days), protected
    )


def _open_day(reading: Reading, local_days: LocalDays) -> int | None:
    """The first day that the sources may not have completely; None: unknown."""
    read_until_ms = _read_until_ms(reading, local_days)
    open_day = None if read_until_ms is None else local_days.day_of(read_until_ms)
    # By giving a last day the user asserts that the export has all of it.
    if open_day is not None and open_day == reading.last_day:
        open_day = min(open_day + 1, local_days.day_of(reading.as_of_ms))
    return open_day


def _read_until_ms(reading: Reading, local_days: LocalDays) -> int | None:
    """The instant up to which the sources are complete, or None.

    An export may be older than its file, so it is assumed to end with its last day with transactions.
    """
    if all(map(is_live, reading.sources)):
        return reading.as_of_ms
    days = reading.days["day"]
    last_day = days.filter(days <= local_days.day_of(reading.as_of_ms)).max()
    return None if last_day is None else min(reading.as_of_ms, local_days.start_ms(int(last_day)))  # type: ignore[arg-type]
