"""The interface of the summary store: what is published, and how the next state replaces it.

Readers see exactly one published state, the one before a publication or the one after it, on every backend.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from core.calendar.periods import Mode
from core.errors import FingerprintMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import polars as pl

    from core.stores.frames import Frames, SummaryTuple

Measure = Literal["amount", "count"]
"""What a series shows: the sum of amounts (in the unit of ``CURRENCY``) or the number of transactions."""

DEFAULT_CURRENCY: Final = "IRR"
"""The unit of amounts where neither a setting nor the store names one."""

SUMMARY_COLUMNS: Final = ("mode", "key", "merchant_id", "amount", "count", "period_start", "period_end")
"""The columns of a frame of summaries, in this order.

``mode`` and ``key`` are String; ``merchant_id`` is String, null for all merchants together; ``amount`` and ``count``
are Int64; ``period_start`` and ``period_end`` are Datetime("ms", "UTC"), half-open.
"""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The settings that a store's totals were built with; totals of two fingerprints never mix.

    A part that is None is unknown, as in a store of a version that did not record it. It agrees with every value.

    :param time_zone: IANA name, such as ``Asia/Tehran``.
    :param calendar: ``jalali`` or ``gregorian``.
    :param merchant_field: path of the merchant in a raw document; likewise `amount_field` and `time_field`.
    :param where: equality filters as (field path, value) pairs, sorted.
    :param zone_rules: digest of the rules of the time zone, see `core.calendar.zones.rules_digest`, and of those of
        `text_zone` where that is another.
    :param zone_rules_source: where these rules came from, such as ``tzdata 2026.6``; for people, never compared.
    :param currency: code of the unit of amounts, such as ``IRR``.
    :param amount_scale: how many decimal places amounts have; sums are in units of the last place.
    :param amount_text: whether text was an amount too.
    :param time_format: what text and numbers were times, as ``--time-format`` says it; empty: none.
    :param text_zone: IANA name of the time zone of text without an offset; empty: such text was rejected.
    :param csv_decimal_comma: whether amounts in CSV had a decimal comma.
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
        """The names of the parts in which `other` is known to differ.

        The rules are not among them where a zone or the calendar differ: they are those of others then.
        """
        parts = (
            (part.name, getattr(self, part.name), getattr(other, part.name)) for part in fields(self) if part.compare
        )
        names = [name for name, mine, its in parts if mine != its and None not in (mine, its)]
        if not {"time_zone", "calendar", "text_zone"}.isdisjoint(names):
            return [name for name in names if name != "zone_rules"]
        return names

    def require_same(self, other: Fingerprint) -> None:
        """Refuse to mix: raise unless `other` (what the store holds) means the same as this one.

        :raises FingerprintMismatch: names every part that differs.
        """
        names = self.differing(other)
        if names:
            settings = (
                "tzdata that the store was counted with" if names == ["zone_rules"] else "same settings as before"
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
        """The part `name` in words, as options write it."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return " and ".join(f"{path}={text}" for path, text in value) or "nothing"
        return repr(value)

    def unit(self, setting: str) -> str:
        """The currency, or where it is not known that of the `setting`, which may be empty."""
        return self.currency or setting or DEFAULT_CURRENCY

    def zones_words(self) -> str:
        """The time zones whose rules matter."""
        return " and ".join(dict.fromkeys(filter(None, (self.time_zone, self.text_zone))))

    def rules_words(self) -> str:
        """The rules of the time zone in words, such as ``tzdata 2026.6 (358e8aae)``."""
        return f"{self.zone_rules_source} ({(self.zone_rules or '')[:8]})"


class DayRange(NamedTuple):
    """The days whose keys lie from `first_key` to `last_key`, both inclusive."""

    first_key: str
    last_key: str


