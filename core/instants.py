"""The clock, and parsing and formatting of instants by RFC 3339."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from core.errors import UsageError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)

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


def instant_ms(instant: datetime) -> int:
    """Milliseconds since 1970 UTC, rounded down.

    :param instant: with its time zone.
    """
    return (instant - _EPOCH) // timedelta(milliseconds=1)


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


def parse_instant(option: str, text: str) -> int:
    """Parse a day (midnight UTC) or a time; milliseconds since 1970 UTC.

    >>> parse_instant("--from", "2024-06-24"), parse_instant("--from", "2024-06-24T03:30+03:30")
    (1719187200000, 1719187200000)

    :raises UsageError: it is invalid; the sentence names `option`.
    """
    if _INSTANT.fullmatch(text):
        try:
            found = datetime.fromisoformat(text.upper())
            return instant_ms(found if found.tzinfo else found.replace(tzinfo=UTC))
        except (ValueError, OverflowError):  # such as 2024-13-01
            pass
    raise UsageError(
        f"{option} {text!r} is not an instant",
        "Write a day such as 2027-01-31 (from midnight UTC), or a time with its offset: 2027-01-31T18:00:00Z.",
    )


def parse_expiry(text: str, now_ms: int) -> int:
    """Parse ``--expires``: a future instant, or a duration from `now_ms` (``90d``, ``12h``, ``30m``).

    Milliseconds since 1970 UTC.

    :raises UsageError: it is invalid, or not later than `now_ms`.
    """
    if found := _DURATION.fullmatch(text):
        return now_ms + int(found[1]) * (_UNITS[found[2]] // timedelta(milliseconds=1))
    try:
        expires_at_ms = parse_instant("--expires", text)
    except UsageError as error:
        raise UsageError(error.sentence, f"{error.hint} Or a duration from now: 90d, 12h, 30m.") from None
    if expires_at_ms <= now_ms:
        raise UsageError(
            f"--expires {text!r} is in the past", "Give a future instant, or a duration from now: 90d, 12h."
        )
    return expires_at_ms
