"""Counting: sources are read to their end, rejects set aside, and what was counted is checked and added up by day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar
from core.calendar.zones import rules_digest_here, rules_source
from core.errors import ConservationBroken, NothingCounted, TooManyRejects, UsageError, WrongField
from core.stores.runs import Counts
from core.stores.summaries import DEFAULT_CURRENCY, Fingerprint, Publication
from jobs.aggregate.summaries import mixed_type_merchants
from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.partitions.checkpoint import Checkpoint
from jobs.partitions.count_partition import CountingState, Plan
from jobs.partitions.daily_sums import DailySums, LocalSums, day_totals
from jobs.partitions.local_runner import in_background, run_locally
from jobs.partitions.merging import Merged, Merger, Proven
from jobs.runs.quarantine import QUARANTINE_BYTES, Quarantine, where_rejects_are
from jobs.runs.rejects import Limits
from jobs.sources.chunks import CHUNK_BYTES
from jobs.sources.partition import Reading, Source

if TYPE_CHECKING:
    from jobs.partitions.cluster_runner import Cluster

_NAMED_MERCHANTS: Final = 5
_A_FEW: Final = 10
"""So many rejects are a few, however little was read."""
_LEADING_REJECTS: Final = 100_000
"""After so many rejects for one reason at the beginning, reading stops: most likely a field has another name."""
_OF_FORMATS: Final = frozenset(
    {"amount: fraction", "amount: text", "time: text", "time: unreadable", "time: no offset"}
)
"""Rejects of values that options may let count."""
_MOST_REJECTED: Final = 0.5
"""A run that allows this share of rejects does not stop early: its user expects most documents to be rejected."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was read of some sources; as a context manager it ends what holds the daily sums.

    :param daily: the sums by merchant and day; on a cluster they stay with its workers.
    :param days: their totals by day, as `jobs.partitions.daily_sums.day_totals` gives them.
    :param forms: the form of each source, such as ``mongodump archive, gzip``.
    :param quarantine: the file that holds the first `rejects_kept` of the rejects, or None.
    :param warnings: what is worth telling of documents that were counted all the same.
    :param wrong_field: what most likely is to blame where nothing was counted, or None.
    """

    daily: DailySums
    days: pl.DataFrame
    counts: Counts
    rejects_by_reason: dict[str, int]
    quarantine: Path | None
    rejects_kept: int
    forms: tuple[str, ...]
    warnings: tuple[str, ...]
    wrong_field: WrongField | None = None
    resources: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resources.__exit__(kind, error, trace)

    def collected(self) -> Self:
        """The same with its daily sums in this process, all at once."""
        with self:
            return replace(self, daily=LocalSums(list(self.daily.parts())), resources=ExitStack())

    @property
    def oldest_day(self) -> int | None:
        """The first day with transactions, or None."""
        return self.days["day"].min()  # type: ignore[return-value]

    def require_some(self, hint: str) -> None:
        """Raise unless a document was counted.

        :raises NothingCounted: says what became of those that were read.
        """
        counts = self.counts
        if counts.counted:
            return
        if not counts.read:
            raise NothingCounted("nothing was counted: there are no documents", hint)
        others = {"filtered out": counts.filtered, "of other days": counts.out_of_range, "rejected": counts.rejected}
        became = ", ".join(f"{count} {what}" for what, count in others.items() if count)
        raise NothingCounted(f"nothing was counted: of {counts.read} documents {became}", hint, self.wrong_field)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading has come.

    :param name: the first source that has not been read to its end.
    :param done_bytes: how many stored bytes have been read of all sources.
    :param documents: how many documents have been read.
    :param total_bytes: how many stored bytes there are in all, or None where that is not known.
    :param cluster: how the cluster does that counts, or empty.
    """

    name: str
    done_bytes: int
    documents: int
    total_bytes: int | None
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """What sources gave.

    :param mixed_types: the merchants that were met in several types, such as 42 and "42"; ascending.
    """

    daily: DailySums
    mixed_types: list[str]
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counting:
    """How documents are counted, whatever they come from.

    :param fields: what is read of a document.
    :param window: the instants that are counted.
    :param max_reject_ratio: the share of documents that may be rejected, 0 to 1: of those read, or of `basis` where
        that is more, up to ten and a tenth of those read.
    :param threads: decoding threads.
    :param progress: called some times a second while a source is read; what it raises ends the reading.
    :param record: takes what the ledger keeps of it, as fields of `core.stores.runs.Run`, also when the reading fails.
    :param max_quarantine_bytes: how large the file of rejects may get.
    :param basis: how many transactions are published already, where only the latest of them are read; else 0.
    :param reads_some_days: whether a live collection gives only some days. It then gives the documents that have no day
        at any time, perhaps all of them first: many rejects at the beginning do not stop such a run.
    :param collection: the collection wanted of a dump, or None for the default names.
    :param chunk_bytes: how much of a file is read at a time.
    :param checkpoint: where the results of finished partitions are kept, or None.
    :param cluster: the Dask cluster whose workers count, or None for the threads of this process.
    """

    fields: Fields
    window: Window
    local_days: LocalDays
    max_reject_ratio: float
    threads: int
    progress: Callable[[Progress], None]
    record: Callable[..., None]
    max_quarantine_bytes: int = QUARANTINE_BYTES
    basis: int = 0
    reads_some_days: bool = False
    collection: str | None = None
    chunk_bytes: int = CHUNK_BYTES
    checkpoint: Checkpoint | None = None
    cluster: str | None = None

    def count(
        self, sources: Iterable[Callable[[], Source]], quarantine_path: Path, earlier_quarantine: Path | None = None
    ) -> Counted:
        """Read `sources`, each listed by a call; and check what was counted.

        :param quarantine_path: the file for rejects, made with the first of them.
        :param earlier_quarantine: another such file, which is kept in its place when it holds the same rejects.
        :raises SourceError: a source cannot be read, or is damaged.
        :raises TooManyRejects: more than `max_reject_ratio` allows; or the first 100,000 documents of the first source
            were all rejected for one reason, after which no more are read unless that ratio is 0.5 or more or
            `reads_some_days`.
        :raises ConservationBroken: the counts do not add up.
        """
        quarantine = Quarantine(quarantine_path, self.max_quarantine_bytes)
        merged, warnings = Merged(), list[str]()
        with ExitStack() as stack:
            try:
                read = self._read(sources, merged, quarantine, warnings, stack)
            finally:
                quarantine.close()
                if earlier_quarantine is not None:
                    quarantine.keep_earlier(earlier_quarantine)
                self.record(
                    counts=merged.counts,
                    rejects_by_reason=dict(merged.rejects_by_reason),
                    rejects_kept=quarantine.stored,
                    quarantine=None if quarantine.path is None else str(quarantine.path),
                )
            self.record(phase="checking")
            merged.counts.require_conservation()
            self._require_few_rejects(merged, quarantine)
            days = day_totals(read.daily)
            _require_all_added_up(days, merged.counts)
            return Counted(
                read.daily,
                days,
                merged.counts,
                dict(merged.rejects_by_reason),
                quarantine.path,
                quarantine.stored,
                read.forms,
                (*warnings, *_warnings(read.mixed_types)),
                self._wrong_field(merged.counts, merged.rejects_by_reason, quarantine.first_names),
                stack.pop_all(),
            )

    def oldest_day(self, sources: Iterable[Callable[[], Source]]) -> int | None:
        """The day of the oldest document of `sources` that counts, in the window or not; None when none does.

        It reads them to their end. Rejects are not kept.

        :raises SourceError: a source cannot be read, or is damaged.
        """
        window, merged = self.window, Merged()
        ever = Window(window.named_first_ms, window.named_end_ms, window.named_first_ms, window.named_end_ms)
        with ExitStack() as stack:
            read = replace(self, window=ever)._read(sources, merged, None, [], stack)
            return day_totals(read.daily)["day"].min()  # type: ignore[return-value]

    def _read(
        self,
        sources: Iterable[Callable[[], Source]],
        merged: Merged,
        quarantine: Quarantine | None,
        warnings: list[str],
        stack: ExitStack,
    ) -> _Read:
        """Read `sources`.

        :param stack: ends the cluster that holds the sums.
        """
        listed: list[Source] = []
        try:
            for list_source in sources:
                listed.append(in_background(list_source))
            _require_distinct(listed)
            cluster = None
            if self.cluster is not None:
                # Imported when it is asked for.
                from jobs.partitions.cluster_runner import cluster_at

                cluster = stack.enter_context(cluster_at(self.cluster))
            daily, mixed_types = self._count_all(listed, merged, quarantine, warnings, cluster)
        finally:
            for source in listed:
                source.close()
        return _Read(daily, mixed_types, tuple(source.form for source in listed))

    def _count_all(
        self,
        sources: list[Source],
        merged: Merged,
        quarantine: Quarantine | None,
        warnings: list[str],
        cluster: Cluster | None,
    ) -> tuple[DailySums, list[str]]:
        state = CountingState()
        documents = [0] * len(sources)

        def take(proven: Proven) -> None:
            number, result = proven.task.source, proven.result
            documents[number] += result.counts.read
            leading = merged.leading
            merged.add(result)
            if cluster is not None:
                cluster.take(proven)
            if number:
                merged.leading = leading  # of the first source only
            if quarantine is not None:
                quarantine.write(result.rejects, proven.positions_before)
                state.takes_rejects = quarantine.takes_more
                self._require_some_accepted(sources[0], merged, quarantine)

        def tick() -> None:
            name = sources[merger.tasks[min(merger.next, len(merger.tasks) - 1)].source].name
            status = "" if cluster is None else str(cluster.status)
            self.progress(Progress(name, *state.so_far, _expected_bytes(sources, state), status))

        merger, plan = Merger(sources, take), self._plan(quarantine)
        if self.checkpoint is not None:
            warnings += self.checkpoint.begin([task.partition for task in merger.tasks], plan)
        daily: DailySums
        if cluster is None:
            run_locally(merger, plan, self._readers(sources), state, tick, self.checkpoint)
            daily, mixed_types = merged.daily(), mixed_type_merchants([merged.kinds()])
        else:
            sums = cluster.count(merger, plan, state, tick, self.checkpoint)
            daily, mixed_types = sums, sums.mixed_types
        for source, read in zip(sources, documents, strict=True):
            for partition in source.partitions[:1]:
                partition.require_unchanged()
            warnings += in_background(partial(source.finish, read))
        return daily, mixed_types

    def _plan(self, quarantine: Quarantine | None) -> Plan:
        reading = Reading(self.fields, self.window, self.collection, self.chunk_bytes)
        size = 0 if quarantine is None else self.max_quarantine_bytes
        may_stop = quarantine is not None and not self.reads_some_days and self.max_reject_ratio < _MOST_REJECTED
        quarantine_path = None if quarantine is None else quarantine.destination
        return Plan(reading, self.local_days, Limits(size, quarantine_path), _LEADING_REJECTS if may_stop else None)

    def _readers(self, sources: list[Source]) -> int:
        return max(self.threads, *(source.readers for source in sources))

    def _require_some_accepted(self, source: Source, merged: Merged, quarantine: Quarantine) -> None:
        if self.reads_some_days:
            return
        leading = merged.leading
        if leading.count < _LEADING_REJECTS or leading.reason is None or self.max_reject_ratio >= _MOST_REJECTED:
            return
        role = leading.reason.partition(":")[0]
        path = {"time": self.fields.time, "merchant": self.fields.merchant, "amount": self.fields.amount}.get(role)
        todo = "Export the data again."
        if path is not None:
            todo = f"Name the field of the {role} with --{role}-field"
            todo += f": the first document has {', '.join(quarantine.first_names)}." if quarantine.first_names else "."
        raise TooManyRejects(
            f"the first {_LEADING_REJECTS:,} documents of {source.name} were all rejected for one reason, "
            + leading.reason
            + ("" if path is None else f" (--{role}-field {path})"),
            f"Nothing was published, and the rest was not read. {todo} "
            f"{where_rejects_are(quarantine.path, quarantine.stored, merged.counts.rejected)}.",
            None if path is None else self.fields.wrong(path, quarantine.first_names),
        )

    def _require_few_rejects(self, merged: Merged, quarantine: Quarantine) -> None:
        counts = merged.counts
        of_those_read = self.max_reject_ratio * counts.read
        # What is published excuses a few, but not a window in which a tenth is wrong: that is no bad document, it is a
        # source that has changed.
        excused = min(self.max_reject_ratio * self.basis, max(_A_FEW, counts.read / 10))
        allowed = max(of_those_read, excused)
        if counts.rejected > allowed:
            by_reason = sorted(merged.rejects_by_reason.items())
            reasons = ", ".join(f"{count} {reason}" for reason, count in by_reason)
            where = where_rejects_are(quarantine.path, quarantine.stored, counts.rejected)
            raise TooManyRejects(
                f"{counts.rejected} of {counts.read} documents were rejected ({reasons}), and "
                f"--max-reject-ratio {self.max_reject_ratio:g} allows {int(allowed)}"
                + (f", compared with {self.basis} published transactions" if self.basis > counts.read else ""),
                f"Nothing was published. {where}; correct them at their source, or allow them with a higher "
                "--max-reject-ratio.",
                self._wrong_field(counts, merged.rejects_by_reason, quarantine.first_names),
            )

    def _wrong_field(
        self, counts: Counts, rejects_by_reason: Mapping[str, int], names: tuple[str, ...]
    ) -> WrongField | None:
        """The field for which most documents were rejected, or of the filters, where no document is counted."""
        if not counts.read or not (counts.filtered or counts.rejected):
            return None
        most = max(rejects_by_reason, key=lambda reason: rejects_by_reason[reason], default="")
        if (counts.counted or counts.out_of_range) and most not in _OF_FORMATS:
            return None
        if counts.filtered > counts.rejected:
            return self.fields.wrong(self.fields.where[0][0], names)
        role = most.partition(":")[0]
        path = {"time": self.fields.time, "merchant": self.fields.merchant, "amount": self.fields.amount}.get(role)
        return None if path is None else self.fields.wrong(path, names)