@dataclass(frozen=True, slots=True)
class Publication:
    """One published state of the summaries.

    :param generation: 1, 2, 3, …; the highest is the current one.
    :param run_id: the run that published it.
    :param published_at_ms: when, milliseconds since 1970 UTC.
    :param fingerprint: calendar, time zone, fields and filters that its totals were built with.
    :param rows: number of summaries of all modes.
    :param first_day_key: key of the earliest daily summary, or None when there are no summaries.
    :param last_day_key: key of the latest daily summary, or None.
    :param total_amount: sum of all amounts; may exceed int64.
    :param total_count: number of transactions counted.
    :param complete_until_ms: before that instant (milliseconds since 1970 UTC) no transaction is missing, as far as the
        sources told; None where nobody knows.
    :param complete_days: the days that were over when they were last read, and read whole: ascending ranges that
        neither overlap nor meet; None where an earlier version published, which did not keep them. See
        `core.stores.complete_days`.
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


class MerchantTotals(NamedTuple):
    """The totals of one merchant over a range of periods: exact integers, which may exceed int64."""

    merchant_id: str
    amount: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here


class KeyRange(NamedTuple):
    """The periods of `mode` whose keys lie from `first_key` to `last_key`, both inclusive."""

    mode: Mode
    first_key: str
    last_key: str


def no_progress(_: int) -> None:
    """Tell nobody how many rows have been written."""


@dataclass(frozen=True, slots=True)
class Scan:
    """All summaries of a mode, as one publication has them.

    :param publication: the one whose summaries these are.
    :param batches: the summaries, in the order of `SUMMARY_COLUMNS`, by merchant and key; those of all merchants
        together come first. Instants are milliseconds since 1970 UTC. Each batch has at most `SCAN_ROWS`.
    """

    publication: Publication
    batches: Iterator[Sequence[SummaryTuple]]


SCAN_ROWS: Final = 50_000


class SummaryStore(Protocol):
    """Where summaries are kept. Threads may share an instance, and take turns; processes may not.

    Each call sees one published state. Two calls may see two: compare `published` before and after where that matters.
    """

    def published(self) -> Publication | None:
        """The current publication, or None when nothing was published yet.

        :raises StoreUnavailable: the store does not answer; or, on SQLite, its file was removed or replaced since it
            was opened: then close the stores and open them again.
        """

    def is_current(self, publication: Publication) -> bool:
        """Whether `published` would give `publication`; costs less.

        :raises StoreUnavailable: as `published`.
        """

    def rows(self, mode: Mode, first_key: str | None = None, last_key: str | None = None) -> pl.DataFrame:
        """The summaries of `mode`, of single merchants and of all together, of the current publication.

        :param first_key: the earliest key wanted, inclusive; None for no bound. Likewise `last_key`. Little is read
            for a narrow range, however large the store.
        :returns: a frame of `SUMMARY_COLUMNS` in no promised order; empty when nothing was published yet.
        :raises StoreUnavailable: the store does not answer.
        """

    def scan(
        self, mode: Mode, first_key: str | None = None, last_key: str | None = None, *, overall: bool
    ) -> AbstractContextManager[Scan | None]:
        """The summaries of `mode`, read bit by bit in bounded memory, all of one publication; None without one.

        On SQLite others may publish meanwhile as often as they like. On MongoDB what is scanned is there until
        the publication after the next: leaving the context raises when that came too early.

        :param first_key: the earliest key wanted, inclusive; None for no bound. Likewise `last_key`.
        :param overall: whether the summaries of all merchants together are among them.
        :raises StoreBusy: what was scanned may have been dropped before it was read.
        :raises StoreUnavailable: the store does not answer.
        """

    def count(self) -> int:
        """How many summaries of all modes the current publication has, counted and not as it announced.

        They are as many as announced unless something else wrote to the store. It costs far less than reading them.

        :raises StoreUnavailable: the store does not answer.
        """

    def publish(
        self, publication: Publication, rows: pl.DataFrame | Frames, progress: Callable[[int], None] = no_progress
    ) -> None:
        """Replace everything that is published with `rows`, atomically.

        :param publication: its `generation` must be one more than the current one (1 for the first).
        :param rows: a frame of `SUMMARY_COLUMNS` with ``publication.rows`` rows: all modes, single merchants and the
            overall rows. Or frames that are ordered (`core.stores.frames.Frames`), of which one is held at a time;
            what making them raises leaves the state before published.
        :param progress: called now and then with how many of the rows have been written.
        :raises PublicationLost: another run published that generation first; nothing of this one is visible.
        :raises ConservationBroken: `rows` are not as many as announced, hold a mode, key and merchant twice, or are
            frames that are not ordered.
        :raises StoreUnavailable: the store could not be written; the state before is still published. Only when the
            connection to a server broke at the very moment of publishing, the sentence says that it is not known.
        """

    def amend(self, publication: Publication, rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
        """Replace the periods of `ranges`, and leave all others as they are published, atomically.

        What it costs follows the size of `rows` and of what they replace, not that of the store.

        :param publication: as for `publish`; its ``rows`` and totals are those of the whole store after
            the amendment, as it is and not as the publication before announced it: see `count`.
        :param rows: a frame of `SUMMARY_COLUMNS`: all summaries of the periods of `ranges`, of single merchants and
            overall. A period without rows is gone afterwards.
        :param ranges: none of them overlapping; none at all publishes what is published once more.
        :raises PublicationLost: another run published that generation first; nothing of this one is visible.
        :raises ConservationBroken: the store would hold another number of rows than announced; `rows` hold a mode, key
            and merchant twice, or a period of none of `ranges`.
        :raises StoreUnavailable: as for `publish`.
        """

    def series(
        self,
        mode: Mode,
        measure: Measure,
        merchant_id: str | None,
        first_key: str | None = None,
        last_key: str | None = None,
    ) -> list[SeriesPoint]:
        """One merchant's values (None: all merchants together), ascending by key.

        :param first_key: the earliest key wanted, inclusive; None for no bound. Likewise `last_key`.
        :returns: only periods that hold transactions; empty when there are none or nothing was published yet.
        :raises StoreUnavailable: the store does not answer.
        """

    def merchant_series(
        self,
        mode: Mode,
        measure: Measure,
        merchants: Sequence[str] | None,
        first_key: str | None = None,
        last_key: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int,
    ) -> list[MerchantPoint]:
        """The values of several merchants, each with its own, ascending by merchant (by code points) and then by key.

        Little is read for a narrow range of keys and a small `limit`, however large the store.

        :param merchants: whose, ascending; None for every merchant. All merchants together are never among them.
        :param first_key: the earliest key wanted, inclusive; None for no bound. Likewise `last_key`.
        :param after: only what comes after this merchant and key.
        :param limit: at most so many values, the first ones.
        :returns: only periods that hold transactions.
        :raises StoreUnavailable: the store does not answer.
        """

    def series_json(
        self,
        mode: Mode,
        measure: Measure,
        merchant_id: str | None,
        first_key: str | None = None,
        last_key: str | None = None,
    ) -> bytes:
        """What `series` gives, as JSON such as ``[{"key":"1403/01","value":12500}]``; on SQLite in half the time.

        :raises StoreUnavailable: the store does not answer.
        """

    def has_merchant(self, merchant_id: str) -> bool:
        """Whether the current publication holds summaries of `merchant_id`.

        :raises StoreUnavailable: the store does not answer.
        """

    def merchants(
        self, first_key: str | None = None, last_key: str | None = None, mode: Mode = Mode.MONTHLY
    ) -> list[MerchantTotals]:
        """What each merchant's summaries of `mode` add up to, ascending by merchant (by code points).

        :param first_key: the earliest key wanted, inclusive; None for no bound. Likewise `last_key`. Little is read
            for a narrow range, however large the store.
        :returns: only merchants with a summary in that range; empty when nothing was published yet.
        :raises StoreUnavailable: the store does not answer.
        """

    def publications_before(self, before_ms: int, *, below: int) -> list[int]:
        """The generations, ascending, below generation `below` that were published before `before_ms`.

        :param before_ms: milliseconds since 1970 UTC.
        """

    def forget(self, generations: Sequence[int]) -> int:
        """Remove these from the list of what was published, but neither the current one nor the one before it.

        What is published stays as it is: of older generations only that list knows.

        :returns: how many were removed.
        :raises StoreUnavailable: the store could not be written.
        """

    def close(self) -> None:
        """Release connections; the instance is of no use afterwards."""
