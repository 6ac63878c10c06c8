"""Parses instants of the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from core.errors import UsageError

_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_in(option: str, text: str) -> int:
    """Parse a day (midnight UTC) or a time; milliseconds since 1970 UTC.

    >>> instant_in("--from", "2024-06-24"), instant_in("--from", "2024-06-24T03:30+03:30")
    (1719187200000, 1719187200000)

    :raises UsageError: it is invalid; the sentence names `option`.
    """
    if _INSTANT.fullmatch(text):
        try:
            found = datetime.fromisoformat(text.upper())
            return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):  # such as 2024-13-01
            pass
    raise UsageError(
        f"{option} {text!r} is no instant",
        "Write a day such as 2027-01-31 (from midnight UTC), or a time with its offset: 2027-01-31T18:00:00Z.",
    )


def instant_to_come(option: str, text: str, now_ms: int) -> int:
    """Parse a future instant, or a duration from `now_ms`: ``90d``, ``12h``, ``30m``; milliseconds since 1970 UTC.

    :raises UsageError: it is invalid, or not later than `now_ms`; the sentence names `option`.
    """
    if found := _SPAN.fullmatch(text):
        return now_ms + int(found[1]) * (_UNITS[found[2]] // timedelta(milliseconds=1))
    try:
        instant_ms = instant_in(option, text)
    except UsageError as error:
        raise UsageError(error.sentence, f"{error.hint} Or a duration from now: 90d, 12h, 30m.") from None
    if instant_ms <= now_ms:
        raise UsageError(
            f"{option} {text!r} is in the past", "Give a future instant, or a duration from now: 90d, 12h."
        )
    return instant_ms
