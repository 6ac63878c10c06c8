"""The rebuild job: sources -> decode -> aggregate -> check -> publish."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from core.calendar import calendar_named
from core.calendar.periods import Mode
from core.errors import ServiceError, UsageError
from core.stores.complete_days import CompleteDays
from core.stores.runs import Run
from core.stores.summaries import DayRange, Fingerprint, Publication
from jobs.job import SourcesJob, SourcesRequest
from jobs.partitions.checkpoint import Checkpoint, folder_at
from jobs.partitions.counting import Counted
from jobs.publish.derived import Derived
from jobs.publish.replacing import StoreTotals, day_counts, days_of
from jobs.publish.shrinking import DayCounts, as_one_day, protect_nothing, require_half
from jobs.runs.fingerprint import require_same_fingerprint
from jobs.runs.ledger_row import RunRecorder
from jobs.runs.quarantine import quarantine_path
from jobs.runs.requested_days import RequestedDays
from jobs.runs.source_age import complete_days_after, file_status
from jobs.sources.chunks import CHUNK_BYTES
from jobs.sources.remote.url import is_remote
from jobs.sources.streams import STANDARD_INPUT
from jobs.sources.url import is_live, redacted_url

_DECIDES_DAYS: Final = frozenset({"time_zone", "zone_rules", "calendar", "time_field"})
"""The parts of a fingerprint that determine the day of a transaction."""


@dataclass(frozen=True, slots=True)
class RebuildRequest(SourcesRequest):
    """The parameters of a rebuild.

    :param truncate: replace the whole content of the store.
    :param first_key: replace only days from this daily key on; `last_key` up to that one, inclusive.
    :param allow_empty: whether to continue if no document is counted.
    :param allow_shrink: whether to continue if more than half of the replaced transactions would be removed.
    :param checkpoint: the folder or URL for results of finished partitions, to resume a killed run; or None.
    :param keep_checkpoint: whether to retain the checkpoint after publishing.
    """

    truncate: bool = False
    first_key: str | None = None
    last_key: str | None = None
    max_reject_ratio: float = field(default=0.0, kw_only=True)
    allow_empty: bool = False
    allow_shrink: bool = False
    chunk_bytes: int = CHUNK_BYTES
    command: str = field(default="rebuild", kw_only=True)
    checkpoint: str | None = None
    keep_checkpoint: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether to replace only some days."""
        return self.first_key is not None or self.last_key is not None

    @property
    def reads_some_days(self) -> bool:
        return self.is_partial and self.fields.times_are_dates


@dataclass(frozen=True, slots=True)
class RebuildOutcome:
    """The result of a rebuild.

    :param partitions_reused: number of partitions whose results were in the checkpoint.
    """

    run: Run
    publication: Publication
    file_formats: tuple[str, ...]
    partitions_reused: int = 0


