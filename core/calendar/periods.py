"""Types of the calendar: modes, periods, and the interface of calendars.

A *day* is everywhere an integer, the number of days since 1970-01-01 of the proleptic Gregorian calendar (so 0 is
1970-01-01, -1 is 1969-12-31): the local date of an instant, without a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

Locale = Literal["fa", "en"]
"""The languages of labels; Persian labels have Persian digits."""


class Mode(StrEnum):
    """The lengths of periods."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Period:
    """One period of a calendar.

    :param key: its key in the calendar, such as ``1403/04/04``, ``1403/W15`` or ``1403/04``; keys of one mode sort as
        text in chronological order.
    :param last_day: its last day, inclusive.
    """

    mode: Mode
    key: str
    first_day: int
    last_day: int


class Calendar(Protocol):
    """A calendar of days, weeks and months. Implementations are stateless and thread-safe."""

    name: str
    """``jalali`` or ``gregorian``: the value of the setting ``CALENDAR``."""

    first_day: int
    """The first day of this calendar."""

    last_day: int
    """The last day of this calendar."""

    def period_of(self, mode: Mode, day: int) -> Period:
        """The period of `mode` that contains `day`.

        :raises ValueError: `day` is before `first_day` or after `last_day`.
        """

    def periods(self, mode: Mode, first_day: int, last_day: int) -> list[Period]:
        """The periods of `mode` with a day from `first_day` to `last_day`, both inclusive, ascending.

        The first may begin before `first_day`, and the last end after `last_day`: weeks and months are whole.

        :returns: empty if `last_day` is before `first_day`.
        :raises ValueError: one of the days is before the `first_day` of this calendar or after its `last_day`.
        """

    def label(self, period: Period, locale: Locale) -> str:
        """The label of `period` for people, such as ``۴ تیر ۱۴۰۳`` or ``1403 week 15``.

        Labels of one mode and locale are distinct, but unlike keys do not sort chronologically.

        :raises ValueError: `period` is not one of this calendar.
        """

    def parse(self, mode: Mode, key: str) -> Period:
        """The period of `mode` with the key `key`, which may have Persian (۰-۹) and Arabic (٠-٩) digits.

        :raises ValueError: `key` is invalid for `mode`; the message has an example.
        """
