"""Instants as people and programs read them: RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_instant(milliseconds: int) -> str:
    """RFC 3339 with milliseconds, in UTC.

    :param milliseconds: since 1970 UTC.

    >>> iso_instant(1719175800000)
    '2024-06-23T20:50:00.000Z'
    """
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_without_zone(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)  # lines of a log are mostly of the same second
def _without_zone(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds").removesuffix("+00:00")


def iso_instant_or_none(milliseconds: int | None) -> str | None:
    """`iso_instant`, or None for what has not happened."""
    return None if milliseconds is None else iso_instant(milliseconds)


def to_the_second(milliseconds: int) -> str:
    """`iso_instant` without milliseconds, for tables.

    >>> to_the_second(1719175800999)
    '2024-06-23T20:50:00Z'
    """
    return f"{iso_instant(milliseconds)[:19]}Z"
