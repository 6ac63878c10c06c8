"""Counts sources: reads them to the end, writes rejects to the quarantine, checks the counts, and sums by day."""

from __future__ import annotations

import os
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
from jobs.partitions.count_partition import CountingState, CountPlan, PartitionResult
from jobs.partitions.daily_sums import DailySums, LocalSums, day_totals
from jobs.partitions.local_runner import in_thread, run_locally
from jobs.partitions.merging import Merged, Merger, Task
from jobs.runs.quarantine import QUARANTINE_BYTES, Quarantine, describe_quarantine
from jobs.runs.rejects import RejectLimits
from jobs.sources.chunks import CHUNK_BYTES
from jobs.sources.partition import ReadOptions, Source

if TYPE_CHECKING:
    from jobs.partitions.cluster_runner import Cluster

_NAMED_MERCHANTS: Final = 5
_A_FEW: Final = 10
"""This many rejects are few, however little was read."""
_LEADING_REJECTS: Final = 100_000
"""After this many rejects for one reason at the beginning, reading stops: probably a field has another name."""
_OF_FORMATS: Final = frozenset(
    {"amount: fraction", "amount: text", "time: text", "time: unreadable", "time: no offset"}
)
"""Reasons of rejects that format options may avoid."""
_MOST_REJECTED: Final = 0.5
"""A run that allows this share of rejects does not stop early: the user expects many rejects."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of counting sources; a context manager that releases the daily sums.

    :param daily: the sums by merchant and day; those of a cluster stay on its workers.
    :param days: their totals by day, see `jobs.partitions.daily_sums.day_totals`.
    :param file_formats: the format of each source, such as ``mongodump archive, gzip``.
    :param quarantine: the file with the first `rejects_kept` rejects, or None.
    :param warnings: warnings about counted documents.
    :param wrong_field: the likely cause if nothing was counted, or None.
    """

    daily: DailySums
    days: pl.DataFrame
    counts: Counts
    rejects_by_reason: dict[str, int]
    quarantine: Path | None
    rejects_kept: int
    file_formats: tuple[str, ...]
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
        """The same with all daily sums in this process."""
        with self:
            return replace(self, daily=LocalSums(list(self.daily.parts())), resources=ExitStack())

    @property
    def oldest_day(self) -> int | None:
        """The first day with transactions, or None."""
        return self.days["day"].min()  # type: ignore[return-value]

    def require_some(self, hint: str) -> None:
        """Raise unless a document was counted.

        :raises NothingCounted: names the number of rejected, filtered and out-of-range documents.
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
    """The progress of reading.

    :param name: the first source that is not finished.
    :param done_bytes: stored bytes read of all sources.
    :param documents: documents read.
    :param total_bytes: stored bytes of all sources, or None if unknown.
    :param cluster: the status of the cluster, or empty.
    """

    name: str
    done_bytes: int
    documents: int
    total_bytes: int | None
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts documents of any source.

    :param fields: the fields to read.
    :param window: the instants to count.
    :param max_reject_ratio: the share of documents that may be rejected, 0 to 1: of those read, or if larger, of
        `basis`, limited to the larger of ten and a tenth of those read.
    :param threads: decoding threads.
    :param progress: called several times a second while a source is read; its exceptions end the reading.
    :param record: receives fields of `core.stores.runs.Run` for the run ledger, also if reading fails.
    :param max_quarantine_bytes: size limit of the quarantine file.
    :param basis: number of published transactions, if only the latest ones are read; else 0.
    :param reads_some_days: whether only some days of a live collection are read. Documents without a valid date may
        then all come first, so that many rejects at the beginning do not stop the run.
    :param collection: the collection of a dump, or None for the default names.
    :param chunk_bytes: bytes per read of a file.
    :param checkpoint: stores the results of finished partitions, or None.
    :param cluster: the Dask cluster that counts, or None for threads of this process.
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
        """Open and read `sources`, and check the counts.

        :param quarantine_path: the file for rejects, created with the first reject.
        :param earlier_quarantine: the previous quarantine file, which is used instead if it has the same rejects.
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
                daily, file_formats = self._read(sources, merged, quarantine, warnings, stack)
            finally:
                quarantine.close()
                if earlier_quarantine is not None:
                    quarantine.reuse_earlier(earlier_quarantine)
                self.record(
                    counts=merged.counts,
                    rejects_by_reason=dict(merged.rejects_by_reason),
                    rejects_kept=quarantine.stored,
                    quarantine=None if quarantine.path is None else str(quarantine.path),
                )
            self.record(phase="checking")
            merged.counts.require_conservation()
            self._require_few_rejects(merged, quarantine)
            days = day_totals(daily)
            _require_all_in_sums(days, merged.counts)
            return Counted(
                daily,
                days,
                merged.counts,
                dict(merged.rejects_by_reason),
                quarantine.path,
                quarantine.stored,
                file_formats,
                tuple(warnings),
                self._wrong_field(merged.counts, merged.rejects_by_reason, quarantine.first_names),
                stack.pop_all(),
            )

    def oldest_day(self, sources: Iterable[Callable[[], Source]]) -> int | None:
        """The day of the oldest valid document of `sources`, also outside of the window; None if there is none.

        Reads them to the end, without collecting rejects.

        :raises SourceError: a source cannot be read, or is damaged.
        """
        window, merged = self.window, Merged()
        ever = Window(window.named_first_ms, window.named_end_ms, window.named_first_ms, window.named_end_ms)
        with ExitStack() as stack:
            daily, _ = replace(self, window=ever)._read(sources, merged, None, [], stack)
            return day_totals(daily)["day"].min()  # type: ignore[return-value]

    def _read(
        self,
        sources: Iterable[Callable[[], Source]],
        merged: Merged,
        quarantine: Quarantine | None,
        warnings: list[str],
        stack: ExitStack,
    ) -> tuple[DailySums, tuple[str, ...]]:
        """Read `sources`; returns the sums, and the format of each source.

        :param stack: closes the cluster with the sums.
        """
        listed: list[Source] = []
        try:
            for list_source in sources:
                listed.append(in_thread(list_source))
            _require_distinct(listed)
            cluster = None
            if self.cluster is not None:
                # Imported on demand.
                from jobs.partitions.cluster_runner import cluster_at

                cluster = stack.enter_context(cluster_at(self.cluster))
            daily = self._count_all(listed, merged, quarantine, warnings, cluster)
        finally:
            for source in listed:
                source.close()
        return daily, tuple(source.file_format for source in listed)

    def _count_all(
        self,
        sources: list[Source],
        merged: Merged,
        quarantine: Quarantine | None,
        warnings: list[str],
        cluster: Cluster | None,
    ) -> DailySums:
        state = CountingState()
        documents = [0] * len(sources)

        def take(task: Task, result: PartitionResult, positions_before: int) -> None:
            documents[task.source] += result.counts.read
            leading = merged.leading
            merged.add(result)
            if cluster is not None:
                cluster.take(task, result)
            if task.source:
                merged.leading = leading  # of the first source only
            if quarantine is not None:
                quarantine.write(result.rejects, positions_before)
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
            threads = max(self.threads, *(source.readers for source in sources))
            run_locally(merger, plan, threads, state, tick, self.checkpoint)
            daily, mixed_types = merged.daily(), mixed_type_merchants([merged.kinds()])
        else:
            sums = cluster.count(merger, plan, state, tick, self.checkpoint)
            daily, mixed_types = sums, sums.mixed_types
        for source, read in zip(sources, documents, strict=True):
            for partition in source.partitions[:1]:
                partition.require_unchanged()
            warnings += in_thread(partial(source.finish, read))
        warnings += _mixed_warning(mixed_types)
        return daily

    def _plan(self, quarantine: Quarantine | None) -> CountPlan:
        reading = ReadOptions(self.fields, self.window, self.collection, self.chunk_bytes)
        size = 0 if quarantine is None else self.max_quarantine_bytes
        may_stop = quarantine is not None and not self.reads_some_days and self.max_reject_ratio < _MOST_REJECTED
        quarantine_path = None if quarantine is None else quarantine.destination
        return CountPlan(
            reading, self.local_days, RejectLimits(size, quarantine_path), _LEADING_REJECTS if may_stop else None
        )

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
            f"{describe_quarantine(quarantine.path, quarantine.stored, merged.counts.rejected)}.",
            None if path is None else self.fields.wrong(path, quarantine.first_names),
        )

    def _require_few_rejects(self, merged: Merged, quarantine: Quarantine) -> None:
        counts = merged.counts
        of_those_read = self.max_reject_ratio * counts.read
        # Published transactions excuse a few rejects, but not a tenth of those read: then the source has changed.
        excused = min(self.max_reject_ratio * self.basis, max(_A_FEW, counts.read / 10))
        allowed = max(of_those_read, excused)
        if counts.rejected > allowed:
            by_reason = sorted(merged.rejects_by_reason.items())
            reasons = ", ".join(f"{count} {reason}" for reason, count in by_reason)
            where = describe_quarantine(quarantine.path, quarantine.stored, counts.rejected)
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
        """The field with most rejects, or the field of a filter, if no document was counted."""
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
    """Raise if two sources are the same remote object, or one has the name of the other compressed.

    Files are compared before they are opened.

    :raises UsageError: they are.
    """
    first_parts = [source.partitions[0] for source in sources if source.partitions]
    seen: set[object] = set()
    for part in first_parts:
        identity = part.identity()
        if identity is not None and identity in seen:
            raise UsageError(f"{part.name} is given twice", "Its transactions would be counted twice; name it once.")
        seen.add(identity)
    names = {_place(part.name): part.name for part in first_parts}
    for place, name in sorted(names.items()):
        if compressed := names.get(f"{place}.gz"):
            raise UsageError(
                f"{name} and {compressed} are both given",
                "A copy would be counted twice. Name only one, or rename one if their transactions differ.",
            )


