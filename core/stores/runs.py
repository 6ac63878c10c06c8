"""The interface of the run ledger: one row a run, whose numbers add up, and the rule that lets one run at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from core.errors import ConservationBroken, RunTakenOver
from core.stores.summaries import DayRange, Fingerprint, Publication

HEARTBEAT_LIMIT_S: Final = 120.0
"""A run whose heartbeat is older than this may be taken over, wherever its process is."""


class RunStatus(StrEnum):
    """How a run stands. `RUNNING` is the only one that is not final."""

    RUNNING = "running"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    """It found that what is published is right, and published nothing."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the documents of a run. Conservation: read = counted + rejected + filtered + out_of_range."""

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

    def require_conservation(self) -> None:
        """Raise unless every document that was read is accounted for.

        :raises ConservationBroken: the numbers, in words.
        """
        if self.read != self.counted + self.rejected + self.filtered + self.out_of_range:
            raise ConservationBroken(
                f"{self.read} documents were read, but {self.counted} counted + {self.rejected} rejected + "
                f"{self.filtered} filtered out + {self.out_of_range} out of range were accounted for",
                "Nothing was published. This is a defect of the program: please report it with the command used.",
            )


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a run.

    :param host: its host's name.
    :param process_id: its process id on that host.
    :param process_started_ms: when that process began.
    :param identity: boot, PID namespace and start of the process, which tell it from every other process of every
        host; None where the system does not tell, and in rows of earlier versions. Then only the heartbeat counts.
    """

    host: str
    process_id: int
    process_started_ms: int
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the ledger.

    :param id: 1, 2, 3, … in the order in which runs began.
    :param command: what was run, such as ``rebuild --truncate dump.archive``.
    :param holder: the process that runs it; only that process writes the row while it is alive.
    :param sources: the names of what was read.
    :param as_of_ms: what happened before this instant is in the sources; None where that is not known. Of a file it is
        when it was last written, of a live collection when the run began.
    :param fingerprint: calendar, time zone, fields and filters that its totals were built with.
    :param phase: what it was last known to do: ``reading``, ``checking``, ``publishing``, ``done``.
    :param incremental: whether it went on where the runs before had ended: although it began with `first_day_key`,
        nothing that came since is left out.
    :param rejects_by_reason: number of rejects for each ``field: reason``.
    :param generation: the generation it published or found unchanged, or None.
    :param days_changed: how many days have other summaries since, of any merchant; None where that was not counted.
    :param days_kept: how many days stayed as they were published although fewer transactions of them were counted, as
        their documents may have been purged; None where that was not found out.
    :param complete_days: the days that are complete in what it published or found unchanged, see
        `core.stores.summaries.Publication`; None before that is known, and in rows of earlier versions.
    :param first_day_key: the first day that was replaced, or None for everything; likewise `last_day_key`.
    :param quarantine: path of the file that holds its first rejects, or None when there were none.
    :param rejects_kept: how many rejects that file holds; None in rows of versions that kept all.
    :param error: the sentence that a failed run ended with, or None.
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
        """Whether the run went well although it had rejected documents."""
        return self.succeeded and self.counts.rejected > 0

    @property
    def rejects_not_kept(self) -> int:
        """How many rejects were only counted, as the quarantine file has a limit."""
        return 0 if self.rejects_kept is None else self.counts.rejected - self.rejects_kept

    @property
    def succeeded(self) -> bool:
        """Whether what is published was right when the run ended, as far as the run had looked."""
        return self.status in (RunStatus.PUBLISHED, RunStatus.UNCHANGED)

    @property
    def duration_s(self) -> float | None:
        """Seconds from its beginning to its end; None while it is under way."""
        return None if self.ended_at_ms is None else max(0, self.ended_at_ms - self.started_at_ms) / 1000

    @property
    def documents_per_s(self) -> float | None:
        """Documents that it read in a second, also while it is under way; None where it took no time."""
        until_ms = self.heartbeat_at_ms if self.ended_at_ms is None else self.ended_at_ms
        took_ms = until_ms - self.started_at_ms
        return None if took_ms <= 0 else self.counts.read * 1000 / took_ms

    @property
    def replaced_everything(self) -> bool:
        """Whether it published without regard to what was there before."""
        partial = self.incremental or self.first_day_key or self.last_day_key or self.days_changed is not None
        return self.status is RunStatus.PUBLISHED and not partial

    @property
    def is_of_live_sources(self) -> bool:
        """Whether all that it read are live collections."""
        return bool(self.sources) and all(
            source.startswith(("mongodb://", "mongodb+srv://")) for source in self.sources
        )

    def is_silent(self, now_ms: int) -> bool:
        """Whether it is under way as far as the ledger tells, and has given no sign of life for too long."""
        return self.status is RunStatus.RUNNING and now_ms - self.heartbeat_at_ms > HEARTBEAT_LIMIT_S * 1000

    def ended(self, status: RunStatus, at_ms: int, error: str | None = None) -> Run:
        """This run with its final `status`."""
        return replace(self, status=status, ended_at_ms=at_ms, heartbeat_at_ms=at_ms, error=error)

    def taken_over(self, at_ms: int, generation: int | None) -> Run:
        """This run as the next one closes it, whose process is gone: the last heartbeat stays what it was.

        :param generation: the generation that bears its id, or None: then it died without publishing.
        """
        status = RunStatus.DIED if generation is None else RunStatus.PUBLISHED
        return replace(self, status=status, ended_at_ms=at_ms, generation=generation)


def taken_over(run: Run) -> RunTakenOver:
    """The error of the process that holds `run`, which another one has closed."""
    return RunTakenOver(
        f"run {run.id} was taken over by another run after {HEARTBEAT_LIMIT_S:.0f} s without a heartbeat",
        "Do not pause the process or its host for so long. Run the same command again; it starts from what is "
        "published now.",
    )


class RunLedger(Protocol):
    """Where runs are kept. Threads may share an instance, and take turns; processes may not."""

    def begin(self, draft: Run) -> Run:
        """Insert `draft` as the next run, when no other is under way.

        The run before must have ended, or its process on this host be dead, or its heartbeat be older than
        `HEARTBEAT_LIMIT_S`; one further in the future than that is watched for a while, and must not change. Of two
        that begin at once, one inserts the number and the other fails. Runs before that had not ended are closed
        first: as published when a publication bears their id, else as died.

        :param draft: its `id` is ignored.
        :returns: the run with the number it got.
        :raises RunHeld: another run is under way; says which, where, since when. `draft` was not inserted.
        :raises StoreUnavailable: the store does not answer; `draft` may have been inserted.
        """

    def update(self, run: Run) -> None:
        """Replace the row of ``run.id`` with `run`; durable when it returns.

        Only an open row of the holder of `run` is replaced. A run that another one has closed stays closed, whatever
        its process writes afterwards.

        :raises RunTakenOver: that run has ended, or another process holds it; nothing was written.
        :raises LookupError: the ledger has no such run.
        :raises StoreUnavailable: the store does not answer.
        """

    def get(self, run_id: int) -> Run | None:
        """The run of that number, or None."""

    def recent(self, limit: int) -> list[Run]:
        """At most `limit` runs, the latest first."""

    def found_unchanged(self, publication: Publication) -> Run | None:
        """The latest run that found `publication` unchanged, or None.

        It costs little where that is the current one: only runs after its own are searched.

        :raises StoreUnavailable: the store does not answer.
        """

    def ended_before(self, before_ms: int, *, below: int) -> list[int]:
        """The numbers, ascending, of runs below number `below` that ended before `before_ms`.

        :param before_ms: milliseconds since 1970 UTC.
        """

    def remove(self, run_ids: Sequence[int]) -> int:
        """Remove those of these runs that have ended, but never the latest, from whose number the next one follows.

        :returns: how many were removed.
        :raises StoreUnavailable: the store could not be written.
        """
