"""Time zones: the source of their rules, the changes of their offsets, and a digest of these.

The rules are those of the pinned package ``tzdata``, not of the system, which Python would prefer. So a transaction is
of the same day on every host, and an upgrade of the system changes no day. Python's ``PYTHONTZPATH`` overrides this:
its folders come first, then the package for zones that they lack.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_left
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.calendar import Calendar, calendar_named

_DAY_S: Final = 86_400
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_MARGIN_DAYS: Final = 3  # no UTC offset is larger
_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@cache
def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name, cached so that a process never mixes two versions of the rules.

    :param name: IANA name, such as ``Asia/Tehran``.
    :raises ZoneInfoNotFoundError: the zone does not exist.
    :raises ValueError: the name is invalid.
    """
    if "PYTHONTZPATH" in os.environ:
        return ZoneInfo(name)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a time zone")
    *folders, file = name.split("/")
    try:
        with (resources.files(".".join(("tzdata.zoneinfo", *folders))) / file).open("rb") as content:
            return ZoneInfo.from_file(content, key=name)
    except (ImportError, OSError, ValueError) as error:
        raise ZoneInfoNotFoundError(f"No time zone found with key {name}") from error


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        zone_named(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def rules_source() -> str:
    """The source of rules, for people: ``tzdata 2026.6``, or the folders of ``PYTHONTZPATH``."""
    if path := os.environ.get("PYTHONTZPATH"):
        return f"PYTHONTZPATH={path}"
    import tzdata  # not needed with PYTHONTZPATH

    return f"tzdata {tzdata.__version__}"


def rules_digest(zone: ZoneInfo, calendar: Calendar) -> str:
    """A digest of the offset changes of `zone` over all days of `calendar`.

    Versions of the rules with the same offsets have the same digest. Takes about 15 ms, once per process.

    :returns: SHA-256, 64 hexadecimal digits.

    >>> from core.calendar import calendar_named
    >>> jalali = calendar_named("jalali")
    >>> rules_digest(zone_named("Asia/Tehran"), jalali) == rules_digest(zone_named("Iran"), jalali)
    True
    """
    return _digest(zone, (calendar.first_day - _MARGIN_DAYS) * _DAY_S, (calendar.last_day + _MARGIN_DAYS) * _DAY_S)


@cache
def _digest(zone: ZoneInfo, first_s: int, last_s: int) -> str:
    lines = (f"{from_s} {offset_s}\n" for from_s, offset_s in offset_changes(zone, first_s, last_s))
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


@cache
def rules_digest_here(zone_name: str, calendar_name: str, other_zone_name: str = "") -> str | None:
    """`rules_digest` by this process's rules; None if the zone does not exist.

    :param other_zone_name: a second zone, which may be the same; empty: none.
    """
    try:
        calendar = calendar_named(calendar_name)
        digest = rules_digest(zone_named(zone_name), calendar)
        if other_zone_name in ("", zone_name):
            return digest
        other = rules_digest(zone_named(other_zone_name), calendar)
        return hashlib.sha256(f"{digest} {other}".encode("ascii")).hexdigest()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def offset_changes(zone: ZoneInfo, first_s: int, last_s: int) -> list[tuple[int, int]]:
    """The UTC offset (s) at `first_s` and after each change until `last_s`, as pairs of instant (s) and offset.

    `zoneinfo` does not list its changes, so the offset is sampled once a day and the second is found by bisection. Two
    changes within 24 hours that cancel out are missed; in the IANA data (2025b) no two are closer than three days.

    :param first_s: seconds since 1970 UTC, a multiple of a day.
    """
    epoch = datetime(1970, 1, 1, tzinfo=zone)

    def offset_of(utc: datetime) -> timedelta:
        return zone.fromutc(utc) - utc  # `fromutc` expects UTC with the zone attached

    def offset_at(second: int) -> int:
        return offset_of(epoch + timedelta(seconds=second)) // _SECOND

    def change_between(second: int, probe: int, offset: int) -> int:
        seconds = range(second, probe + 1)
        return seconds[bisect_left(seconds, True, key=lambda second: offset_at(second) != offset)]

    changes = [(first_s, offset_at(first_s))]
    utc = epoch + timedelta(seconds=first_s)
    before = offset_of(utc)
    for probe in range(first_s + _DAY_S, last_s + 1, _DAY_S):
        utc += _DAY
        after = offset_of(utc)
        if after != before:
            second, offset_s = probe - _DAY_S, before // _SECOND
            while offset_s != after // _SECOND:
                second = change_between(second, probe, offset_s)
                offset_s = offset_at(second)
                changes.append((second, offset_s))
            before = after
    return changes
