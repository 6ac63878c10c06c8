"""The condition of the summaries: failed runs, missed refreshes, old sources, rejects.

Shared by the command ``status``, ``/api/status``, ``/readyz`` and the metrics, so that they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Literal, Self

from core.stores import Stores
from core.stores.freshness import RUNS_READ, Freshness
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Publication

Cause = Literal["rejects", "failures", "missed_refreshes", "age"]
"""Causes of a degraded state: the last success rejected documents; runs have failed since; `MISSED_LIMIT` refreshes of
a live collection were missed; the sources are older than ``API_MAX_AGE_S``."""

CAUSES: Final[tuple[Cause, ...]] = ("rejects", "failures", "missed_refreshes", "age")

MISSED_LIMIT: Final = 3
"""A live collection is stale after this many missed refreshes."""

_MOST_INTERVALS: Final = 10
_LEAST_INTERVALS: Final = 3
_TOLERANCE: Final = 0.25
_SHORTEST_S: Final = 30.0
"""Refreshes with shorter intervals are manual: except for beat, whose interval is a setting, schedulers have intervals
of at least a minute."""


@dataclass(frozen=True, slots=True)
class FreshnessLimits:
    """The settings that define a degraded state.

    :param max_age_s: ``API_MAX_AGE_S``; 0 for no limit.
    :param refresh_every_s: ``REFRESH_EVERY_S``; 0 if beat starts no refreshes.
    """

    max_age_s: float = 0.0
    refresh_every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Refreshes:
    """The schedule of the refreshes of a live collection.

    :param begun_ms: start of the latest refresh, also if failed; milliseconds since 1970 UTC, like all instants.
    :param read_ms: start of the latest successful refresh, up to which the collection was read.
    """

    every_s: float
    begun_ms: int
    read_ms: int

    @property
    def due_ms(self) -> int:
        """The time of the next refresh."""
        return self.begun_ms + round(self.every_s * 1000)

    def missed(self, now_ms: int) -> int:
        """Number of due refreshes since the last successful one."""
        return max(0, int((now_ms - self.read_ms) / 1000 // self.every_s))


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of the summaries at one instant.

    :param freshness: the freshness of the publication, or None if nothing is published.
    :param runs: the latest runs, newest first.
    :param failures: the runs that failed since the last success, newest first, including one without heartbeats, as
        `RunStatus.DIED`.
    :param refreshes: the schedule; None if no refreshes are expected, or their interval is not known yet.
    :param degraded_by: in the order of `CAUSES`; empty if nothing is published.
    """

    freshness: Freshness | None
    runs: Sequence[Run]
    failures: tuple[Run, ...]
    refreshes: Refreshes | None
    degraded_by: tuple[Cause, ...]

    @classmethod
    def read(cls, stores: Stores, now_ms: int, limits: FreshnessLimits) -> Self:
        """The condition at `now_ms`.

        :raises StoreUnavailable: the store does not answer.
        """
        freshness = Freshness.read(stores)
        runs = stores.runs.recent(RUNS_READ) if freshness is None else freshness.recent
        failures = failures_of(runs, None if freshness is None else freshness.publication, now_ms)
        refreshes = refreshes_of(runs, limits.refresh_every_s)
        if freshness is None:
            return cls(None, runs, failures, refreshes, ())
        found: dict[Cause, bool] = {
            "rejects": freshness.confirmed_by is not None and freshness.confirmed_by.degraded,
            "failures": bool(failures),
            "missed_refreshes": refreshes is not None and refreshes.missed(now_ms) >= MISSED_LIMIT,
            "age": 0 < limits.max_age_s < freshness.age_s(now_ms),
        }
        return cls(freshness, runs, failures, refreshes, tuple(cause for cause in CAUSES if found[cause]))

    @property
    def state(self) -> Literal["ok", "degraded", "empty"]:
        """The condition as one word."""
        return "empty" if self.freshness is None else "degraded" if self.degraded_by else "ok"


def failures_of(runs: Sequence[Run], publication: Publication | None, now_ms: int) -> tuple[Run, ...]:
    """The runs that failed since the last success, newest first.

    :param runs: the latest runs of the ledger, newest first.
    """
    failed = []
    for run in runs:
        if run.succeeded or (publication is not None and run.id == publication.run_id):
            break
        if run.is_silent(now_ms):
            failed.append(run.taken_over(run.heartbeat_at_ms, None))
        elif run.status is not RunStatus.RUNNING:
            failed.append(run)
    return tuple(failed)


def refreshes_of(runs: Sequence[Run], setting_s: float = 0.0) -> Refreshes | None:
    """The schedule of refreshes, from the setting or else from the intervals in the ledger.

    Without the setting, no refreshes are expected after an export has replaced everything.

    :param runs: the latest runs of the ledger, newest first.
    :param setting_s: ``REFRESH_EVERY_S``; 0 if beat starts none.
    """
    basis = next((run for run in runs if run.succeeded and (run.incremental or run.replaced_everything)), None)
    if basis is None or not (basis.incremental or basis.is_of_live_sources or setting_s):
        return None
    begun = [run.started_at_ms for run in runs if run.incremental]
    # A refresh that takes longer than the interval delays the next one.
    every_s = max(setting_s, basis.duration_s or 0.0) if setting_s else _usual_interval_s(begun)
    return None if every_s is None else Refreshes(every_s, max([*begun[:1], basis.started_at_ms]), basis.started_at_ms)


def _usual_interval_s(begun: Sequence[int]) -> float | None:
    """The usual interval in seconds between the instants `begun`, latest first; None if irregular."""
    intervals = [(later - earlier) / 1000 for later, earlier in pairwise(begun[: _MOST_INTERVALS + 1])]
    if len(intervals) < _LEAST_INTERVALS:
        return None
    usual = median(intervals)
    regular = sum(abs(interval - usual) <= _TOLERANCE * usual for interval in intervals)
    return usual if usual >= _SHORTEST_S and 2 * regular >= len(intervals) else None