class Rebuild(SourcesJob[RebuildRequest]):
    """Rebuilds summaries from sources."""

    def run(self) -> RebuildOutcome:
        """Rebuild; publishes everything or nothing.

        :raises UsageError: the store is not empty and the request has neither `truncate` nor days; a key is invalid; a
            source is given twice.
        :raises NothingCounted: no document was counted, without `allow_empty`.
        :raises WouldShrink: more than half of the replaced transactions would be removed, without `allow_shrink`.
        :raises ServiceError: see `core.errors`; nothing was published.
        """
        request = self.request
        if request.truncate and request.is_partial:
            raise UsageError(
                "--truncate cannot be combined with --from or --to", "Replace everything, or only some days."
            )
        _require_cluster(request)
        days = RequestedDays.of(request.first_key, request.last_key, self.calendar, self.local_days)
        _require_distinct(request)
        fingerprint = self._fingerprint()
        self._require_allowed(fingerprint)
        checkpoint = None if request.checkpoint is None else Checkpoint(folder_at(request.checkpoint), str(fingerprint))
        draft = self._draft_of_days(fingerprint, days)
        resumable = nullcontext() if checkpoint is None else checkpoint.resume_hint()
        with resumable, RunRecorder(self.stores.runs, draft, self.clock) as recorder:
            # Check again, now that no other run can publish without taking over. If one does, the next generation is
            # taken, so that publishing fails instead of overwriting it.
            before = self._require_allowed(fingerprint)
            with self._count(days, before, recorder, checkpoint) as counted:
                publication = self._publish(days, before, counted, recorder)
            if checkpoint is not None and not request.keep_checkpoint:
                _remove(checkpoint, recorder)
        return RebuildOutcome(
            recorder.run, publication, counted.file_formats, 0 if checkpoint is None else checkpoint.reused
        )

    def _require_allowed(self, fingerprint: Fingerprint) -> Publication | None:
        """The current publication, if the request may replace it."""
        published = self.stores.summaries.published()
        if published is None or published.rows == 0 or self.request.truncate:
            return published
        if not self.request.is_partial:
            raise UsageError(
                f"the store already has {published.rows} summaries of {published.total_count} transactions",
                "Choose: --truncate to replace everything, or --from DAY --to DAY to replace only those days.",
            )
        require_same_fingerprint(fingerprint, published, self.stores.summaries, self.local_days)
        return published

    def _count(
        self, days: RequestedDays, before: Publication | None, recorder: RunRecorder, checkpoint: Checkpoint | None
    ) -> Counted:
        request = self.request
        counting = self._counting_of_days(
            days,
            recorder.while_current(self.watcher.reading),
            recorder.update,
            published=before,
            chunk_bytes=request.chunk_bytes,
            checkpoint=checkpoint,
        )
        sources = self._open(request.sources, days)
        return counting.count(sources, quarantine_path(self.quarantine_dir, recorder.run))

    def _publish(
        self, days: RequestedDays, before: Publication | None, counted: Counted, recorder: RunRecorder
    ) -> Publication:
        self.watcher.phase("checking")
        if not self.request.allow_empty:
            counted.require_some(
                "Nothing was published. Check the source, --collection, --where, --from and --to; if there really "
                "were no transactions, use --allow-empty."
            )
        until_ms, complete_days = self._completeness(days, before, counted, recorder)
        if self.request.is_partial:
            totals, publish = self._some_days(recorder, before, counted, (days.first, days.last))
        else:
            totals, publish = self._everything(recorder, before, counted)
        publication = self._publication(totals, before, recorder.run, until_ms, complete_days)
        amended = before if self.request.is_partial else None
        adopted = self._adoption_warnings(recorder.run, amended)
        recorder.update(phase="publishing", warnings=(*adopted, *counted.warnings), complete_days=complete_days)
        self._publish_unless_interrupted(recorder, publication, partial(publish, publication))
        return publication

    def _completeness(
        self, days: RequestedDays, before: Publication | None, counted: Counted, recorder: RunRecorder
    ) -> tuple[int | None, tuple[DayRange, ...]]:
        """``complete_until_ms`` and ``complete_days`` of the new publication."""
        reading = self._reading(days, counted, recorder.run, says_first=days.first_key is not None)
        complete_days = CompleteDays()
        if self.request.is_partial:
            # The replaced days may lack transactions that were published.
            complete_days = CompleteDays.published(before, self.stores.runs).without([(days.first, days.last)])
        complete_days = complete_days_after(complete_days, reading, self.calendar, self.local_days)
        return self._complete_until_ms(reading, before), complete_days.keys(self.calendar)

    def _some_days(
        self, recorder: RunRecorder, before: Publication | None, counted: Counted, days: tuple[int, int]
    ) -> tuple[StoreTotals, Callable[[Publication], None]]:
        """The totals after replacing `days` (first and last, inclusive), and the call that publishes it."""
        change = self._change(before, counted, [days], protect_nothing if self.request.allow_shrink else require_half)
        recorder.update(days_changed=change.days_changed)
        return change, lambda publication: self.stores.summaries.amend(publication, change.rows, change.ranges)

    def _everything(
        self, recorder: RunRecorder, before: Publication | None, counted: Counted
    ) -> tuple[StoreTotals, Callable[[Publication], None]]:
        """The totals after replacing everything, and the call that publishes it."""
        derived = Derived.of(counted.daily, counted.days, self.calendar, self.local_days)
        if before is not None and not self.request.allow_shrink:
            published, found = self._published_counts(before), day_counts(counted.days)
            if _DECIDES_DAYS.intersection(before.fingerprint.differing(recorder.run.fingerprint)):
                published, found = as_one_day(published), as_one_day(found)
            require_half(published, found)

        def publish(publication: Publication) -> None:
            show = partial(self.watcher.publishing, total=derived.total_rows)
            self.stores.summaries.publish(publication, derived.frames(), show)

        return derived, publish

    def _published_counts(self, before: Publication) -> DayCounts:
        """The number of published transactions by day, in the publication's calendar."""
        counts = dict(self.stores.summaries.series(Mode.DAILY, "count", None))
        days = days_of(counts, calendar_named(before.fingerprint.calendar))
        return {day: counts[key] for key, day in days.items()}


def _remove(checkpoint: Checkpoint, recorder: RunRecorder) -> None:
    """Remove the checkpoint after publishing; a failure is only a warning."""
    try:
        checkpoint.remove()
    except ServiceError as error:
        recorder.update(warnings=(*recorder.run.warnings, f"{error.sentence}, so it was not removed"))


def _require_cluster(request: RebuildRequest) -> None:
    if request.cluster is None:
        return
    from jobs.partitions.cluster_runner import require_cluster

    require_cluster(request.cluster)


def _require_distinct(request: RebuildRequest) -> None:
    """Raise if two sources are the same file."""
    seen: set[object] = set()
    for argument in request.sources:
        try:
            file: object = _file_of(argument, request.collection)
        except (ServiceError, OSError):
            continue  # reported when it is opened
        if file in seen:
            raise UsageError(
                f"{redacted_url(argument)} is given twice", "Its transactions would be counted twice; name it once."
            )
        seen.add(file)


def _file_of(argument: str, collection: str | None) -> object:
    if argument == STANDARD_INPUT or is_live(argument):
        return redacted_url(argument)
    if is_remote(argument):
        return argument
    status = file_status(argument, collection)
    return status.st_dev, status.st_ino
