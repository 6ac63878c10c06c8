"""The interface of the summary store: reading the current publication, and publishing the next one.

On every backend readers see exactly one publication, the previous or the new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from core.calendar.periods import Mode
from core.errors import FingerprintMismatch, ServiceError, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import polars as pl

    from core.stores.frames import Frames, SummaryTuple

T = TypeVar("T")

Measure = Literal["amount", "count"]
"""The value of a series: the sum of amounts (in the unit of ``CURRENCY``) or the number of transactions."""

Bound: TypeAlias = str | None
"""The first or the last key of a range, inclusive; None for no bound."""

DEFAULT_CURRENCY: Final = "IRR"
"""The unit of amounts if neither a setting nor the store has one."""

SUMMARY_COLUMNS: Final = ("mode", "key", "merchant_id", "amount", "count", "period_start", "period_end")
"""The columns of a frame of summaries, in this order.

``mode`` and ``key`` are String; ``merchant_id`` is String, null for all merchants together; ``amount`` and ``count``
are Int64; ``period_start`` and ``period_end`` are Datetime("ms", "UTC"), half-open.
"""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The settings that determine the totals of a store; totals of different fingerprints are never mixed.

    None is unknown, as in a store of an earlier version, and matches every value.

    :param time_zone: IANA name, such as ``Asia/Tehran``.
    :param calendar: ``jalali`` or ``gregorian``.
    :param merchant_field: path of the merchant in a raw document; likewise `amount_field` and `time_field`.
    :param where: equality filters as (field path, value) pairs, sorted.
    :param zone_rules: digest of the rules of the time zone, see `core.calendar.zones.rules_digest`, and of `text_zone`
        if that is different.
    :param zone_rules_source: source of these rules, such as ``tzdata 2026.6``; for people, never compared.
    :param currency: code of the unit of amounts, such as ``IRR``.
    :param amount_scale: decimal places of amounts; sums are in units of the last place.
    :param amount_text: whether text is accepted as an amount.
    :param time_format: see ``--time-format``; empty: none.
    :param text_zone: IANA name of the time zone of text without an offset; empty: such text is rejected.
    :param csv_decimal_comma: whether amounts in CSV have a decimal comma.
    """

    time_zone: str
    calendar: str
    merchant_field: str
    amount_field: str
    time_field: str
    where: tuple[tuple[str, str], ...] = ()
    zone_rules: str | None = None
    zone_rules_source: str | None = field(default=None, compare=False)
    currency: str | None = None
    amount_scale: int = 0
    amount_text: bool = False
    time_format: str = ""
    text_zone: str = ""
    csv_decimal_comma: bool = False

    def differing(self, other: Fingerprint) -> list[str]:
        """The names of the parts that are known to differ from `other`.

        Without the rules if the zone or the calendar differ, as they are not comparable then.
        """
        parts = (
            (part.name, getattr(self, part.name), getattr(other, part.name)) for part in fields(self) if part.compare
        )
        names = [name for name, mine, its in parts if mine != its and None not in (mine, its)]
        if not {"time_zone", "calendar", "text_zone"}.isdisjoint(names):
            return [name for name in names if name != "zone_rules"]
        return names

    def require_same(self, other: Fingerprint) -> None:
        """Raise unless `other` (of the store) matches this fingerprint.

        :raises FingerprintMismatch: names all differing parts.
        """
        names = self.differing(other)
        if names:
            settings = (
                "time zone rules with which the store was built"
                if names == ["zone_rules"]
                else "same settings as before"
            )
            raise FingerprintMismatch(
                "the store was built with other settings: "
                + "; ".join(self._difference(name, other) for name in names),
                f"Use the {settings}, or --truncate to replace everything.",
            )

    def _difference(self, name: str, other: Fingerprint) -> str:
        if name == "zone_rules":
            return (
                f"the rules of the time zone {self.zones_words()} are those of {other.rules_words()} in the store and "
                f"those of {self.rules_words()} now"
            )
        return f"{name} is {other.part_words(name)} in the store and {self.part_words(name)} now"

    def part_words(self, name: str) -> str:
        """The part `name` in words, in the form of options."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return " and ".join(f"{path}={text}" for path, text in value) or "nothing"
        return repr(value)

    def unit(self, setting: str) -> str:
        """The currency, or if unknown the `setting`, which may be empty."""
        return self.currency or setting or DEFAULT_CURRENCY

    def zones_words(self) -> str:
        """The relevant time zones, in words."""
        return " and ".join(dict.fromkeys(filter(None, (self.time_zone, self.text_zone))))

    def rules_words(self) -> str:
        """The rules of the time zone in words, such as ``tzdata 2026.6 (358e8aae)``."""
        return f"{self.zone_rules_source} ({(self.zone_rules or '')[:8]})"


class DayRange(NamedTuple):
    """The days with keys from `first_key` to `last_key`, both inclusive."""

    first_key: str
    last_key: str


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication of summaries.

    :param generation: 1, 2, 3, …; the highest is the current one.
    :param run_id: the run that published it.
    :param published_at_ms: time of publication, milliseconds since 1970 UTC.
    :param fingerprint: calendar, time zone, fields and filters of its totals.
    :param rows: number of summaries of all modes.
    :param first_day_key: key of the earliest daily summary, or None without summaries.
    :param last_day_key: key of the latest daily summary, or None.
    :param total_amount: sum of all amounts; may exceed int64.
    :param total_count: number of transactions counted.
    :param complete_until_ms: instant (milliseconds since 1970 UTC) before which no transaction is missing, by the
        sources; None if unknown.
    :param complete_days: ranges of days that were over when they were last read, and read whole: ascending, disjoint
        and not adjacent; None for publications of earlier versions. See `core.stores.complete_days`.
    """

    generation: int
    run_id: int
    published_at_ms: int
    fingerprint: Fingerprint
    rows: int
    first_day_key: str | None
    last_day_key: str | None
    total_amount: int
    total_count: int
    complete_until_ms: int | None = None
    complete_days: tuple[DayRange, ...] | None = None


