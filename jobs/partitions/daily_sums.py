"""Daily sums: what was counted by merchant and day, in frames that are small enough to be held one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Protocol, TypeVar

import polars as pl

from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.partitions.count_partition import merge_daily

PART_ROWS: Final = 524_288
"""About so many rows at most has a frame, unless a single merchant has more."""
_FOLD_ROWS: Final = 262_144
"""So many rows of partial sums at least are collected before they are merged."""

T = TypeVar("T")


class DailySums(Protocol):
    """Sums by merchant and day, here or on other hosts.

    They are frames of `jobs.aggregate.partial.PARTIAL_SCHEMA`, no pair twice. All rows of a merchant are in one frame,
    and the merchants of a frame come after those of the frame before, by their text.
    """

    def map(self, function: Callable[[pl.DataFrame], T]) -> list[T]:
        """What `function` makes of each frame, whose rows may be in any order, called where the frame is.

        :param function: picklable; what it returns is small.
        """

    def parts(self) -> Iterator[pl.DataFrame]:
        """The frames one after another, each `in_order`; as often as it is called."""


class LocalSums:
    """`DailySums` in this process."""

    def __init__(self, frames: Sequence[pl.DataFrame]) -> None:
        self._frames = list(frames)
        self._ordered = 0
        """So many of the first frames are ordered: when they are asked for, as not every caller does."""

    def map(self, function: Callable[[pl.DataFrame], T]) -> list[T]:
        """See `DailySums.map`."""
        return list(map(function, self._frames))

    def parts(self) -> Iterator[pl.DataFrame]:
        """See `DailySums.parts`."""
        for place, frame in enumerate(self._frames):
            if place == self._ordered:
                self._frames[place] = frame = in_order(frame)
                self._ordered += 1
            yield frame


def all_sums(daily: DailySums) -> pl.DataFrame:
    """All of `daily` as one frame, whose ``merchant_id`` is String."""
    return pl.concat([PARTIAL_SCHEMA.to_frame(), *daily.parts()]).with_columns(pl.col("merchant_id").cast(pl.String))


def day_totals(daily: DailySums) -> pl.DataFrame:
    """The totals of all merchants together: ``day``, ``amount`` (Int128) and ``count``, ascending by day."""
    found = pl.concat([_by_day(PARTIAL_SCHEMA.to_frame()), *daily.map(_by_day)])
    return found.group_by("day").agg(pl.col("amount").sum(), pl.col("count").sum()).sort("day")


def _by_day(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by("day").agg(pl.col("amount").sum(), pl.col("count").sum())


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` by the text of the merchant, then day."""
    return frame.sort("merchant_id", "day")


class SumsByRange:
    """Adds up partial sums, divided into ranges of merchants, so that merging takes memory for one range at a time.

    A range that gets large is divided in two, where half of its rows are of merchants before the border.
    """

    def __init__(self) -> None:
        self._ranges: list[list[pl.DataFrame]] = [[]]
        self._begins = [""]
        """The text from which on merchants belong to each range."""

    def add(self, frame: pl.DataFrame) -> None:
        """Add partial sums.

        :param frame: of `jobs.aggregate.partial.PARTIAL_SCHEMA`, no merchant and day twice.
        """
        # From the last to the first: where one is divided, those before it keep their places.
        for place, part in sorted(self._divided(frame).items(), reverse=True):
            frames = self._ranges[place]
            frames.append(part)
            if _is_worth_merging(frames):
                self._ranges[place] = [merge_daily(frames)]
                self._divide(place)

    def sums(self) -> LocalSums:
        """What was added; nothing can be added any more."""
        merged: list[pl.DataFrame] = []
        while self._ranges:
            frames = self._ranges.pop(0)
            if frames:
                merged.append(merge_daily(frames))
        return LocalSums(merged)

    def _divided(self, frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
        """The rows of `frame` by the number of their range."""
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
    """Seldom, so that the work does not grow with the number of partitions; often, so that memory does not."""
    return sum(map(len, frames[1:])) > max(_FOLD_ROWS, len(frames[0]) // 2)


def borders(frame: pl.DataFrame, rows: int) -> list[str]:
    """The merchant of every `rows`-th row of an ordered frame."""
    return frame["merchant_id"].gather_every(rows, rows // 2).cast(pl.String).to_list()


def ranges_of(samples: Sequence[str], wanted: int) -> list[tuple[str | None, str | None]]:
    """Ranges of merchants, from one (inclusive) to another (exclusive), that hold about as many rows each.

    :param samples: merchants of rows that lie equally far apart.
    :param wanted: how many ranges.
    """
    ordered = sorted(samples)
    inner = sorted({ordered[len(ordered) * number // wanted] for number in range(1, wanted)}) if ordered else []
    return list(pairwise([None, *inner, None]))
