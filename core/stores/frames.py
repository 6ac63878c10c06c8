"""Converts frames of summaries to tuples and back, for backends that store instants as milliseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from core.stores.summaries import SUMMARY_COLUMNS, KeyRange

_INSTANTS: Final = ("period_start", "period_end")
_INTEGERS: Final = ("amount", "count", *_INSTANTS)
_IDENTITY: Final = ("mode", "key", "merchant_id")
_ORDER: Final = ("mode", "merchant_id", "key")
_COMPARED_ROWS: Final = 500_000
_SCHEMA: Final = {name: pl.Int64 if name in _INTEGERS else pl.String for name in SUMMARY_COLUMNS}

SummaryTuple = tuple[str, str, str | None, int, int, int, int]
"""One summary, in the order of `SUMMARY_COLUMNS`."""


Frames = Iterable[pl.DataFrame]
"""Frames of `SUMMARY_COLUMNS`, together strictly ascending by mode, merchant and key.

This is the order of the index of each backend, which thus grows at its end.
"""


def ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` sorted by mode, merchant and key."""
    return rows if _is_ascending(rows) else rows.sort(_ORDER)


def to_columns(frames: Frames, size: int) -> Iterator[list[list[Any]]]:
    """The columns of `frames`, in batches of at most `size` summaries."""
    for frame in frames:
        for batch in frame.select(SUMMARY_COLUMNS).iter_slices(size):
            yield [column.to_list() for column in batch.with_columns(pl.col(_INSTANTS).dt.epoch("ms"))]


def follows(last: pl.DataFrame, frame: pl.DataFrame) -> bool:
    """Whether `frame` is strictly ascending by mode, merchant and key, and follows `last`, which has one or no row."""
    return _is_ascending(pl.concat([last, frame.head(1)])) and _is_ascending(frame)


def are_distinct(rows: pl.DataFrame) -> bool:
    """Whether `rows` are unique by mode, key and merchant."""
    return _is_ascending(rows) or not rows.select(_IDENTITY).is_duplicated().any()


def _is_ascending(rows: pl.DataFrame) -> bool:
    """Whether `rows` are strictly ascending by mode, merchant and key.

    They are created in this order; sorting or testing for uniqueness would need more memory than the rows.
    """
    for first in range(0, rows.height, _COMPARED_ROWS):
        some = rows.slice(first, _COMPARED_ROWS + 1).select(_ORDER)
        earlier, later = some.slice(0, some.height - 1), some.slice(1)
        moved = (earlier["mode"] != later["mode"]) | earlier["merchant_id"].ne_missing(later["merchant_id"])
        if not (moved | (earlier["key"] < later["key"])).all():
            return False
        earlier, later = earlier.filter(moved), later.filter(moved)  # few: the first rows of the merchants
        rises = earlier["merchant_id"].fill_null("") < later["merchant_id"].fill_null("")
        if not ((earlier["mode"] < later["mode"]) | (earlier["mode"] == later["mode"]) & rises).all():
            return False
    return True


def to_tuples(rows: pl.DataFrame) -> list[SummaryTuple]:
    """The summaries as tuples, sorted by mode, merchant and key."""
    return [row for columns in to_columns([ordered(rows)], max(rows.height, 1)) for row in zip(*columns, strict=True)]


def from_batches(batches: Iterable[Sequence[SummaryTuple]]) -> pl.DataFrame:
    """A frame of `SUMMARY_COLUMNS` with all `batches`."""
    frames = [pl.DataFrame(batch, schema=_SCHEMA, orient="row") for batch in batches]
    plain = pl.concat(frames or [pl.DataFrame(schema=_SCHEMA)])
    return plain.with_columns(pl.col(_INSTANTS).cast(pl.Datetime("ms", "UTC")))


def within(ranges: Iterable[KeyRange]) -> pl.Expr:
    """The expression for summaries with a period in one of `ranges`."""
    conditions = [
        (pl.col("mode") == mode.value) & pl.col("key").is_between(pl.lit(first_key), pl.lit(last_key))
        for mode, first_key, last_key in ranges
    ]
    return pl.any_horizontal(pl.lit(False), *conditions)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two frames of summaries, as frames of `SUMMARY_COLUMNS`.

    :param removed: the old values of removed summaries; `changed` and `added` have new values.
    """

    removed: pl.DataFrame
    changed: pl.DataFrame
    added: pl.DataFrame

    @classmethod
    def between(cls, stored: pl.DataFrame, wanted: pl.DataFrame) -> Difference:
        """The difference from `stored` to `wanted`."""
        new = wanted.join(stored, on=SUMMARY_COLUMNS, how="anti", nulls_equal=True)
        return cls(
            removed=stored.join(wanted, on=_IDENTITY, how="anti", nulls_equal=True),
            changed=new.join(stored, on=_IDENTITY, how="semi", nulls_equal=True),
            added=new.join(stored, on=_IDENTITY, how="anti", nulls_equal=True),
        )

    @property
    def height(self) -> int:
        """Number of different summaries."""
        return self.removed.height + self.changed.height + self.added.height