class SeriesPoint(NamedTuple):
    """One value of a series: the period's key and an exact integer."""

    key: str
    value: int


class MerchantPoint(NamedTuple):
    """One value of one merchant's series."""

    merchant_id: str
    key: str
    value: int


class SeriesRange(NamedTuple):
    """Some periods of one series: the arguments of `SummaryStore.series`."""

    mode: Mode
    measure: Measure
    merchant_id: str | None
    first_key: Bound = None
    last_key: Bound = None


class MerchantTotals(NamedTuple):
    """The totals of one merchant over a range of periods: exact integers, which may exceed int64."""

    merchant_id: str
    amount: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which is not used


class KeyRange(NamedTuple):
    """The periods of `mode` with keys from `first_key` to `last_key`, both inclusive."""

    mode: Mode
    first_key: str
    last_key: str


def require_published(found: T | None) -> T:
    """`found`, which was read from the current publication.

    :raises ServiceError: it is None, as nothing is published yet.
    """
    if found is None:
        raise ServiceError("nothing is published yet", "Run rebuild first.")
    return found


_ATTEMPTS: Final = 5


def read_current(summaries: SummaryStore, read: Callable[[Publication], T]) -> tuple[Publication, T]:
    """The current publication, and the result of `read`, all of whose calls see that publication.

    :raises ServiceError: nothing is published yet.
    :raises StoreBusy: in all attempts, another run published meanwhile.
    :raises StoreUnavailable: the store does not answer.
    """
    for _ in range(_ATTEMPTS):
        publication = require_published(summaries.published())
        found = read(publication)
        if summaries.is_current(publication):
            return publication, found
    raise StoreBusy(f"other runs published during each of the {_ATTEMPTS} attempts to read the summaries", "Try again.")


