"""The interface of the run ledger: one row per run, with consistent counts, and one run at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from core.errors import ConservationBroken, RunTakenOver
from core.stores.summaries import DayRange, Fingerprint, Publication

HEARTBEAT_LIMIT_S: Final = 120.0
"""A run with an older heartbeat may be taken over, also from another host."""


class RunStatus(StrEnum):
    """The status of a run. All but `RUNNING` are final."""

    RUNNING = "running"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    """It found no changes, and published nothing."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of documents of a run. Conservation: read = counted + rejected + filtered + out_of_range."""

    read: int = 0
    counted: int = 0
    rejected: int = 0
    filtered: int = 0
    out_of_range: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.read + other.read,
            self.counted + other.counted,
            self.rejected + other.rejected,
            self.filtered + other.filtered,
            self.out_of_range + other.out_of_range,
        )

    @property
    def add_up(self) -> bool:
        """Whether the numbers fulfil the conservation rule."""
        return self.read == self.counted + self.rejected + self.filtered + self.out_of_range

    def require_conservation(self) -> None:
        """Raise unless the numbers `add_up`.

        :raises ConservationBroken: names the numbers.
        """
        if not self.add_up:
            raise ConservationBroken(
                f"{self.read} documents were read, but {self.counted} counted + {self.rejected} rejected + "
                f"{self.filtered} filtered out + {self.out_of_range} out of range were accounted for",
                "Nothing was published. This is a defect of the program: please report it with the command used.",
            )


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a run.

    :param identity: boot id, PID namespace and start of the process, which are unique over all hosts; None if unknown,
        and in rows of earlier versions. Then only the heartbeat decides.
    """

    host: str
    process_id: int
    process_started_ms: int
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the ledger.

    :param id: 1, 2, 3, … in the order of start.
    :param command: the command, such as ``rebuild --truncate dump.archive``.
    :param holder: the process of the run; only this process writes the row while it is alive.
    :param as_of_ms: the instant of the sources' content, or None if unknown: modification time of a file, start of the
        run for a live collection.
    :param fingerprint: calendar, time zone, fields and filters of its totals.
    :param phase: the last known phase: ``reading``, ``checking``, ``publishing``, ``done``.
    :param incremental: whether it continued from the previous runs, so that the days before `first_day_key` are up to
        date as well.
    :param rejects_by_reason: number of rejects for each ``field: reason``.
    :param generation: the generation it published or found unchanged, or None.
    :param days_changed: number of days with changed summaries; None if not counted.
    :param days_kept: number of protected days with fewer counted than published transactions, as their documents may
        have been deleted; None if not determined.
    :param complete_days: the complete days of the publication, see `core.stores.summaries.Publication`; None if not yet
        known, and in rows of earlier versions.
    :param first_day_key: the first replaced day, or None for everything; likewise `last_day_key`.
    :param quarantine: path of the quarantine file, or None without rejects.
    :param rejects_kept: number of rejects in that file; None in rows of versions without a size limit.
    :param error: the sentence of the error of a failed run, or None.
    """

    id: int
    command: str
    status: RunStatus
    holder: Holder
    started_at_ms: int
    heartbeat_at_ms: int
    sources: tuple[str, ...]
    fingerprint: Fingerprint
    as_of_ms: int | None = None
    ended_at_ms: int | None = None
    phase: str = "reading"
    incremental: bool = False
    counts: Counts = field(default_factory=Counts)
    rejects_by_reason: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    generation: int | None = None
    days_changed: int | None = None
    days_kept: int | None = None
    complete_days: tuple[DayRange, ...] | None = None
    first_day_key: str | None = None
    last_day_key: str | None = None
    quarantine: str | None = None
    rejects_kept: int | None = None
    error: str | None = None

    @property
    def degraded(self) -> bool:
        """Whether the run succeeded with rejects."""
        return self.succeeded and self.counts.rejected > 0

    @property
    def rejects_not_kept(self) -> int:
        """Number of rejects that are not in the quarantine file, whose size is limited."""
        return 0 if self.rejects_kept is None else self.counts.rejected - self.rejects_kept

    @property
    def succeeded(self) -> bool:
        """Whether the run published or found the publication unchanged."""
        return self.status in (RunStatus.PUBLISHED, RunStatus.UNCHANGED)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it is running."""
        return None if self.ended_at_ms is None else max(0, self.ended_at_ms - self.started_at_ms) / 1000

    @property
    def documents_per_s(self) -> float | None:
        """Documents read per second, also while it is running; None for a duration of 0."""
        until_ms = self.heartbeat_at_ms if self.ended_at_ms is None else self.ended_at_ms
        took_ms = until_ms - self.started_at_ms
        return None if took_ms <= 0 else self.counts.read * 1000 / took_ms

    @property
    def replaced_everything(self) -> bool:
        """Whether it replaced the whole content of the store."""
        partial = self.incremental or self.first_day_key or self.last_day_key or self.days_changed is not None
        return self.status is RunStatus.PUBLISHED and not partial

    @property
    def is_of_live_sources(self) -> bool:
        """Whether all its sources are live collections."""
        return bool(self.sources) and all(
            source.startswith(("mongodb://", "mongodb+srv://")) for source in self.sources
        )

    def is_silent(self, now_ms: int) -> bool:
        """Whether it has not ended, but its heartbeat is too old."""
        return self.status is RunStatus.RUNNING and now_ms - self.heartbeat_at_ms > HEARTBEAT_LIMIT_S * 1000

    def ended(self, status: RunStatus, at_ms: int, error: str | None = None) -> Run:
        """This run with its final `status`."""
        return replace(self, status=status, ended_at_ms=at_ms, heartbeat_at_ms=at_ms, error=error)

    def taken_over(self, at_ms: int, generation: int | None) -> Run:
        """This run closed by the next one, as its process is gone; the last heartbeat is preserved.

        :param generation: the generation with its run id, or None if it died without publishing.
        """
        status = RunStatus.DIED if generation is None else RunStatus.PUBLISHED
        return replace(self, status=status, ended_at_ms=at_ms, generation=generation)


def taken_over(run: Run) -> RunTakenOver:
    """The error for the holder of `run`, which another run has closed."""
    return RunTakenOver(
        f"run {run.id} was taken over by another run after {HEARTBEAT_LIMIT_S:.0f} s without a heartbeat",
        "Do not pause the process or its host for so long. Run the same command again; it starts from the "
        "current publication.",
    )


class RunLedger(Protocol):
    """Stores runs. Thread-safe (calls take turns), but not fork-safe.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def begin(self, draft: Run) -> Run:
        """Insert `draft` as the next run, if no other run is in progress.

        The previous run must have ended, or its process on this host be dead, or its heartbeat be older than
        `HEARTBEAT_LIMIT_S`; a heartbeat that is as far in the future is watched, and must not change. If two runs begin
        at once, one of them fails. Open previous runs are closed first: as published if a publication has their id,
        else as died.

        :param draft: its `id` is ignored.
        :returns: the run with its new id.
        :raises RunHeld: another run is in progress; names it, its process and start. `draft` was not inserted.
        :raises StoreUnavailable: the store does not answer; `draft` may have been inserted.
        """

    def update(self, run: Run) -> None:
        """Replace the row of ``run.id`` with `run`; durable when it returns.

        Replaces only an open row of the holder of `run`: a run that another one has closed remains closed.

        :raises RunTakenOver: that run has ended, or another process holds it; nothing was written.
        :raises LookupError: the run does not exist.
        """

    def get(self, run_id: int) -> Run | None:
        """The run with that id, or None."""

    def recent(self, limit: int) -> list[Run]:
        """The latest `limit` runs, newest first."""

    def found_unchanged(self, publication: Publication) -> Run | None:
        """The latest run that found `publication` unchanged, or None.

        Cheap for the current publication, as only later runs are searched.
        """

    def ended_before(self, before_ms: int, *, below: int) -> list[int]:
        """The ids below `below` of runs that ended before `before_ms`, ascending.

        :param before_ms: milliseconds since 1970 UTC.
        """

    def remove(self, run_ids: Sequence[int]) -> int:
        """Remove ended runs, but never the latest, which determines the next id; returns their number."""
