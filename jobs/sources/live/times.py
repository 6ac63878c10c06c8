"""Time ranges that a query is restricted to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bson.datetime_ms import DatetimeMS


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range of instants, milliseconds since 1970 UTC; None: without end."""

    start_ms: int
    end_ms: int | None = None

    def condition(self) -> dict[str, Any]:
        """The query on the field. Its comparisons match only dates, no other BSON type."""
        # An array of dates is not a time, but would match, perhaps in two ranges.
        return {**self.bounds(), "$not": {"$type": "array"}}

    def bounds(self) -> dict[str, Any]:
        """The comparisons of `condition`, which match an array if its elements do."""
        before = {} if self.end_ms is None else {"$lt": DatetimeMS(self.end_ms)}
        return {"$gte": DatetimeMS(self.start_ms), **before}


def instant_at(document: Any, path: Iterable[str]) -> int | None:
    """The date in a decoded document, in milliseconds since 1970 UTC; None if there is none at `path`."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return int(document) if isinstance(document, DatetimeMS) else None


def joined(ranges: Iterable[TimeRange]) -> list[TimeRange]:
    """The union of `ranges` as disjoint ranges in order, so that nothing is read twice.

    >>> joined([TimeRange(5, 9), TimeRange(0, 3), TimeRange(2, 4), TimeRange(9, None), TimeRange(7, 7)])
    [TimeRange(start_ms=0, end_ms=4), TimeRange(start_ms=5, end_ms=None)]
    """
    found: list[TimeRange] = []
    for one in sorted(ranges, key=lambda one: one.start_ms):
        if one.end_ms is not None and one.end_ms <= one.start_ms:
            continue
        last = found[-1] if found else None
        if last is None or (last.end_ms is not None and last.end_ms < one.start_ms):
            found.append(one)
        elif last.end_ms is not None:
            end = None if one.end_ms is None else max(one.end_ms, last.end_ms)
            found[-1] = TimeRange(last.start_ms, end)
    return found


def split(ranges: list[TimeRange], parts: int, latest_ms: int | None) -> list[TimeRange]:
    """Split `ranges` into at least `parts` ranges of similar length, if possible.

    :param latest_ms: assumed end of a range without end, to calculate lengths; None: it is not split.
    """
    each = -(-parts // len(ranges)) if ranges else 0
    found = []
    for one in ranges:
        end = latest_ms if one.end_ms is None else one.end_ms
        step = 0 if end is None else (end - one.start_ms) // each
        starts = [one.start_ms + i * step for i in range(each)] if step > 0 else [one.start_ms]
        found += [TimeRange(a, b) for a, b in zip(starts, [*starts[1:], one.end_ms], strict=True)]
    return found