def no_progress(_: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class Scan:
    """All summaries of a mode of one publication.

    :param batches: the summaries as tuples of `SUMMARY_COLUMNS`, ordered by merchant and key, the overall ones first.
        Instants are milliseconds since 1970 UTC. Each batch has at most `SCAN_ROWS`.
    """

    publication: Publication
    batches: Iterator[Sequence[SummaryTuple]]


SCAN_ROWS: Final = 50_000


class SummaryStore(Protocol):
    """Stores summaries. Thread-safe (calls take turns), but not fork-safe.

    Each call sees one publication. Compare `published` before and after several calls to detect a change in between.
    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def published(self) -> Publication | None:
        """The current publication, or None if nothing is published yet.

        :raises StoreUnavailable: the store does not answer; or on SQLite, its file was removed or replaced since it was
            opened: then close the stores and open them again.
        """

    def is_current(self, publication: Publication) -> bool:
        """Whether `published` would return `publication`; cheaper."""

    def rows(self, mode: Mode, first_key: Bound = None, last_key: Bound = None) -> pl.DataFrame:
        """The summaries of `mode` of the current publication, per merchant and overall.

        :returns: an unordered frame of `SUMMARY_COLUMNS`; empty if nothing is published.
        """

    def rows_within(self, ranges: Sequence[KeyRange], overall: Mode) -> pl.DataFrame:
        """The summaries of `ranges`, and all overall ones of the mode `overall`, each once.

        :returns: an unordered frame of `SUMMARY_COLUMNS`; empty if nothing is published.
        """

    def scan(
        self, mode: Mode, first_key: Bound = None, last_key: Bound = None, *, overall: bool
    ) -> AbstractContextManager[Scan | None]:
        """The summaries of `mode` of one publication, in batches of bounded memory; None if nothing is published.

        On SQLite the scan is not affected by concurrent publications. On MongoDB the data exists until the publication
        after the next; if that came too early, leaving the context raises.

        :param overall: whether to include the overall summaries.
        :raises StoreBusy: the data may have been dropped before it was read.
        """

    def count(self) -> int:
        """The actual number of summaries of all modes of the current publication.

        It equals ``Publication.rows`` unless something else wrote to the store. Far cheaper than reading them.
        """

    def publish(
        self, publication: Publication, rows: pl.DataFrame | Frames, progress: Callable[[int], None] = no_progress
    ) -> None:
        """Publish `rows` instead of all current summaries, atomically.

        :param publication: its `generation` must be one more than the current one (1 for the first).
        :param rows: a frame of `SUMMARY_COLUMNS` with ``publication.rows`` rows: all modes, per merchant and overall.
            Or ordered frames (`core.stores.frames.Frames`), with one in memory at a time; if creating them raises,
            nothing is published.
        :param progress: called now and then with the number of written rows.
        :raises PublicationLost: another run published that generation first; nothing of this one is visible.
        :raises ConservationBroken: the number of `rows` differs from ``publication.rows``, they are not unique by mode,
            key and merchant, or frames are not ordered.
        :raises StoreUnavailable: the store could not be written, and the previous publication is current. If the
            connection broke at the moment of publishing, the result is unknown, and the sentence says so.
        """

    def amend(self, publication: Publication, rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
        """Publish `rows` instead of the current summaries of `ranges`, atomically; other periods do not change.

        The cost depends on the number of `rows` and of replaced summaries, not on the size of the store.

        :param publication: see `publish`; its ``rows`` and totals are the actual ones of the whole store after the
            amendment: see `count`.
        :param rows: a frame of `SUMMARY_COLUMNS`: all summaries of the periods of `ranges`, per merchant and overall. A
            period without rows is removed.
        :param ranges: disjoint; if empty, the same summaries are published again.
        :raises PublicationLost: another run published that generation first; nothing of this one is visible.
        :raises ConservationBroken: the store would have another number of rows than ``publication.rows``; `rows` are
            not unique by mode, key and merchant, or of a period outside of `ranges`.
        :raises StoreUnavailable: see `publish`.
        """

    def series(
        self, mode: Mode, measure: Measure, merchant_id: str | None, first_key: Bound = None, last_key: Bound = None
    ) -> list[SeriesPoint]:
        """The values of one merchant (None: overall), ascending by key.

        :returns: only periods with transactions.
        """

    def merchant_series(
        self,
        mode: Mode,
        measure: Measure,
        merchants: Sequence[str] | None,
        first_key: Bound = None,
        last_key: Bound = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int,
    ) -> list[MerchantPoint]:
        """The values of several merchants, ascending by merchant (by code points), then key.

        Reads only the range of keys, up to `limit`.

        :param merchants: ascending; None for every merchant. Overall values are never included.
        :param after: only values after this merchant and key.
        :returns: only periods with transactions.
        """

    def series_json(self, publication: Publication, series: Sequence[SeriesRange]) -> list[bytes] | None:
        """Several series of `publication`, each as JSON such as ``[{"key":"1403/01","value":12500}]``.

        On SQLite this is one statement, which takes half the time of `series`.

        :returns: None if `publication` is not the current one.
        """

    def has_merchant(self, merchant_id: str) -> bool:
        """Whether the current publication has summaries of `merchant_id`."""

    def merchants(
        self, first_key: Bound = None, last_key: Bound = None, mode: Mode = Mode.MONTHLY
    ) -> list[MerchantTotals]:
        """The totals of each merchant's summaries of `mode`, ascending by merchant (by code points).

        :returns: only merchants with a summary in that range.
        """

    def publications_before(self, before_ms: int, *, below: int) -> list[int]:
        """The generations below `below` that were published before `before_ms`, ascending.

        :param before_ms: milliseconds since 1970 UTC.
        """

    def remove_publications(self, generations: Sequence[int]) -> int:
        """Remove these publications from the list, except the current and the previous one.

        Does not affect summaries, as older generations exist only in this list. Returns the number of removed ones.
        """
