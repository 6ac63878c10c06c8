"""The vocabulary of the calendar: modes, periods, and what a calendar must be able to do.

A *day* is everywhere an integer, the number of days since 1970-01-01 of the proleptic Gregorian calendar (so 0 is
1970-01-01, -1 is 1969-12-31): the local date of an instant, without a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

Locale = Literal["fa", "en"]
"""The languages in which periods are labelled; Persian ones have Persian digits."""


class Mode(StrEnum):
    """The lengths of period that summaries exist for."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Period:
    """One period of a calendar.

    :param mode: its length.
    :param key: its name in the chosen calendar, such as ``1403/04/04``, ``1403/W15`` or ``1403/04``; keys of one mode
        sort as text in the order of time.
    :param first_day: its first day.
    :param last_day: its last day, inclusive.
    """

    mode: Mode
    key: str
    first_day: int
    last_day: int


class Calendar(Protocol):
    """Names days, weeks and months. Implementations are stateless and safe to share between threads."""

    name: str
    """``jalali`` or ``gregorian``: the value of the setting ``CALENDAR``."""

    first_day: int
    """The earliest day that this calendar names."""

    last_day: int
    """The latest day that this calendar names."""

    def period_of(self, mode: Mode, day: int) -> Period:
        """The period of `mode` that `day` belongs to.

        :raises ValueError: `day` is before `first_day` or after `last_day`.
        """

    def periods(self, mode: Mode, first_day: int, last_day: int) -> list[Period]:
        """Every period of `mode` that holds a day from `first_day` to `last_day`, both inclusive, ascending.

        The first may begin before `first_day`, and the last end after `last_day`: weeks and months are whole.

        :returns: none when `last_day` is before `first_day`.
        :raises ValueError: one of the days is before the `first_day` of this calendar or after its `last_day`.
        """

    def label(self, period: Period, locale: Locale) -> str:
        """What people call `period`, one of this calendar, such as ``۴ تیر ۱۴۰۳`` or ``1403 week 15``.

        Labels of one mode and locale are distinct. They do not sort in the order of time; keys do.

        :raises ValueError: `period` is not one of this calendar.
        """

    def parse(self, mode: Mode, key: str) -> Period:
        """The period of `mode` whose key is `key`. Persian (۰-۹) and Arabic (٠-٩) digits are understood.

        :raises ValueError: `key` names no period of `mode`; the message says what a key looks like.
        """
