"""The clock, and formatting of instants by RFC 3339."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Clock = Callable[[], int]
"""Returns the current instant, milliseconds since 1970 UTC."""


def wall_clock_ms() -> int:
    """The host's clock: milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def iso_instant(milliseconds: int) -> str:
    """RFC 3339 with milliseconds, in UTC.

    :param milliseconds: since 1970 UTC.

    >>> iso_instant(1719175800000)
    '2024-06-23T20:50:00.000Z'
    """
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_without_zone(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)  # successive log lines are mostly of the same second
def _without_zone(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds").removesuffix("+00:00")


def iso_instant_or_none(milliseconds: int | None) -> str | None:
    """`iso_instant`, or None for None."""
    return None if milliseconds is None else iso_instant(milliseconds)


def to_the_second(milliseconds: int) -> str:
    """`iso_instant` without milliseconds, for tables.

    >>> to_the_second(1719175800999)
    '2024-06-23T20:50:00Z'
    """
    return f"{iso_instant(milliseconds)[:19]}Z"


def duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> duration(0.84), duration(75), duration(7_300), duration(200_000)
    ('0.8 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    first = next(place for place, (_, size) in enumerate(units) if seconds >= size)
    (large, size), (small, part) = units[first : first + 2]
    return f"{seconds // size:.0f} {large} {seconds % size // part:.0f} {small}"