def _require_distinct(sources: Sequence[Source]) -> None:
    """Raise when two sources are one remote object; files are compared before they are opened.

    :raises UsageError: they are.
    """
    first_parts = [source.partitions[0] for source in sources if source.partitions]
    seen: set[object] = set()
    for part in first_parts:
        identity = part.identity()
        if identity is not None and identity in seen:
            raise UsageError(f"{part.name} is given twice", "Its transactions would be counted twice; name it once.")
        seen.add(identity)


def fingerprint_of(
    fields: Fields, calendar: Calendar, local_days: LocalDays, currency: str, published: Publication | None
) -> Fingerprint:
    """What summaries mean that are counted by these.

    :param currency: the unit of amounts; empty: that of what is `published`, also where that is not known; IRR for a
        new store.
    """
    formats = fields.formats
    text_zone = formats.text_zone or ""
    return Fingerprint(
        local_days.zone_name,
        calendar.name,
        fields.merchant,
        fields.amount,
        fields.time,
        tuple(sorted(fields.where)),
        rules_digest_here(local_days.zone_name, calendar.name, text_zone),
        rules_source(),
        currency or (DEFAULT_CURRENCY if published is None else published.fingerprint.currency),
        formats.amount_scale,
        formats.amount_text,
        formats.time_format or "",
        text_zone,
        formats.csv_decimal_comma,
    )


def _expected_bytes(sources: Sequence[Source], state: CountingState) -> int | None:
    expected = [source.expected_bytes(*state.so_far) for source in sources]
    known = [size for size in expected if size is not None]
    return sum(known) if len(known) == len(expected) else None


def _require_all_added_up(days: pl.DataFrame, counts: Counts) -> None:
    """Raise unless the daily sums hold all transactions.

    :raises ConservationBroken: they do not.
    """
    added_up = int(days["count"].sum())
    if added_up != counts.counted:
        raise ConservationBroken(
            f"{counts.counted} documents were counted, but the daily summaries have {added_up}",
            "Nothing was published. This is a defect of the program: please report it with the command used.",
        )


def _warnings(mixed: Sequence[str]) -> tuple[str, ...]:
    if not mixed:
        return ()
    named = ", ".join(mixed[:_NAMED_MERCHANTS]) + (", …" if len(mixed) > _NAMED_MERCHANTS else "")
    return (f"{len(mixed)} merchants occur in more than one type (number, text, ObjectId) and count as one: {named}",)
