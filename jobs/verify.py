"""Verify: recounts periods from the source and compares them with the published summaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Final

import polars as pl

from core.calendar.periods import Mode
from core.errors import ConservationBroken, PublicationLost, StoreBusy, UsageError
from core.stores.complete_days import CompleteDays
from core.stores.freshness import Freshness
from core.stores.runs import Run
from core.stores.summaries import Fingerprint, Publication, require_published
from jobs.job import SourcesJob, SourcesRequest
from jobs.partitions.counting import Counted, Progress
from jobs.partitions.local_runner import in_thread
from jobs.publish.replacing import Change
from jobs.publish.shrinking import DayLoss, LossLimits, Retention
from jobs.runs.ledger_row import RunRecorder
from jobs.runs.quarantine import quarantine_path
from jobs.runs.requested_days import RequestedDays, is_clean_cut
from jobs.runs.source_age import complete_days_after
from jobs.sources.live.collection import open_collection
from jobs.sources.streams import STANDARD_INPUT
from jobs.sources.url import is_live

_COMPARISONS: Final = 5
"""Attempts to compare, if other runs keep publishing in between."""

_TORN: Final = (ConservationBroken, KeyError, PublicationLost)
"""Errors of reads that saw two publications, whose content is inconsistent."""

DRIFT_COLUMNS: Final = ("mode", "key", "merchant_id", "amount", "recounted_amount", "count", "recounted_count")
"""The columns of drift: published before recounted values; 0 if there is no such summary."""


@dataclass(frozen=True, slots=True)
class VerifyRequest(SourcesRequest):
    """The parameters of a verification. Fields must not change.

    The sources together must have all transactions of the compared days.

    :param first_key: compare only the days from this daily key on; `last_key` up to that one, inclusive. Without
        `last_key` a live collection is compared up to the day before those that the next refresh recomputes.
    :param look_back_days: see `jobs.refresh.RefreshRequest`.
    :param repair: whether to replace periods with drift.
    :param loss_limits: limits of a repair for days after that of the oldest document.
    """

    first_key: str | None = None
    last_key: str | None = None
    look_back_days: int = 3
    repair: bool = False
    loss_limits: LossLimits = field(default_factory=LossLimits)
    command: str = field(default="verify", kw_only=True)

    @property
    def reads_some_days(self) -> bool:
        # Without a first day they are read whole, which also detects missing documents.
        return self.first_key is not None and self.fields.times_are_dates


@dataclass(frozen=True, slots=True)
class VerifyOutcome:
    """The result of a verification.

    :param drift: the differences, a frame of `DRIFT_COLUMNS`, ordered by mode, key, merchant (overall first).
    :param protected: days with fewer counted than published transactions that are not drift, as their documents may
        have been deleted; and their keys.
    :param first_key: the first compared day, or None for no bound; likewise `last_key`.
    :param left_to_refresh: whether `last_key` was not requested, but is the day before the look-back of the next
        refresh.
    :param counted: the recount, with the warnings of the whole verification.
    :param compared: the publication of the comparison.
    :param repaired_by: the run that repaired the drift, or None.
    """

    drift: pl.DataFrame
    protected: Mapping[str, DayLoss]
    first_key: str | None
    last_key: str | None
    left_to_refresh: bool
    counted: Counted
    compared: Publication
    repaired_by: Run | None


class Verify(SourcesJob[VerifyRequest]):
    """Compares summaries with their source."""

    def run(self) -> VerifyOutcome:
        """Recount, compare, and repair if requested; without repair nothing is written to the store.

        Without repair, refreshes may run at the same time; with repair it is an exclusive run like any other. A day
        whose documents may have been deleted is not drift: see `jobs.publish.shrinking`.

        :raises FingerprintMismatch: the store was built with another time zone, calendar, field or filter.
        :raises NothingCounted: there are published transactions, but no document of the sources is counted.
        :raises WouldShrink: the repair would remove too many transactions.
        :raises UsageError: a day has fewer transactions than before, but standard input cannot be read again.
        :raises ServiceError: nothing is published yet; or see `core.errors`; nothing was changed.
        """
        fingerprint = self._fingerprint()
        published = self._current(fingerprint)
        days = self._days(published)
        draft = self._draft_of_days(fingerprint, days)
        if self.request.repair:
            return self._repair(draft, days)
        counted = self._count(days, published, draft, _discard, self.watcher.reading)
        self.watcher.phase("checking")
        retention = self._retention(days, counted, published, LossLimits(allow_shrink=True))
        before, change = self._compare(counted, days, fingerprint, retention)
        counted = replace(counted, warnings=(*counted.warnings, *retention.warnings(change.protected)))
        if change and before != published:
            meanwhile = (
                f"generation {before.generation} was published during this verification, so some differences may be "
                "changes that were not read: run verify again to find out"
            )
            counted = replace(counted, warnings=(*counted.warnings, meanwhile))
        return self._outcome(days, counted, before, change, None)

    def _repair(self, draft: Run, days: RequestedDays) -> VerifyOutcome:
        """Compare in a run of the ledger, which publishes the recount."""
        with RunRecorder(self.stores.runs, draft, self.clock) as recorder:
            # Read before counting: if another run takes over and publishes, publishing fails.
            before = self._current(draft.fingerprint)
            progress = recorder.while_current(self.watcher.reading)
            counted = self._count(days, before, recorder.run, recorder.update, progress)
            self.watcher.phase("checking")
            retention = self._retention(days, counted, before, self.request.loss_limits)
            try:
                change = self._change(before, counted, [(days.first, days.last)], retention)
            except _TORN:
                self._require_current(before, recorder.run)
                raise
            reading = self._reading(days, counted, recorder.run)
            all_live = all(map(is_live, self.request.sources))
            complete_days = complete_days_after(
                CompleteDays.published(before, self.stores.runs).without((loss.day, loss.day) for loss in change.lost),
                replace(reading, oldest_day=retention.oldest_day() if all_live else None),
                self.calendar,
                self.local_days,
                [loss.day for loss in change.protected],
            ).keys(self.calendar)
            warnings = (*counted.warnings, *retention.warnings(change.protected, change.lost))
            complete_until = self._complete_until_ms(reading, before)
            self._publish_change(recorder, before, change, warnings, complete_until, complete_days)
            counted = replace(counted, warnings=recorder.run.warnings)
        return self._outcome(days, counted, before, change, recorder.run)

    def _current(self, fingerprint: Fingerprint) -> Publication:
        return require_published(self._published(fingerprint))

    def _days(self, published: Publication) -> RequestedDays:
        request, last_key = self.request, self.request.last_key
        if last_key is None and any(map(is_live, request.sources)):
            last_key = self.calendar.period_of(Mode.DAILY, self._last_settled_day(published)).key
        try:
            return RequestedDays.of(request.first_key, last_key, self.calendar, self.local_days)
        except UsageError as error:
            if request.last_key is None and last_key is not None:
                hint = (
                    f"Without --to only the days up to {last_key} are compared; the next refresh recomputes later days."
                )
                raise UsageError(error.sentence, hint) from None
            raise

    def _last_settled_day(self, published: Publication) -> int:
        """The day before those that the next refresh recomputes."""
        freshness = Freshness.read(self.stores)
        read_until_ms = published.published_at_ms if freshness is None else freshness.as_of_ms
        day = self.local_days.day_of(min(read_until_ms, self.clock())) - self.request.look_back_days - 1
        day = min(max(day, self.calendar.first_day), self.calendar.last_day)
        while not is_clean_cut(self.local_days, day + 1):
            day -= 1
        return day

    def _count(
        self,
        days: RequestedDays,
        published: Publication,
        run: Run,
        record: Callable[..., None],
        progress: Callable[[Progress], None],
    ) -> Counted:
        counting = self._counting_of_days(days, progress, record, published=published)
        sources = self._open(self.request.sources, days)
        return counting.count(sources, quarantine_path(self.quarantine_dir, run)).collected()

    def _retention(self, days: RequestedDays, counted: Counted, before: Publication, limits: LossLimits) -> Retention:
        """The protection of published days whose documents may have been purged.

        :raises NothingCounted: there are published transactions, but no document of the whole sources is counted.
        :raises UsageError: the oldest document is unknown, as standard input cannot be read again.
        """
        request = self.request

        @cache
        def oldest_day() -> int | None:
            searched = [one for one in request.sources if is_live(one) and request.fields.times_are_dates]
            found = [self._oldest_live_day(url) for url in searched]
            files = [one for one in request.sources if one not in searched]
            if files:
                found.append(counted.oldest_day)
            if files and counted.counts.out_of_range:
                # Some documents are outside of the compared days: read again to find the oldest valid one.
                _require_readable_again(files)
                counting = self._counting_of_days(days, self.watcher.reading, _discard, published=before)
                found.append(counting.oldest_day(self._open(files, days)))
            return min((day for day in found if day is not None), default=None)

        if before.total_count and not counted.counts.counted and oldest_day() is None:
            counted.require_some(
                "This does not prove that there were no transactions. Check the source, --collection and --where."
            )
        return Retention(self.calendar, oldest_day, limits)

    def _oldest_live_day(self, url: str) -> int | None:
        with in_thread(partial(open_collection, url, self.request.collection, self.request.live)) as collection:
            return self._oldest_day(collection)

    def _compare(
        self, counted: Counted, days: RequestedDays, fingerprint: Fingerprint, retention: Retention
    ) -> tuple[Publication, Change]:
        """The current publication, and the change that would make it equal to the recount."""
        for _ in range(_COMPARISONS):
            before = self._current(fingerprint)
            try:
                change = self._change(before, counted, [(days.first, days.last)], retention)
            except _TORN:
                if self.stores.summaries.published() == before:
                    raise
                continue
            if self.stores.summaries.published() == before:
                return before, change
        raise StoreBusy(
            "other runs kept publishing while the counts were compared",
            "Nothing was published. Run the same command again when fewer refreshes run.",
        )

    def _outcome(
        self, days: RequestedDays, counted: Counted, compared: Publication, change: Change, run: Run | None
    ) -> VerifyOutcome:
        return VerifyOutcome(
            drift=_drift(change),
            protected={self.calendar.period_of(Mode.DAILY, loss.day).key: loss for loss in change.protected},
            first_key=days.first_key,
            last_key=days.last_key,
            left_to_refresh=self.request.last_key is None and days.last_key is not None,
            counted=counted,
            compared=compared,
            repaired_by=run,
        )


def _drift(change: Change) -> pl.DataFrame:
    """The differing summaries. If only the bounds of a period differ, as after new time zone data, sums are equal."""
    which, sums = ["mode", "key", "merchant_id"], ["amount", "count"]
    differing = pl.concat([change.replaced, change.rows]).unique(keep="none").select(which).unique()
    published = change.replaced.select(*which, *sums)
    recounted = change.rows.select(*which, pl.col(sums).name.prefix("recounted_"))
    return (
        differing.join(published, on=which, how="left", nulls_equal=True)
        .join(recounted, on=which, how="left", nulls_equal=True)
        .with_columns(pl.exclude(which).fill_null(0))
        .select(DRIFT_COLUMNS)
        .sort(pl.col("mode").cast(pl.Enum([str(mode) for mode in Mode])), "key", "merchant_id", nulls_last=False)
    )


def _require_readable_again(files: Sequence[str]) -> None:
    if STANDARD_INPUT in files:
        raise UsageError(
            "days have fewer transactions than are published, and standard input cannot be read again to see whether "
            "it has older documents",
            "Save it to a file first, and verify that.",
        )


def _discard(**_: object) -> None:
    """Ignore the fields of a ledger row, as there is no run."""
