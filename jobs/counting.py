"""Counting: sources are read to their end, rejects set aside, and what was counted is checked and added up by day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from core.calendar.days import LocalDays
from core.calendar.periods import Calendar
from core.calendar.zones import rules_source
from core.errors import ConservationBroken, NothingCounted, TooManyRejects
from core.stores.runs import Counts
from core.stores.summaries import Meaning
from jobs.aggregate.summaries import merge, mixed_type_merchants
from jobs.decode.batch import LeadingRejects, Reject
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.quarantine import QUARANTINE_BYTES, Quarantine, where_rejects_are
from jobs.reading import SourceReader, Totals, in_background
from jobs.sources.feed import Source

_NAMED_MERCHANTS: Final = 5
_A_FEW: Final = 10
"""So many rejects are a few, however little was read."""
_LEADING_REJECTS: Final = 100_000
"""After so many rejects for one reason at the beginning, reading stops: most likely a field has another name."""
_MOST_REJECTED: Final = 0.5
"""A run that allows this share of rejects does not stop early: its user expects most documents to be rejected."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was read of some sources.

    :param daily: one row a merchant and day, as `jobs.aggregate.summaries.merge` gives it.
    :param forms: the form of each source, such as ``mongodump archive, gzip``.
    :param quarantine: the file that holds the first `rejects_kept` of the rejects, or None.
    :param warnings: what is worth telling of documents that were counted all the same.
    """

    daily: pl.DataFrame
    counts: Counts
    rejects_by_reason: dict[str, int]
    quarantine: Path | None
    rejects_kept: int
    forms: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def oldest_day(self) -> int | None:
        """The first day with transactions, or None."""
        return self.daily["day"].min()  # type: ignore[return-value]

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
        raise NothingCounted(f"nothing was counted: of {counts.read} documents {became}", hint)


@dataclass(frozen=True, slots=True)
class Counting:
    """How documents are counted, whatever they come from.

    :param fields: what is read of a document.
    :param window: the instants that are counted.
    :param max_reject_ratio: the share of documents that may be rejected, 0 to 1: of those read, or of `basis` where
        that is more, up to ten and a tenth of those read.
    :param threads: decoding threads.
    :param progress: called some times a second while a source is read; what it raises ends the reading.
    :param note: takes what the ledger keeps of it, as fields of `core.stores.runs.Run`, also when the reading fails.
    :param max_quarantine_bytes: how large the file of rejects may get.
    :param basis: how many transactions are published already, where only the latest of them are read; else 0.
    :param reads_some_days: whether a live collection gives only some days. It then gives the documents that have no day
        at any time, perhaps all of them first: many rejects at the beginning do not stop such a run.
    """

    fields: Fields
    window: Window
    local_days: LocalDays
    max_reject_ratio: float
    threads: int
    progress: Callable[[Source, Totals], None]
    note: Callable[..., None]
    max_quarantine_bytes: int = QUARANTINE_BYTES
    basis: int = 0
    reads_some_days: bool = False

    def count(
        self, sources: Iterable[Callable[[], Source]], quarantine_path: Path, earlier_quarantine: Path | None = None
    ) -> Counted:
        """Read `sources`, each opened by a call, one after another; and check what was counted.

        :param quarantine_path: the file for rejects, made with the first of them.
        :param earlier_quarantine: another such file, which is kept in its place when it holds the same rejects.
        :raises SourceError: a source cannot be read, or is damaged.
        :raises TooManyRejects: more than `max_reject_ratio` allows; or the first 100,000 documents of the first source
            were all rejected for one reason, after which no more are read unless that ratio is 0.5 or more or
            `reads_some_days`.
        :raises ConservationBroken: the counts do not add up.
        """
        quarantine = Quarantine(quarantine_path, self.max_quarantine_bytes)
        totals = Totals()
        try:
            forms = self._read(sources, totals, quarantine)
        finally:
            quarantine.close()
            if earlier_quarantine is not None:
                quarantine.keep_earlier(earlier_quarantine)
            self.note(
                counts=totals.counts,
                rejects_by_reason=dict(totals.rejects_by_reason),
                rejects_kept=quarantine.kept,
                quarantine=None if quarantine.path is None else str(quarantine.path),
            )
        self.note(phase="checking")
        totals.counts.require_conservation()
        self._require_few_rejects(totals, quarantine)
        return Counted(
            _daily_sums(totals),
            totals.counts,
            dict(totals.rejects_by_reason),
            quarantine.path,
            quarantine.kept,
            forms,
            _warnings(totals),
        )

    def oldest_day(self, sources: Iterable[Callable[[], Source]]) -> int | None:
        """The day of the oldest document of `sources` that counts, in the window or not; None when none does.

        It reads them to their end. Rejects are not kept.

        :raises SourceError: a source cannot be read, or is damaged.
        """
        window, totals = self.window, Totals()
        ever = Window(window.named_first_ms, window.named_end_ms, window.named_first_ms, window.named_end_ms)
        replace(self, window=ever)._read(sources, totals, None)
        return merge(totals.partials)["day"].min()  # type: ignore[return-value]

    def _read(
        self, sources: Iterable[Callable[[], Source]], totals: Totals, quarantine: Quarantine | None
    ) -> tuple[str, ...]:
        forms = []
        for open_source in sources:
            source = in_background(open_source)
            forms.append(source.form)
            reader = SourceReader(
                source,
                self.fields,
                self.window,
                self.local_days,
                _ignored if quarantine is None else quarantine.write,
                self.threads,
                totals,
                takes_more=lambda: quarantine is not None and quarantine.takes_more,
                check=partial(self._require_some_accepted, source, totals, quarantine),
            )
            try:
                reader.read(partial(self.progress, source, totals))
            finally:
                reader.release()
            totals.fold()
            totals.leading = LeadingRejects(whole=False)  # of the first source only
        return tuple(forms)

    def _require_some_accepted(self, source: Source, totals: Totals, quarantine: Quarantine | None) -> None:
        if quarantine is None or self.reads_some_days:
            return
        leading = totals.leading
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
            f"{where_rejects_are(quarantine.path, quarantine.kept, totals.counts.rejected)}.",
        )

    def _require_few_rejects(self, totals: Totals, quarantine: Quarantine) -> None:
        counts = totals.counts
        of_those_read = self.max_reject_ratio * counts.read
        # What is published excuses a few, but not a window in which a tenth is wrong: that is no bad document, it is a
        # source that has changed.
        excused = min(self.max_reject_ratio * self.basis, max(_A_FEW, counts.read / 10))
        allowed = max(of_those_read, excused)
        if counts.rejected > allowed:
            by_reason = sorted(totals.rejects_by_reason.items())
            reasons = ", ".join(f"{count} {reason}" for reason, count in by_reason)
            where = where_rejects_are(quarantine.path, quarantine.kept, counts.rejected)
            raise TooManyRejects(
                f"{counts.rejected} of {counts.read} documents were rejected ({reasons}), and "
                f"--max-reject-ratio {self.max_reject_ratio:g} allows {int(allowed)}"
                + (f" beside {self.basis} transactions that are published" if self.basis > counts.read else ""),
                f"Nothing was published. {where}; correct them at their source, or allow them with a higher "
                "--max-reject-ratio.",
            )


def meaning_of(fields: Fields, calendar: Calendar, local_days: LocalDays) -> Meaning:
    """What summaries mean that are counted by these."""
    where = tuple(sorted(fields.where))
    return Meaning(
        local_days.zone_name,
        calendar.name,
        fields.merchant,
        fields.amount,
        fields.time,
        where,
        local_days.rules_digest(calendar),
        rules_source(),
    )


def _ignored(_: list[Reject]) -> None:
    """Keep no rejects."""


def _daily_sums(totals: Totals) -> pl.DataFrame:
    daily = merge(totals.partials)
    added_up = int(daily["count"].sum())
    if added_up != totals.counts.counted:
        raise ConservationBroken(
            f"{totals.counts.counted} documents were counted, but the daily summaries hold {added_up}",
            "Nothing was published. This is a defect of the program: please report it with the command used.",
        )
    return daily


def _warnings(totals: Totals) -> tuple[str, ...]:
    mixed = mixed_type_merchants(totals.kinds)
    if not mixed:
        return tuple(totals.warnings)
    named = ", ".join(mixed[:_NAMED_MERCHANTS]) + (", …" if len(mixed) > _NAMED_MERCHANTS else "")
    types = f"{len(mixed)} merchants occur in more than one type (number, text, ObjectId) and count as one: {named}"
    return (*totals.warnings, types)
