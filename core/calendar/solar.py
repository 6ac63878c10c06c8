"""What the calendars of years, twelve months and days have in common: keys, weeks and the search for a key's period.

Weeks are whole and follow the rule of Unicode CLDR (UTS 35, "Week Data"), which has two parameters: the weekday that a
week begins on and the *minimal days*, how many days of a week must lie in a year for the week to bear that year.
With minimal days 1 a week bears the year of its last day, with 4 (ISO 8601) that of its fourth.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from core.calendar.periods import Mode, Period

MONDAY, SATURDAY = 0, 5

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_ASCII_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)
_LONGEST_QUOTE = 40


def gregorian_date(day: int) -> date:
    """The proleptic Gregorian date of `day` (days since 1970-01-01)."""
    return date.fromordinal(day + _EPOCH_ORDINAL)


def day_number(gregorian: date) -> int:
    """The days since 1970-01-01 of a proleptic Gregorian date."""
    return gregorian.toordinal() - _EPOCH_ORDINAL


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How the keys of one mode are written.

    :param template: `str.format` template that takes the numbers of a key: its year, and month and day, week or month.
    :param pattern: a regular expression with one group of ASCII digits for each of these numbers.
    :param example: a key of this form, shown to users.
    """

    template: str
    pattern: str
    example: str

    def write(self, *numbers: int) -> str:
        """The key made of `numbers`."""
        return self.template.format(*numbers)

    def read(self, key: str) -> tuple[int, ...] | None:
        """The numbers in `key`, or None when it is not of this form."""
        found = re.fullmatch(self.pattern, key)
        return tuple(map(int, found.groups())) if found else None


class SolarCalendar(ABC):
    """A calendar whose years have twelve months; a subclass gives the conversion, the week rule and the keys.

    Days from `first_day` to `last_day` are named. The weeks and months of these days are whole, so that the first and
    the last week may reach up to six days beyond.
    """

    name: str
    first_day: int
    last_day: int
    _week_begins: ClassVar[int]
    _minimal_days: ClassVar[int]
    _forms: ClassVar[Mapping[Mode, KeyForm]]

    @abstractmethod
    def date_of(self, day: int) -> tuple[int, int, int]:
        """The year, month (1 to 12) and day of the month (from 1) of `day` (days since 1970-01-01)."""

    @abstractmethod
    def day_of(self, year: int, month: int, day: int) -> int:
        """The days since 1970-01-01 of a date.

        :raises ValueError: there is no such date.
        """

    def period_of(self, mode: Mode, day: int) -> Period:
        """The period of `mode` that `day` belongs to.

        :raises ValueError: `day` is before `first_day` or after `last_day`.
        """
        if not self.first_day <= day <= self.last_day:
            raise ValueError(
                f"day {day} since 1970-01-01 is outside the {self.name} calendar ({self._range_of(Mode.DAILY)})"
            )
        match mode:
            case Mode.DAILY:
                return self._period(mode, day, day, *self.date_of(day))
            case Mode.WEEKLY:
                first = self._week_start(day)
                deciding = first + self._deciding
                year = self.date_of(deciding)[0]
                week = (deciding - self.day_of(year, 1, 1)) // 7 + 1
                return self._period(mode, first, first + 6, year, week)
            case Mode.MONTHLY:
                year, month, _ = self.date_of(day)
                following = self.day_of(year + month // 12, month % 12 + 1, 1)
                return self._period(mode, self.day_of(year, month, 1), following - 1, year, month)

    def parse(self, mode: Mode, key: str) -> Period:
        """The period of `mode` whose key is `key`. Persian (۰-۹) and Arabic (٠-٩) digits are understood.

        :raises ValueError: `key` names no period of `mode`; the message says what a key looks like.
        """
        text = key.translate(_ASCII_DIGITS)
        if numbers := self._forms[mode].read(text):
            with suppress(ValueError):
                day = self._day_named(mode, numbers)
                # A week at the edge begins or ends outside the range; any of its days within names it. What lies
                # wholly outside comes back under another key, and so does week 53 of a year that has 52.
                period = self.period_of(mode, min(max(day, self.first_day), self.last_day))
                if period.key == text:
                    return period
        shown = key if len(key) <= _LONGEST_QUOTE else key[:_LONGEST_QUOTE] + "…"
        raise ValueError(
            f"{shown!r} is not a {mode} key of the {self.name} calendar; "
            f"one looks like {self._forms[mode].example} ({self._range_of(mode)})"
        )

    def _day_named(self, mode: Mode, numbers: tuple[int, ...]) -> int:
        year, *rest = numbers
        match mode:
            case Mode.DAILY:
                return self.day_of(year, rest[0], rest[1])
            case Mode.WEEKLY:
                first_of_year = self.day_of(year, 1, 1)
                week_1 = self._week_start(first_of_year + 6 - self._deciding)
                return week_1 + 7 * (rest[0] - 1)
            case Mode.MONTHLY:
                return self.day_of(year, rest[0], 1)

    def _period(self, mode: Mode, first_day: int, last_day: int, *numbers: int) -> Period:
        return Period(mode, self._forms[mode].write(*numbers), first_day, last_day)

    @property
    def _deciding(self) -> int:
        """Which day of a week, counted from 0, decides the year that the week bears."""
        return 7 - self._minimal_days

    def _week_start(self, day: int) -> int:
        weekday = (day + 3) % 7  # 1970-01-01 was a Thursday, which is 3 when Monday is 0.
        return day - (weekday - self._week_begins) % 7

    def _range_of(self, mode: Mode) -> str:
        return f"{self.period_of(mode, self.first_day).key} to {self.period_of(mode, self.last_day).key}"
