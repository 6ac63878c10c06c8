"""Instants as people and programs read them: RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_instant(milliseconds: int) -> str:
    """RFC 3339 with milliseconds, in UTC.

    :param milliseconds: since 1970 UTC.

    >>> iso_instant(1719175800000)
    '2024-06-23T20:50:00.000Z'
    """
    instant = _EPOCH + timedelta(milliseconds=milliseconds)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_instant_or_none(milliseconds: int | None) -> str | None:
    """`iso_instant`, or None for what has not happened."""
    return None if milliseconds is None else iso_instant(milliseconds)


def to_the_second(milliseconds: int) -> str:
    """`iso_instant` without milliseconds, for tables.

    >>> to_the_second(1719175800999)
    '2024-06-23T20:50:00Z'
    """
    return f"{iso_instant(milliseconds)[:19]}Z"
