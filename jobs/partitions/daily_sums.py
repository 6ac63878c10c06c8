"""Daily sums: totals by merchant and day, in frames small enough to process one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Protocol, TypeVar

import polars as pl

from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.partitions.count_partition import merge_daily

PART_ROWS: Final = 524_288
"""Approximate maximal rows of a frame, unless a single merchant has more."""
_FOLD_ROWS: Final = 262_144
"""Minimal rows of partial sums that are collected before merging."""

T = TypeVar("T")


class DailySums(Protocol):
    """Sums by merchant and day, local or on a cluster.

    They are frames of `jobs.aggregate.partial.PARTIAL_SCHEMA`, unique by merchant and day. Each frame has a range of
    merchants, in ascending order of their text.
    """

    def map(self, function: Callable[[pl.DataFrame], T]) -> list[T]:
        """The results of `function` for each frame, called in the process of the frame; rows are unordered.

        :param function: picklable, with a small result.
        """

    def parts(self) -> Iterator[pl.DataFrame]:
        """The frames, each `in_order`; can be called repeatedly."""


class LocalSums(DailySums):
    """`DailySums` in this process."""

    def __init__(self, frames: Sequence[pl.DataFrame]) -> None:
        self._frames = list(frames)
        self._ordered = 0
        """Number of leading frames that are sorted: they are sorted on first use, as not every caller needs it."""

    def map(self, function: Callable[[pl.DataFrame], T]) -> list[T]:
        return list(map(function, self._frames))

    def parts(self) -> Iterator[pl.DataFrame]:
        for place, frame in enumerate(self._frames):
            if place == self._ordered:
                self._frames[place] = frame = in_order(frame)
                self._ordered += 1
            yield frame


def all_sums(daily: DailySums) -> pl.DataFrame:
    """All of `daily` as one frame with a String ``merchant_id``."""
    return pl.concat([PARTIAL_SCHEMA.to_frame(), *daily.parts()]).with_columns(pl.col("merchant_id").cast(pl.String))


def day_totals(daily: DailySums) -> pl.DataFrame:
    """The totals over all merchants: ``day``, ``amount`` (Int128) and ``count``, ascending by day."""
    found = pl.concat([_by_day(PARTIAL_SCHEMA.to_frame()), *daily.map(_by_day)])
    return found.group_by("day").agg(pl.col("amount").sum(), pl.col("count").sum()).sort("day")


def _by_day(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by("day").agg(pl.col("amount").sum(), pl.col("count").sum())


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` sorted by the text of the merchant, then day."""
    return frame.sort("merchant_id", "day")


class SumsByRange:
    """Sums partial sums by ranges of merchants, so that merging needs memory for one range at a time.

    A large range is split at the merchant of its middle row.
    """

    def __init__(self) -> None:
        self._ranges: list[list[pl.DataFrame]] = [[]]
        self._begins = [""]
        """The lower bounds of the ranges."""

    def add(self, frame: pl.DataFrame) -> None:
        """Add partial sums.

        :param frame: of `jobs.aggregate.partial.PARTIAL_SCHEMA`, unique by merchant and day.
        """
        # From the last to the first, as a split changes only later indexes.
        for place, part in sorted(self._divided(frame).items(), reverse=True):
            frames = self._ranges[place]
            frames.append(part)
            if _is_worth_merging(frames):
                self._ranges[place] = [merge_daily(frames)]
                self._divide(place)

    def sums(self) -> LocalSums:
        """The sums; call `add` no more afterwards."""
        merged: list[pl.DataFrame] = []
        while self._ranges:
            frames = self._ranges.pop(0)
            if frames:
                merged.append(merge_daily(frames))
        return LocalSums(merged)

    def _divided(self, frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
        """The rows of `frame` by the index of their range."""
        if len(self._ranges) == 1:
            return {0: frame}
        merchants = frame.select(pl.col("merchant_id").unique())
        texts = merchants["merchant_id"].cast(pl.String)
        ranges = pl.Series("range", self._begins).search_sorted(texts, side="right") - 1
        placed = frame.join(merchants.with_columns(ranges.alias("range")), on="merchant_id", maintain_order="none")
        return {
            int(key[0]): part for key, part in placed.partition_by("range", include_key=False, as_dict=True).items()
        }

    def _divide(self, place: int) -> None:
        (frame,) = self._ranges[place]
        if len(frame) <= PART_ROWS:
            return
        frame = in_order(frame)
        middle = frame["merchant_id"][len(frame) // 2]
        before, after = (frame.filter(condition) for condition in (_comes_before(middle), ~_comes_before(middle)))
        if len(before):
            self._ranges[place : place + 1] = [[before], [after]]
            self._begins.insert(place + 1, middle)


def _comes_before(merchant_id: str) -> pl.Expr:
    return pl.col("merchant_id").cast(pl.String) < merchant_id


def _is_worth_merging(frames: list[pl.DataFrame]) -> bool:
    """Whether the unmerged rows are half as many as the merged ones: bounds the work of merging and the memory."""
    return sum(map(len, frames[1:])) > max(_FOLD_ROWS, len(frames[0]) // 2)


def borders(frame: pl.DataFrame, rows: int) -> list[str]:
    """The merchant of every `rows`-th row of a sorted frame."""
    return frame["merchant_id"].gather_every(rows, rows // 2).cast(pl.String).to_list()


def ranges_of(samples: Sequence[str], wanted: int) -> list[tuple[str | None, str | None]]:
    """Half-open ranges of merchants with similar numbers of rows.

    :param samples: merchants of equidistant rows.
    :param wanted: the number of ranges.
    """
    ordered = sorted(samples)
    inner = sorted({ordered[len(ordered) * number // wanted] for number in range(1, wanted)}) if ordered else []
    return list(pairwise([None, *inner, None]))
