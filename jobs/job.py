"""The base of the jobs that read transactions: common parameters and the steps of a run.

A subclass determines the days to read and to replace. The base creates the run's row in the ledger, counts sources, and
publishes changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar
from core.errors import Interrupted, PublicationLost
from core.stores import Clock, Stores, current_holder
from core.stores.complete_days import Days
from core.stores.freshness import RUNS_READ, complete_until_ms
from core.stores.runs import Run, RunStatus
from core.stores.summaries import DayRange, Fingerprint, Publication
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.counting import Counted, Counting, Progress, fingerprint_of
from jobs.partitions.daily_sums import all_sums
from jobs.partitions.local_runner import in_thread
from jobs.publish.replacing import Change, StoreTotals, replace_days
from jobs.publish.shrinking import Protection
from jobs.runs.fingerprint import adoption_warnings, require_same_fingerprint
from jobs.runs.ledger_row import RunRecorder
from jobs.runs.quarantine import QUARANTINE_BYTES
from jobs.runs.requested_days import RequestedDays
from jobs.runs.source_age import Reading, as_of_ms, complete_until_after
from jobs.sources.live.options import LiveOptions
from jobs.sources.partition import Source
from jobs.sources.recognise import expanded, open_source
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.url import is_live, redacted_url

if TYPE_CHECKING:
    from jobs.sources.live.collection import LiveCollection


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """Parameters of all jobs that read transactions.

    :param fields: the fields to read.
    :param collection: the collection of a dump or server, or None for the default names.
    :param max_reject_ratio: the share of documents read that may be rejected, 0 to 1.
    :param max_quarantine_bytes: size limit of the quarantine file.
    :param threads: decoding threads.
    :param live: options for live collections.
    :param command: the command in the ledger.
    :param currency: the unit of amounts; empty: that of the store.
    """

    fields: Fields = field(default_factory=Fields)
    collection: str | None = None
    max_reject_ratio: float = 0.001
    threads: int = 1
    live: LiveOptions = field(default_factory=LiveOptions)
    max_quarantine_bytes: int = QUARANTINE_BYTES
    command: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesRequest(ReadRequest):
    """Parameters of jobs that read several sources, perhaps only some days.

    :param sources: files, folders, URLs of these or of live collections, or ``-`` for standard input; summed.
        A remote URL may have wildcards.
    :param remote: options for ``s3://``, ``gs://`` and ``https://``.
    :param cluster: the Dask cluster that counts, ``tcp://HOST:PORT`` or ``local:N``; None: threads of this process.
    """

    sources: tuple[str, ...] = field(kw_only=False)
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    cluster: str | None = None

    @property
    def reads_some_days(self) -> bool:
        """Whether only the requested days of live collections are read."""
        raise NotImplementedError


RequestT = TypeVar("RequestT", bound=ReadRequest)
SourcesRequestT = TypeVar("SourcesRequestT", bound=SourcesRequest)


class Watcher:
    """Receives the progress of a job; this base class ignores it."""

    def reading(self, progress: Progress) -> None:
        """Called several times a second while sources are read; its exceptions stop the run."""

    def publishing(self, written: int, total: int) -> None:
        """Called now and then while everything is replaced, with the number of written summaries."""

    def phase(self, name: str) -> None:
        """Called at ``checking``, ``publishing`` and ``published``; exceptions in the first two stop the run."""


@dataclass(frozen=True, slots=True)
class Job(Generic[RequestT]):
    """One execution of a job; subclasses have a method ``run``.

    :param stores: the stores of summaries and of the ledger.
    :param quarantine_dir: folder of quarantine files.
    :param clock: milliseconds since 1970 UTC.
    """

    stores: Stores
    calendar: Calendar
    local_days: LocalDays
    quarantine_dir: Path
    clock: Clock
    request: RequestT
    watcher: Watcher

    def _fingerprint(self) -> Fingerprint:
        request, published = self.request, self.stores.summaries.published()
        return fingerprint_of(request.fields, self.calendar, self.local_days, request.currency, published)

    def _published(self, fingerprint: Fingerprint) -> Publication | None:
        """The current publication.

        :raises FingerprintMismatch: its summaries have another fingerprint.
        """
        published = self.stores.summaries.published()
        if published is not None and published.rows:
            require_same_fingerprint(fingerprint, published, self.stores.summaries, self.local_days)
        return published

    def _draft(self, sources: Sequence[str], fingerprint: Fingerprint, **more: Any) -> Run:
        """The initial row of the ledger; `more` are further fields."""
        now = self.clock()
        return Run(
            id=0,
            command=self.request.command,
            status=RunStatus.RUNNING,
            holder=current_holder(),
            started_at_ms=now,
            heartbeat_at_ms=now,
            sources=tuple(map(redacted_url, sources)),
            fingerprint=fingerprint,
            **more,
        )

    def _counting(
        self,
        window: Window,
        progress: Callable[[Progress], None],
        record: Callable[..., None],
        *,
        published: Publication | None,
        reads_some_days: bool,
        **more: Any,
    ) -> Counting:
        """The `Counting` of documents in `window`; `more` are further fields.

        :param published: the basis of the reject ratio, if its transactions are more than the documents read.
        """
        request = self.request
        return Counting(
            request.fields,
            window,
            self.local_days,
            request.max_reject_ratio,
            request.threads,
            progress,
            record,
            request.max_quarantine_bytes,
            basis=0 if published is None else published.total_count,
            reads_some_days=reads_some_days,
            collection=request.collection,
            **more,
        )

    def _ever(self) -> Window:
        """All instants of the calendar."""
        named = self.local_days.named_range_ms(self.calendar)
        return Window(*named, *named)

    def _oldest_day(self, collection: LiveCollection) -> int | None:
        """The day of the oldest counted document of `collection`; None if there is none."""
        oldest_ms = in_thread(partial(collection.oldest_counted_ms, self.request.fields, self._ever()))
        return None if oldest_ms is None else self.local_days.day_of(oldest_ms)

    def _change(
        self, before: Publication | None, counted: Counted, days: Sequence[Days], protection: Protection
    ) -> Change:
        """The change that makes `days` of the publication `before` equal to what was counted."""
        daily = all_sums(counted.daily)
        return replace_days(self.stores.summaries, before, self.calendar, self.local_days, daily, days, protection)

    def _publish_change(
        self,
        recorder: RunRecorder,
        before: Publication | None,
        change: Change,
        warnings: tuple[str, ...],
        complete_until_ms: int | None,
        complete_days: tuple[DayRange, ...],
    ) -> Publication:
        """Publish the change, if there is any; returns the current publication."""
        summaries = self.stores.summaries
        recorder.update(
            phase="publishing",
            warnings=(*self._adoption_warnings(recorder.run, before), *warnings),
            days_changed=change.days_changed,
            days_kept=len(change.protected),
            complete_days=complete_days,
        )
        if before is not None and not change and before.fingerprint == recorder.run.fingerprint:
            self._require_current(before, recorder.run)
            recorder.unchanged(before.generation)
            self.watcher.phase("published")
            return before
        publication = self._publication(change, before, recorder.run, complete_until_ms, complete_days)
        if before is None or before.rows == 0:
            publish = partial(summaries.publish, publication, change.rows)
        else:
            publish = partial(summaries.amend, publication, change.rows, change.ranges)
        self._publish_unless_interrupted(recorder, publication, publish)
        return publication

    def _publication(
        self,
        totals: StoreTotals,
        before: Publication | None,
        run: Run,
        complete_until_ms: int | None,
        complete_days: tuple[DayRange, ...],
    ) -> Publication:
        publication = totals.publication(before, run.id, run.fingerprint, self.clock())
        return replace(publication, complete_until_ms=complete_until_ms, complete_days=complete_days)

    def _publish_unless_interrupted(
        self, recorder: RunRecorder, publication: Publication, publish: Callable[[], None]
    ) -> None:
        """Publish; a signal after the moment of publication is ignored.

        :param publish: publishes `publication`.
        :raises Interrupted: nothing was published.
        """
        self.watcher.phase("publishing")
        try:
            publish()
            self.watcher.phase("published")
        except Interrupted:
            # The signal may have arrived after the publication: check the store.
            if self.stores.summaries.published() != publication:
                raise
        recorder.published(publication.generation)

    def _adoption_warnings(self, run: Run, before: Publication | None) -> tuple[str, ...]:
        return adoption_warnings(run.fingerprint, before, self.stores.summaries, self.local_days)

    def _require_current(self, before: Publication, run: Run) -> None:
        if self.stores.summaries.published() != before:
            raise PublicationLost(
                f"another run published while run {run.id} was comparing",
                "Nothing was published. Run the same command again; it compares with the new publication.",
            )


class SourcesJob(Job[SourcesRequestT]):
    """The base class of jobs that read several sources, perhaps only some days."""

    def _draft_of_days(self, fingerprint: Fingerprint, days: RequestedDays) -> Run:
        request = self.request
        draft = self._draft(request.sources, fingerprint, first_day_key=days.first_key, last_day_key=days.last_key)
        as_of = as_of_ms(request.sources, request.collection, draft.started_at_ms, request.remote)
        return replace(draft, as_of_ms=as_of)

    def _counting_of_days(
        self,
        days: RequestedDays,
        progress: Callable[[Progress], None],
        record: Callable[..., None],
        *,
        published: Publication | None,
        **more: Any,
    ) -> Counting:
        """The `Counting` of documents of `days`; see `_counting`."""
        # For some days a server returns only their documents, but all undated ones, whose share may be large.
        reads_some = self.request.reads_some_days and any(map(is_live, self.request.sources))
        return self._counting(
            days.window,
            progress,
            record,
            published=published if reads_some else None,
            reads_some_days=reads_some,
            cluster=self.request.cluster,
            **more,
        )

    def _open(self, sources: Sequence[str], days: RequestedDays) -> Iterator[Callable[[], Source]]:
        """A call for each of `sources` that opens it; live collections are restricted to `days`."""
        request = self.request
        window = days.window if request.reads_some_days else None
        for one in in_thread(partial(expanded, sources, request.collection, request.remote)):
            yield partial(open_source, one, request.fields, request.collection, request.live, window, request.remote)

    def _reading(self, days: RequestedDays, counted: Counted, run: Run, *, says_first: bool = False) -> Reading:
        """The `Reading` of `run`."""
        return Reading(
            self.request.sources,
            run.started_at_ms if run.as_of_ms is None else run.as_of_ms,
            days.first,
            None if days.last_key is None else days.last,
            counted.days,
            says_first=says_first,
        )

    def _complete_until_ms(self, reading: Reading, before: Publication | None) -> int | None:
        """The instant before which the publication has all transactions, after publishing `reading`; None: unknown."""
        known_ms = None if before is None else complete_until_ms(before, self.stores.runs.recent(RUNS_READ))
        return complete_until_after(known_ms, reading, self.calendar, self.local_days)
