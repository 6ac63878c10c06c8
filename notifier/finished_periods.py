"""The periods that can be announced: those that ended recently, and whose transactions were read after their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.calendar import Calendar, Mode, Period, calendar_named
from core.calendar.days import DAY_MS, LocalDays
from core.stores.freshness import confirms
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Publication


@dataclass(frozen=True, slots=True)
class FinishedPeriod:
    """A period that can be announced, from `start_ms` to `end_ms`, milliseconds since 1970 UTC."""

    period: Period
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """The days that a run has read, both inclusive, and the instant of its sources, milliseconds since 1970 UTC."""

    first_day: int
    last_day: int
    as_of_ms: int


def finished_periods(
    publication: Publication, runs: Sequence[Run], *, now_ms: int, settling_ms: int, not_after_ms: int
) -> list[FinishedPeriod]:
    """The periods of `publication` to announce at `now_ms`, the daily ones first, each mode ascending.

    A run must have read the last day of a period from sources of `settling_ms` after its end or later: so the totals
    include late transactions, and a part of a day is never announced as the whole.

    :param runs: the latest of the ledger. If the publishing run is not among them, the publication is used instead.
    :param not_after_ms: a period that ended longer ago is not announced.
    """
    if publication.first_day_key is None or publication.last_day_key is None:
        return []
    calendar = calendar_named(publication.fingerprint.calendar)
    first_day, last_day = (
        calendar.parse(Mode.DAILY, key).first_day for key in (publication.first_day_key, publication.last_day_key)
    )
    # The bounds by the clock only shorten the list, also if the clock of a till is years ahead.
    first_day = max(first_day, (now_ms - not_after_ms) // DAY_MS - 2)
    last_day = min(last_day, now_ms // DAY_MS + 1)
    # Nothing of the last day of a later period is published, so it is not known whether that day was read.
    periods = [
        period
        for mode in Mode
        for period in (calendar.periods(mode, first_day, last_day) if first_day <= last_day else [])
        if period.last_day <= last_day
    ]
    days = [(period.first_day, period.last_day + 1) for period in periods]
    bounds_ms = LocalDays(publication.fingerprint.time_zone).starts_ms(np.array(days, dtype=np.int64).reshape(-1, 2))
    readings = list(_readings(publication, runs, calendar))
    return [
        FinishedPeriod(period, start_ms, end_ms)
        for period, (start_ms, end_ms) in zip(periods, bounds_ms.tolist(), strict=True)
        if now_ms - not_after_ms <= end_ms and end_ms + settling_ms <= min(_read_at_ms(period, readings), now_ms)
    ]


def _readings(publication: Publication, runs: Sequence[Run], calendar: Calendar) -> Iterator[_Reading]:
    """The readings of the published days."""
    if all(run.id != publication.run_id for run in runs):
        until_ms = publication.complete_until_ms
        as_of_ms = publication.published_at_ms if until_ms is None else until_ms
        yield _Reading(calendar.first_day, calendar.last_day, as_of_ms)
    for run in runs:
        # The publication may be newer than the ledger row of its run.
        published = run.generation is not None or run.id == publication.run_id
        if run.status is RunStatus.UNCHANGED and not confirms(run, publication):
            continue  # it confirmed an earlier publication
        if published and not run.fingerprint.differing(publication.fingerprint):
            first, last = (
                None if key is None else calendar.parse(Mode.DAILY, key).first_day
                for key in (run.first_day_key, run.last_day_key)
            )
            yield _Reading(
                calendar.first_day if first is None else first,
                calendar.last_day if last is None else last,
                run.started_at_ms if run.as_of_ms is None else run.as_of_ms,
            )


def _read_at_ms(period: Period, readings: Sequence[_Reading]) -> int:
    """The instant of the latest sources from which the last day of `period` was read; minus infinity without any."""
    return max(
        (read.as_of_ms for read in readings if read.first_day <= period.last_day <= read.last_day),
        default=-(2**62),
    )
