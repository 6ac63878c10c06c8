"""The main job: sources -> decode -> aggregate -> check -> publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar, Mode
from core.errors import ConservationBroken, Interrupted, ServiceError, TooManyRejects, UsageError
from core.stores import Stores, current_holder
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Meaning, Publication
from jobs.aggregate.summaries import merge, mixed_type_merchants, require_conservation, summarise
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.keeper import RunKeeper
from jobs.quarantine import Quarantine
from jobs.reading import SourceReader, Totals, in_background
from jobs.sources.dump_folder import collection_file
from jobs.sources.feed import CHUNK_BYTES, Source
from jobs.sources.recognise import open_source
from jobs.sources.streams import STANDARD_INPUT

_NAMED_MERCHANTS: Final = 5
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a rebuild is asked to do.

    :param sources: files, mongodump folders, or ``-`` for standard input; they add up.
    :param truncate: the store shall hold exactly what the sources hold.
    :param first_key: replace only the days from this daily key on; `last_key` up to that one, inclusive.
    :param fields: what is read of a document.
    :param collection: the collection of a dump, or None for the default names.
    :param max_reject_ratio: the share of documents read that may be rejected, 0 to 1.
    :param threads: decoding threads.
    :param command: what the ledger calls the run.
    """

    sources: tuple[str, ...]
    truncate: bool = False
    first_key: str | None = None
    last_key: str | None = None
    fields: Fields = field(default_factory=Fields)
    collection: str | None = None
    max_reject_ratio: float = 0.0
    threads: int = 1
    chunk_bytes: int = CHUNK_BYTES
    command: str = "rebuild"

    @property
    def is_partial(self) -> bool:
        """Whether only some days are replaced."""
        return self.first_key is not None or self.last_key is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rebuild did."""

    run: Run
    publication: Publication
    forms: tuple[str, ...]


class Watcher:
    """What a caller hears while a rebuild runs; this one is silent."""

    def reading(self, source: Source, totals: Totals) -> None:
        """A source is being read; called some times a second. What it raises stops the run."""

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
        :raises ServiceError: see `core.errors`; nothing was published.
        """
        window, first_day, last_day = self._window(request)
        _require_distinct(request)
        meaning = self._meaning(request.fields)
        self._require_allowed(request, meaning)
        now = self._clock()
        draft = Run(
            id=0,
            command=request.command,
            status=RunStatus.RUNNING,
            holder=current_holder(),
            started_at_ms=now,
            heartbeat_at_ms=now,
            sources=request.sources,
            meaning=meaning,
            first_day_key=request.first_key and self._calendar.period_of(Mode.DAILY, first_day).key,
            last_day_key=request.last_key and self._calendar.period_of(Mode.DAILY, last_day).key,
        )
        with RunKeeper(self._stores.runs, self._stores.runs.begin(draft), self._clock) as keeper:
            # Again, now that no other run can publish unless it takes over. If one does, the generation that follows
            # what is published now is taken, and this run fails at the fence instead of publishing over it.
            before = self._require_allowed(request, meaning)
            totals, forms = self._read(request, window, keeper, watcher)
            watcher.phase("checking")
            daily, warnings = self._check(request, totals, keeper)
            if request.is_partial:
                daily = self._with_other_days(daily, first_day, last_day)
            rows = summarise(daily, self._calendar, self._local_days)
            total_amount, total_count = require_conservation(rows, daily)
            keeper.update(phase="publishing", warnings=warnings)
            watcher.phase("publishing")
            publication = self._publication(keeper.run, before, rows, total_amount, total_count)
            try:
                self._stores.summaries.publish(publication, rows)
                watcher.phase("published")
            except Interrupted:
                # The signal may have come when the publication was made already; the store knows.
                if self._stores.summaries.published() != publication:
                    raise
            keeper.published(publication.generation)
        return Outcome(keeper.run, publication, forms)

    def _window(self, request: Request) -> tuple[Window, int, int]:
        """The instants wanted, and the first and last day of them."""
        calendar = self._calendar
        if request.truncate and request.is_partial:
            raise UsageError(
                "--truncate and --from/--to contradict one another", "Replace everything, or some days: choose one."
            )
        first_day, last_day = calendar.first_day, calendar.last_day
        try:
            if request.first_key is not None:
                first_day = calendar.parse(Mode.DAILY, request.first_key).first_day
            if request.last_key is not None:
                last_day = calendar.parse(Mode.DAILY, request.last_key).last_day
        except ValueError as error:
            raise UsageError(str(error), "--from and --to are days of the calendar in force.") from None
        if first_day > last_day:
            raise UsageError(f"--from {request.first_key} is after --to {request.last_key}", "Exchange them.")
        named = self._local_days.named_range_ms(calendar)
        wanted = self._local_days.period_bounds_ms(first_day, last_day)
        for instant in wanted if request.is_partial else ():
            self._require_clean_cut(instant, first_day, last_day, wanted)
        return Window(*named, *wanted), first_day, last_day

    def _require_clean_cut(self, instant: int, first_day: int, last_day: int, wanted: tuple[int, int]) -> None:
        """Raise where the clocks went back across midnight at `instant`: days are then no span of time there."""
        table = self._local_days.table(instant - _DAY_MS, instant + _DAY_MS)
        is_wanted = (table.starts_ms >= wanted[0]) & (table.starts_ms < wanted[1])
        if (is_wanted != ((table.days >= first_day) & (table.days <= last_day))).any():
            raise UsageError(
                "the clocks went back across midnight at an end of these days, which cannot be replaced by themselves",
                "Begin a day earlier or end a day later.",
            )

    def _meaning(self, fields: Fields) -> Meaning:
        return Meaning(
            self._local_days.zone_name,
            self._calendar.name,
            fields.merchant,
            fields.amount,
            fields.time,
            tuple(sorted(fields.where)),
        )

    def _require_allowed(self, request: Request, meaning: Meaning) -> Publication | None:
        """What is published, which `request` may replace."""
        published = self._stores.summaries.published()
        if published is None or published.rows == 0 or request.truncate:
            return published
        if not request.is_partial:
            raise UsageError(
                f"the store already holds {published.rows} summaries of {published.total_count} transactions",
                "Choose: --truncate to replace everything, or --from DAY --to DAY to replace only those days.",
            )
        meaning.require_same(published.meaning)
        return published

    def _read(
        self, request: Request, window: Window, keeper: RunKeeper, watcher: Watcher
    ) -> tuple[Totals, tuple[str, ...]]:
        started = datetime.fromtimestamp(keeper.run.started_at_ms / 1000, UTC)
        # Stores that share the folder number their runs alike; the process tells them apart.
        name = f"run-{keeper.run.id:06d}-{started:%Y%m%dT%H%M%SZ}-{keeper.run.holder.process_id}.jsonl"
        quarantine = Quarantine(self._quarantine_dir / name)
        totals = Totals()
        forms = []
        try:
            for argument in request.sources:
                source = in_background(
                    partial(open_source, argument, request.fields, request.collection, request.chunk_bytes)
                )
                forms.append(source.form)
                reader = SourceReader(
                    source, request.fields, window, self._local_days, quarantine.write, request.threads, totals
                )
                try:
                    reader.read(lambda source=source: watcher.reading(source, totals))  # type: ignore[misc]
                finally:
                    if not reader.is_busy:
                        source.close()
                totals.fold()
        finally:
            quarantine.close()
            keeper.update(
                counts=totals.counts,
                rejects_by_reason=dict(quarantine.by_reason),
                quarantine=None if quarantine.path is None else str(quarantine.path),
            )
        return totals, tuple(forms)

    def _check(self, request: Request, totals: Totals, keeper: RunKeeper) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """The daily sums of what was read, and warnings, after the checks that need no more than that."""
        keeper.update(phase="checking")
        counts = totals.counts
        counts.require_conservation()
        if counts.rejected > request.max_reject_ratio * counts.read:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(keeper.run.rejects_by_reason.items()))
            raise TooManyRejects(
                f"{counts.rejected} of {counts.read} documents were rejected ({reasons}), and "
                f"--max-reject-ratio {request.max_reject_ratio:g} allows {int(request.max_reject_ratio * counts.read)}",
                f"Nothing was published. The rejects are in {keeper.run.quarantine}; mend them at their source, or "
                "allow them with a higher --max-reject-ratio.",
            )
        daily = merge(totals.partials)
        added_up = int(daily["count"].sum())
        if added_up != counts.counted:
            raise ConservationBroken(
                f"{counts.counted} documents were counted, but the daily summaries hold {added_up}",
                "Nothing was published. This is a defect of the program: please report it with the command used.",
            )
        return daily, _warnings(totals)

    def _with_other_days(self, daily: pl.DataFrame, first_day: int, last_day: int) -> pl.DataFrame:
        """`daily` with the days of the store that are not replaced."""
        kept = self._stores.summaries.daily()
        keys = kept["key"].unique().to_list()
        days = pl.DataFrame(
            {"key": keys, "day": [self._calendar.parse(Mode.DAILY, key).first_day for key in keys]},
            schema={"key": pl.String, "day": pl.Int64},
        )
        others = (
            kept.join(days, on="key", how="inner", validate="m:1")
            .filter(~pl.col("day").is_between(first_day, last_day))
            .select("merchant_id", "day", pl.col("amount").cast(pl.Int128), "count")
        )
        return pl.concat([daily, others])

    def _publication(
        self, run: Run, before: Publication | None, rows: pl.DataFrame, total_amount: int, total_count: int
    ) -> Publication:
        daily_keys = rows.filter(pl.col("mode") == str(Mode.DAILY))["key"]
        return Publication(
            generation=1 if before is None else before.generation + 1,
            run_id=run.id,
            published_at_ms=self._clock(),
            meaning=run.meaning,
            rows=len(rows),
            first_day_key=daily_keys.min(),  # type: ignore[arg-type]
            last_day_key=daily_keys.max(),  # type: ignore[arg-type]
            total_amount=total_amount,
            total_count=total_count,
        )


def _require_distinct(request: Request) -> None:
    """Raise when two sources are one file, whatever they are called."""
    seen: set[object] = set()
    for argument in request.sources:
        try:
            file: object = _file_of(argument, request.collection)
        except (ServiceError, OSError):
            continue  # told about when it is opened
        if file in seen:
            raise UsageError(f"{argument} is given twice", "Its transactions would be counted twice; name it once.")
        seen.add(file)


def _file_of(argument: str, collection: str | None) -> object:
    if argument == STANDARD_INPUT:
        return argument
    path = Path(argument)
    status = (collection_file(path, collection) if path.is_dir() else path).stat()
    return status.st_dev, status.st_ino


def _warnings(totals: Totals) -> tuple[str, ...]:
    mixed = mixed_type_merchants(totals.kinds)
    if not mixed:
        return ()
    named = ", ".join(mixed[:_NAMED_MERCHANTS]) + (", …" if len(mixed) > _NAMED_MERCHANTS else "")
    return (f"{len(mixed)} merchants occur in more than one type (number, text, ObjectId) and count as one: {named}",)
