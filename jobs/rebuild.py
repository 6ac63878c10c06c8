"""The main job: sources -> decode -> aggregate -> check -> publish."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypedDict

from core.calendar import calendar_named
from core.calendar.days import LocalDays
from core.calendar.periods import Calendar, Mode
from core.errors import ServiceError, UsageError
from core.stores import Stores, current_holder
from core.stores.complete_days import CompleteDays
from core.stores.freshness import RUNS_READ, complete_until_ms
from core.stores.runs import Run, RunStatus
from core.stores.summaries import DayRange, Fingerprint, Publication
from jobs.decode.plan import Fields
from jobs.partitions.checkpoint import Checkpoint, place_at
from jobs.partitions.counting import Counted, Counting, Progress, fingerprint_of
from jobs.partitions.daily_sums import all_sums
from jobs.partitions.local_runner import in_background
from jobs.publish.derived import Derived
from jobs.publish.publishing import publish_unless_interrupted
from jobs.publish.replacing import day_counts, days_of, replace_days
from jobs.publish.shrinking import DayCounts, in_total, keep_half, unprotected
from jobs.runs.fingerprint import adoption_warnings, require_same_fingerprint
from jobs.runs.ledger_row import RunKeeper
from jobs.runs.quarantine import QUARANTINE_BYTES, quarantine_path
from jobs.runs.requested_days import RequestedDays
from jobs.runs.source_age import Reading, as_of_ms, complete_days_after, complete_until_after, file_status
from jobs.sources.chunks import CHUNK_BYTES
from jobs.sources.live.options import LiveOptions
from jobs.sources.recognise import expanded, open_source
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.url import is_remote
from jobs.sources.streams import STANDARD_INPUT
from jobs.sources.url import is_live, redacted

_DECIDES_DAYS: Final = frozenset({"time_zone", "zone_rules", "calendar", "time_field"})
"""The parts of a fingerprint that decide of which day a transaction is."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a rebuild is asked to do.

    :param sources: files, mongodump folders, URLs of these or of live collections, or ``-`` for standard input; they
        add up. A remote URL may have wildcards.
    :param truncate: the store shall hold exactly what the sources hold.
    :param first_key: replace only the days from this daily key on; `last_key` up to that one, inclusive.
    :param fields: what is read of a document.
    :param collection: the collection of a dump, or None for the default names.
    :param max_reject_ratio: the share of documents read that may be rejected, 0 to 1.
    :param allow_empty: whether to go on although no document counts.
    :param allow_shrink: whether to go on although more than half of the published transactions that are replaced would
        be removed.
    :param max_quarantine_bytes: how large the file of rejects may get.
    :param threads: decoding threads.
    :param live: how live collections are read.
    :param remote: how objects at ``s3://``, ``gs://`` and ``https://`` are read.
    :param command: what the ledger calls the run.
    :param checkpoint: the folder or URL for the results of finished partitions, so that a run that was killed can go
        on; None: nothing is kept.
    :param cluster: the Dask cluster whose workers count, ``tcp://HOST:PORT`` or ``local:N``; None: threads of this
        process.
    :param keep_checkpoint: whether they stay there when the run has published.
    :param currency: the unit of amounts; empty: that of the store.
    """

    sources: tuple[str, ...]
    truncate: bool = False
    first_key: str | None = None
    last_key: str | None = None
    fields: Fields = field(default_factory=Fields)
    collection: str | None = None
    max_reject_ratio: float = 0.0
    allow_empty: bool = False
    allow_shrink: bool = False
    threads: int = 1
    chunk_bytes: int = CHUNK_BYTES
    live: LiveOptions = field(default_factory=LiveOptions)
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    max_quarantine_bytes: int = QUARANTINE_BYTES
    command: str = "rebuild"
    checkpoint: str | None = None
    cluster: str | None = None
    keep_checkpoint: bool = False
    currency: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether only some days are replaced."""
        return self.first_key is not None or self.last_key is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rebuild did.

    :param partitions_reused: how many partitions were not read, as the checkpoint had their results.
    """

    run: Run
    publication: Publication
    forms: tuple[str, ...]
    partitions_reused: int = 0


class _Known(TypedDict):
    """What a publication says of how far its sources were read."""

    complete_until_ms: int | None
    complete_days: tuple[DayRange, ...]


class Watcher:
    """What a caller hears while a rebuild runs; this one is silent."""

    def reading(self, progress: Progress) -> None:
        """Sources are being read; called some times a second. What it raises stops the run."""

    def publishing(self, written: int, total: int) -> None:
        """So many of all summaries have been written; called now and then while everything is replaced."""

    def phase(self, name: str) -> None:
        """The run goes over to ``checking``, ``publishing`` or ``published``. What it raises before that stops it."""


class Rebuild:
    """Rebuilds summaries from sources.

    :param stores: where summaries and the ledger are.
    :param quarantine_dir: folder for the files of rejects.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(
        self,
        stores: Stores,
        calendar: Calendar,
        local_days: LocalDays,
        quarantine_dir: Path,
        clock: Callable[[], int],
    ) -> None:
        self._stores = stores
        self._calendar = calendar
        self._local_days = local_days
        self._quarantine_dir = quarantine_dir
        self._clock = clock

    def run(self, request: Request, watcher: Watcher) -> Outcome:
        """Do what `request` says; publishes everything or nothing.

        :raises UsageError: the store is not empty and the request says neither how much to replace; a key is wrong; a
            source is named twice.
        :raises NothingCounted: no document counts, and the request does not allow that.
        :raises WouldShrink: more than half of what is replaced would be removed, and the request does not allow that.
        :raises ServiceError: see `core.errors`; nothing was published.
        """
        if request.truncate and request.is_partial:
            raise UsageError(
                "--truncate and --from/--to contradict one another", "Replace everything, or some days: choose one."
            )
        _require_cluster(request)
        days = RequestedDays.of(request.first_key, request.last_key, self._calendar, self._local_days)
        _require_distinct(request)
        published = self._stores.summaries.published()
        fingerprint = fingerprint_of(request.fields, self._calendar, self._local_days, request.currency, published)
        self._require_allowed(request, fingerprint)
        checkpoint = None if request.checkpoint is None else Checkpoint(place_at(request.checkpoint), str(fingerprint))
        now = self._clock()
        draft = Run(
            id=0,
            command=request.command,
            status=RunStatus.RUNNING,
            holder=current_holder(),
            started_at_ms=now,
            heartbeat_at_ms=now,
            sources=tuple(map(redacted, request.sources)),
            as_of_ms=as_of_ms(request.sources, request.collection, now, request.remote),
            fingerprint=fingerprint,
            first_day_key=days.first_key,
            last_day_key=days.last_key,
        )
        resumable = nullcontext() if checkpoint is None else checkpoint.named_when_interrupted()
        with resumable, RunKeeper(self._stores.runs, draft, self._clock) as keeper:
            # Again, now that no other run can publish unless it takes over. If one does, the generation that follows
            # what is published now is taken, and this run fails at the fence instead of publishing over it.
            before = self._require_allowed(request, fingerprint)
            with self._count(request, days, before, keeper, watcher, checkpoint) as counted:
                publication = self._publish(request, days, before, counted, keeper, watcher)
            if checkpoint is not None and not request.keep_checkpoint:
                _remove(checkpoint, keeper)
        return Outcome(keeper.run, publication, counted.forms, 0 if checkpoint is None else checkpoint.reused)

    def _require_allowed(self, request: Request, fingerprint: Fingerprint) -> Publication | None:
        """What is published, which `request` may replace."""
        published = self._stores.summaries.published()
        if published is None or published.rows == 0 or request.truncate:
            return published
        if not request.is_partial:
            raise UsageError(
                f"the store already holds {published.rows} summaries of {published.total_count} transactions",
                "Choose: --truncate to replace everything, or --from DAY --to DAY to replace only those days.",
            )
        require_same_fingerprint(fingerprint, published, self._stores.summaries, self._local_days)
        return published

    def _count(
        self,
        request: Request,
        days: RequestedDays,
        before: Publication | None,
        keeper: RunKeeper,
        watcher: Watcher,
        checkpoint: Checkpoint | None,
    ) -> Counted:
        # Of some days a server gives only these, and all that have no day: they must not be too many of the few.
        searches = request.is_partial and request.fields.times_are_dates
        reads_some = searches and any(map(is_live, request.sources))
        counting = Counting(
            request.fields,
            days.window,
            self._local_days,
            request.max_reject_ratio,
            request.threads,
            keeper.while_current(watcher.reading),
            keeper.update,
            request.max_quarantine_bytes,
            basis=before.total_count if before is not None and reads_some else 0,
            reads_some_days=reads_some,
            collection=request.collection,
            chunk_bytes=request.chunk_bytes,
            checkpoint=checkpoint,
            cluster=request.cluster,
        )
        window = days.window if searches else None
        sources = (
            partial(open_source, one, request.fields, request.collection, request.live, window, request.remote)
            for one in in_background(partial(expanded, request.sources, request.remote))
        )
        return counting.count(sources, quarantine_path(self._quarantine_dir, keeper.run))

    def _publish(
        self,
        request: Request,
        days: RequestedDays,
        before: Publication | None,
        counted: Counted,
        keeper: RunKeeper,
        watcher: Watcher,
    ) -> Publication:
        """Check what was counted, and publish it."""
        watcher.phase("checking")
        if not request.allow_empty:
            counted.require_some(
                "Nothing was published. Check the source, --collection, --where, --from and --to; if there really "
                "were no transactions, say so with --allow-empty."
            )
        known = self._known(request, days, before, counted, keeper)
        if request.is_partial:
            replaced = (days.first, days.last)
            publication, publish = self._some_days(request, keeper, before, counted, replaced, known)
        else:
            publication, publish = self._everything(request, keeper, before, counted, known, watcher.publishing)
        amended = before if request.is_partial else None
        adopted = adoption_warnings(publication.fingerprint, amended, self._stores.summaries, self._local_days)
        keeper.update(
            phase="publishing", warnings=(*adopted, *counted.warnings), complete_days=publication.complete_days
        )
        publish_unless_interrupted(self._stores.summaries, publication, publish, watcher.phase)
        keeper.published(publication.generation)
        return publication

    def _known(
        self, request: Request, days: RequestedDays, before: Publication | None, counted: Counted, keeper: RunKeeper
    ) -> _Known:
        """How far the sources were read of what this publishes."""
        known_ms = None if before is None else complete_until_ms(before, self._stores.runs.recent(RUNS_READ))
        run = keeper.run
        reading = Reading(
            request.sources,
            run.started_at_ms if run.as_of_ms is None else run.as_of_ms,
            days.first,
            None if days.last_key is None else days.last,
            counted.days,
            says_first=days.first_key is not None,
        )
        complete_days = CompleteDays()
        if request.is_partial:
            # What is replaced may lack what was there.
            complete_days = CompleteDays.published(before, self._stores.runs).without([(days.first, days.last)])
        complete_days = complete_days_after(complete_days, reading, self._calendar, self._local_days)
        return {
            "complete_until_ms": complete_until_after(known_ms, reading, self._calendar, self._local_days),
            "complete_days": complete_days.keys(self._calendar),
        }

    def _some_days(
        self,
        request: Request,
        keeper: RunKeeper,
        before: Publication | None,
        counted: Counted,
        days: tuple[int, int],
        known: _Known,
    ) -> tuple[Publication, Callable[[], None]]:
        """The publication that replaces `days` (first and last, inclusive), and what makes it."""
        summaries = self._stores.summaries
        protection = unprotected if request.allow_shrink else keep_half
        daily = all_sums(counted.daily)
        change = replace_days(summaries, before, self._calendar, self._local_days, daily, [days], protection)
        keeper.update(days_changed=change.days_changed)
        publication = replace(change.publication(before, keeper.run.id, keeper.run.fingerprint, self._clock()), **known)
        return publication, partial(summaries.amend, publication, change.rows, change.ranges)

    def _everything(
        self,
        request: Request,
        keeper: RunKeeper,
        before: Publication | None,
        counted: Counted,
        known: _Known,
        progress: Callable[[int, int], None],
    ) -> tuple[Publication, Callable[[], None]]:
        """The publication that replaces everything, and what makes it."""
        derived = Derived.of(counted.daily, counted.days, self._calendar, self._local_days)
        if before is not None and not request.allow_shrink:
            published, found = self._published_counts(before), day_counts(counted.days)
            if _DECIDES_DAYS.intersection(before.fingerprint.differing(keeper.run.fingerprint)):
                published, found = in_total(published), in_total(found)
            keep_half(published, found)
        publication = Publication(
            generation=1 if before is None else before.generation + 1,
            run_id=keeper.run.id,
            published_at_ms=self._clock(),
            fingerprint=keeper.run.fingerprint,
            rows=derived.rows,
            first_day_key=derived.first_day_key,
            last_day_key=derived.last_day_key,
            total_amount=derived.total_amount,
            total_count=derived.total_count,
            **known,
        )
        return publication, partial(
            self._stores.summaries.publish,
            publication,
            derived.frames(),
            lambda written: progress(written, derived.rows),
        )

    def _published_counts(self, before: Publication) -> DayCounts:
        """How many transactions of each day are published, in whatever calendar."""
        counts = dict(self._stores.summaries.series(Mode.DAILY, "count", None))
        days = days_of(counts, calendar_named(before.fingerprint.calendar))
        return {day: counts[key] for key, day in days.items()}


def _remove(checkpoint: Checkpoint, keeper: RunKeeper) -> None:
    """Remove what was kept, as it is published; that it cannot be removed is worth no more than a warning."""
    try:
        checkpoint.remove()
    except ServiceError as error:
        keeper.update(warnings=(*keeper.run.warnings, f"{error.sentence}, so that it stays"))


def _require_cluster(request: Request) -> None:
    if request.cluster is None:
        return
    from jobs.partitions.cluster_runner import require_cluster

    require_cluster(request.cluster)


def _require_distinct(request: Request) -> None:
    """Raise when two sources are one file, whatever they are called."""
    seen: set[object] = set()
    for argument in request.sources:
        try:
            file: object = _file_of(argument, request.collection)
        except (ServiceError, OSError):
            continue  # told about when it is opened
        if file in seen:
            raise UsageError(
                f"{redacted(argument)} is given twice", "Its transactions would be counted twice; name it once."
            )
        seen.add(file)


def _file_of(argument: str, collection: str | None) -> object:
    if argument == STANDARD_INPUT or is_live(argument):
        return redacted(argument)
    if is_remote(argument):
        return argument
    status = file_status(argument, collection)
    return status.st_dev, status.st_ino
