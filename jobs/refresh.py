"""Refresh: recomputes the days of a live collection that may have changed since the last run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Final

from core.calendar.periods import Mode
from core.stores.complete_days import CompleteDays, Days, united
from core.stores.freshness import RUNS_READ
from core.stores.runs import Run
from core.stores.summaries import DayRange, Publication
from jobs.decode.plan import Fields
from jobs.job import Job, ReadRequest
from jobs.partitions.counting import Counted
from jobs.partitions.local_runner import in_thread
from jobs.publish.replacing import Change
from jobs.publish.shrinking import LossLimits, Retention
from jobs.runs.ledger_row import RunRecorder
from jobs.runs.quarantine import last_quarantine, quarantine_path
from jobs.runs.refresh_plan import RefreshPlan, RefreshPlanner
from jobs.sources.live.collection import LiveCollection, open_collection

_ALL_READ: Final = (
    "with --time-format the server cannot search by time, so the whole collection was read, not only the latest days"
)


@dataclass(frozen=True, slots=True)
class RefreshRequest(ReadRequest):
    """The parameters of a refresh.

    Fields must not change. The reject ratio is of the published transactions, if they are more than the documents read.

    :param url: ``mongodb://…/database`` of the collection.
    :param updated_field: path of the modification date of documents, or None.
    :param look_back_days: number of local days before the last reading that are recomputed, as documents may be late,
        changed or deleted.
    :param loss_limits: limits for days after that of the oldest document.
    """

    url: str
    updated_field: str | None = None
    look_back_days: int = 3
    loss_limits: LossLimits = field(default_factory=LossLimits)
    command: str = field(default="refresh", kw_only=True)


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """The result of a refresh.

    :param publication: the current publication.
    :param plan: the counted days, or None for all.
    """

    run: Run
    publication: Publication
    plan: RefreshPlan | None


class Refresh(Job[RefreshRequest]):
    """Refreshes summaries from a live collection."""

    def run(self) -> RefreshOutcome:
        """Update the summaries in one publication, or none if nothing has changed.

        A day whose documents may have been deleted retains its published totals, with a warning:
        `jobs.publish.shrinking`.

        :raises FingerprintMismatch: the store was built with another time zone, calendar, field or filter.
        :raises NothingCounted: there are published transactions, but no document of the collection is counted.
        :raises WouldShrink: days would lose too many transactions.
        :raises ServiceError: see `core.errors`; nothing was published.
        """
        request, fingerprint = self.request, self._fingerprint()
        self._published(fingerprint)
        draft = self._draft((request.url,), fingerprint, incremental=True)
        draft = replace(draft, as_of_ms=draft.started_at_ms)
        with RunRecorder(self.stores.runs, draft, self.clock) as recorder:
            # Read now that no other run can publish without taking over, in which case publishing fails.
            before = self._published(fingerprint)
            with in_thread(partial(open_collection, request.url, request.collection, request.live)) as collection:
                plan = self._plan(collection, before, recorder)
                counted = self._count(collection, before, plan, recorder)
                self.watcher.phase("checking")
                retention = self._retention(collection, before, counted, plan)
                change = self._change(before, counted, self._days_read(plan), retention)
                complete_days = self._complete_days(before, plan, change, retention.oldest_day(), recorder.run)
            warnings = (*recorder.run.warnings, *counted.warnings, *retention.warnings(change.protected, change.lost))
            as_of_ms = recorder.run.as_of_ms
            publication = self._publish_change(recorder, before, change, warnings, as_of_ms, complete_days)
        return RefreshOutcome(recorder.run, publication, plan)

    def _plan(
        self, collection: LiveCollection, before: Publication | None, recorder: RunRecorder
    ) -> RefreshPlan | None:
        """Plan the days to read and record them in the ledger; None for all days."""
        request = self.request
        planner = RefreshPlanner(self.calendar, self.local_days, request.look_back_days)
        earlier = [run for run in self.stores.runs.recent(RUNS_READ) if run.id != recorder.run.id]
        begin_day = None if before is None else planner.begin_day(before, earlier, recorder.run.started_at_ms)
        warnings = _other_source_warning(collection, earlier)
        if begin_day is not None and not request.fields.times_are_dates:
            begin_day = None
            warnings = (*warnings, _ALL_READ)
        if begin_day is None:
            recorder.update(sources=(collection.name,), warnings=warnings)
            return None
        recorder.update(
            sources=(collection.name,),
            first_day_key=self.calendar.period_of(Mode.DAILY, begin_day).key,
            warnings=(*warnings, *in_thread(partial(_index_warnings, collection, request))),
        )
        if request.updated_field is None:
            plan = planner.plan(begin_day)
        else:
            since_ms = self.local_days.start_ms(begin_day)
            changed = collection.changed_since(request.updated_field, request.fields.time, since_ms)
            plan = in_thread(partial(planner.plan, begin_day, changed))
        named_ms = self.local_days.named_range_ms(self.calendar)
        unread = in_thread(partial(_undated_warning, collection, request.fields, plan, named_ms))
        recorder.update(warnings=(*recorder.run.warnings, *unread))
        return plan

    def _count(
        self, collection: LiveCollection, before: Publication | None, plan: RefreshPlan | None, recorder: RunRecorder
    ) -> Counted:
        progress, is_partial = recorder.while_current(self.watcher.reading), plan is not None
        counting = self._counting(self._ever(), progress, recorder.update, published=before, reads_some_days=is_partial)
        open_source = partial(collection.source, self.request.fields, None if plan is None else plan.times)
        earlier = last_quarantine(self.quarantine_dir, self.stores.runs.recent(RUNS_READ))
        return counting.count([open_source], quarantine_path(self.quarantine_dir, recorder.run), earlier)

    def _retention(
        self, collection: LiveCollection, before: Publication | None, counted: Counted, plan: RefreshPlan | None
    ) -> Retention:
        """The protection of published days whose documents may have been deleted.

        :raises NothingCounted: there are published transactions, but no document of the whole collection is counted.
        """

        # Queried after the days were read, so that documents deleted in the meantime are older than the oldest one.
        @cache
        def oldest_day() -> int | None:
            if plan is None and not self.request.fields.times_are_dates:
                return counted.oldest_day  # of all documents
            return self._oldest_day(collection)

        if before is not None and before.total_count and not counted.counts.counted and oldest_day() is None:
            counted.require_some(
                "Nothing was published, because this does not prove that there were no transactions. Check the "
                "database, the collection and --where. What is published can be removed with rebuild --truncate "
                "--allow-empty --allow-shrink."
            )
        return Retention(self.calendar, oldest_day, self.request.loss_limits)

    def _days_read(self, plan: RefreshPlan | None) -> Sequence[Days]:
        return plan.days if plan is not None else [(self.calendar.first_day, self.calendar.last_day)]

    def _complete_days(
        self, before: Publication | None, plan: RefreshPlan | None, change: Change, oldest_day: int | None, run: Run
    ) -> tuple[DayRange, ...]:
        """The complete days of the new or unchanged publication."""
        lost = ((loss.day, loss.day) for loss in change.lost)
        known = CompleteDays.published(before, self.stores.runs).without(lost)
        first_day = known.whole_from(oldest_day)
        if first_day is not None:
            read = [(max(first, first_day), last) for first, last in self._days_read(plan)]
            open_day = self.local_days.day_of(run.started_at_ms)
            known = known.after_reading(united(read), open_day, [loss.day for loss in change.protected])
        return known.keys(self.calendar)


def _other_source_warning(collection: LiveCollection, runs: Sequence[Run]) -> tuple[str, ...]:
    """A warning if the previous refresh read another collection, perhaps a test database."""
    before = next((run.sources[0] for run in runs if run.incremental and run.succeeded), collection.name)
    return (
        () if before == collection.name else (f"the previous refresh read {before}; check that this is the same data",)
    )


def _undated_warning(
    collection: LiveCollection, fields: Fields, plan: RefreshPlan, named_ms: tuple[int, int]
) -> tuple[str, ...]:
    """A warning if there are documents without a valid date, which no plan reads."""
    count = collection.count_undated(fields, plan.times, named_ms)
    if not count:
        return ()
    return (
        f"{count} documents of {collection.name} were not read: they have no date within the calendar in "
        f"{fields.time}. verify and rebuild reject them",
    )


def _index_warnings(collection: LiveCollection, request: RefreshRequest) -> tuple[str, ...]:
    """Warnings about missing or unknown indexes on the fields that are queried by day."""
    warnings = []
    for path in (request.fields.time, request.updated_field):
        exists = path is None or collection.time_index_exists(path)
        if exists is None:
            warnings.append(
                f"the indexes of {collection.name} cannot be listed, so it is unknown whether {path} has one. "
                "Without an index, each refresh reads every document"
            )
        elif path is not None and not exists:
            warnings.append(
                f"{collection.name} has no index on {path}, so every document was read; create one with: "
                f"{collection.create_index_command(path)}"
            )
    return tuple(warnings)