def _place(name: str) -> str:
    """The URL without query, or the real path, of the source `name`."""
    return name.partition("?")[0] if "://" in name else os.path.realpath(name)


def fingerprint_of(
    fields: Fields, calendar: Calendar, local_days: LocalDays, currency: str, published: Publication | None
) -> Fingerprint:
    """The fingerprint of summaries that are counted with these parameters.

    :param currency: the unit of amounts; empty: that of the `published` summaries, even if unknown, or IRR for a new
        store.
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


def _require_all_in_sums(days: pl.DataFrame, counts: Counts) -> None:
    """Raise unless the daily sums have all counted transactions.

    :raises ConservationBroken: the totals differ.
    """
    total = int(days["count"].sum())
    if total != counts.counted:
        raise ConservationBroken(
            f"{counts.counted} documents were counted, but the daily summaries have {total}",
            "Nothing was published. This is a defect of the program: please report it with the command used.",
        )


def _mixed_warning(mixed: Sequence[str]) -> tuple[str, ...]:
    if not mixed:
        return ()
    named = ", ".join(mixed[:_NAMED_MERCHANTS]) + (", …" if len(mixed) > _NAMED_MERCHANTS else "")
    return (f"{len(mixed)} merchants occur in more than one type (number, text, ObjectId) and count as one: {named}",)
