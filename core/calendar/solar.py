"""The base of calendars with years of twelve months: keys, weeks and the lookup of a key's period.

Weeks are whole and follow the rule of Unicode CLDR (UTS 35, "Week Data"), which has two parameters: the first weekday,
and the *minimal days* of a week that must be in a year for the week to have that year. With minimal days 1 a week has
the year of its last day, with 4 (ISO 8601) that of its fourth.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from core.calendar.digits import ascii_digits, persian_digits
from core.calendar.periods import Calendar, Locale, Mode, Period

MONDAY, SATURDAY = 0, 5

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LONGEST_QUOTE = 40
_DAY, _MONTH = "{2} {month} {0}", "{month} {0}"
_LABELS: Final[Mapping[Locale, Mapping[Mode, str]]] = {
    "fa": {Mode.DAILY: _DAY, Mode.WEEKLY: "{0} هفته {1}", Mode.MONTHLY: _MONTH},
    "en": {Mode.DAILY: _DAY, Mode.WEEKLY: "{0} week {1}", Mode.MONTHLY: _MONTH},
}
"""`str.format` templates for the numbers of a key and the name of the month."""


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The format of the keys of one mode.

    :param template: `str.format` template for the numbers of a key: its year, and month and day, week or month.
    :param pattern: a regular expression with one group of ASCII digits for each number.
    :param example: an example for users.
    """

    template: str
    pattern: str
    example: str

    def read(self, key: str) -> tuple[int, ...] | None:
        """The numbers of `key`, or None if it has another form."""
        found = re.fullmatch(self.pattern, key)
        return tuple(map(int, found.groups())) if found else None


def gregorian_date(day: int) -> date:
    """The proleptic Gregorian date of `day` (days since 1970-01-01)."""
    return date.fromordinal(day + _EPOCH_ORDINAL)


def day_number(gregorian: date) -> int:
    """The days since 1970-01-01 of a proleptic Gregorian date."""
    return gregorian.toordinal() - _EPOCH_ORDINAL


class SolarCalendar(Calendar):
    """A calendar of years with twelve months; a subclass defines the conversion, the week rule and the keys.

    It has the days from `first_day` to `last_day`. Their weeks and months are whole, so the first and the last week may
    extend up to six days beyond.
    """

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

    @abstractmethod
    def month_names(self, locale: Locale) -> Sequence[str]:
        """The names of the twelve months, in the form before a year."""

    def period_of(self, mode: Mode, day: int) -> Period:
        self._require_named(day)
        if mode is Mode.DAILY:  # faster than by the bounds of its month
            return self._period(mode, day, day, *self.date_of(day))
        return next(self._periods(mode, day, day))

    def periods(self, mode: Mode, first_day: int, last_day: int) -> list[Period]:
        # Dates are converted once a month, or once a year for weeks: a year of days takes about a millisecond.
        self._require_named(first_day)
        self._require_named(last_day)
        return list(self._periods(mode, first_day, last_day)) if first_day <= last_day else []

    def label(self, period: Period, locale: Locale) -> str:
        numbers = self._forms[period.mode].read(period.key)
        if numbers is None:
            raise ValueError(f"{period.key!r} is not a {period.mode} key of the {self.name} calendar")
        month = "" if period.mode is Mode.WEEKLY else self.month_names(locale)[numbers[1] - 1]
        text = _LABELS[locale][period.mode].format(*numbers, month=month)
        return persian_digits(text) if locale == "fa" else text

    def parse(self, mode: Mode, key: str) -> Period:
        text = ascii_digits(key)
        if numbers := self._forms[mode].read(text):
            with suppress(ValueError):
                day = self._day_named(mode, numbers)
                # A week at the edge extends beyond the calendar, so look it up by a day inside. A key that is wholly
                # outside, or week 53 of a year with 52, results in another key.
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
                return self._week_1_of(year) + 7 * (rest[0] - 1)
            case Mode.MONTHLY:
                return self.day_of(year, rest[0], 1)

    def _periods(self, mode: Mode, first_day: int, last_day: int) -> Iterator[Period]:
        match mode:
            case Mode.DAILY:
                return self._days(first_day, last_day)
            case Mode.WEEKLY:
                return self._weeks(first_day, last_day)
            case Mode.MONTHLY:
                return self._months(first_day, last_day)

    def _days(self, first_day: int, last_day: int) -> Iterator[Period]:
        for year, month, first_of_month, following in self._month_bounds(first_day, last_day):
            for day in range(max(first_day, first_of_month), min(last_day + 1, following)):
                yield self._period(Mode.DAILY, day, day, year, month, day - first_of_month + 1)

    def _weeks(self, first_day: int, last_day: int) -> Iterator[Period]:
        week_start = self._week_start(first_day)
        year = self.date_of(week_start + self._deciding)[0]
        while week_start <= last_day:
            week_1, following_week_1 = self._week_1_of(year), self._week_1_of(year + 1)
            for start in range(week_start, min(last_day + 1, following_week_1), 7):
                yield self._period(Mode.WEEKLY, start, start + 6, year, (start - week_1) // 7 + 1)
            year, week_start = year + 1, following_week_1

    def _months(self, first_day: int, last_day: int) -> Iterator[Period]:
        for year, month, first_of_month, following in self._month_bounds(first_day, last_day):
            yield self._period(Mode.MONTHLY, first_of_month, following - 1, year, month)

    def _month_bounds(self, first_day: int, last_day: int) -> Iterator[tuple[int, int, int, int]]:
        """The months with a day of the range: (year, month, its first day, the first day of the next)."""
        year, month, _ = self.date_of(first_day)
        first_of_month = self.day_of(year, month, 1)
        while first_of_month <= last_day:
            following_year, following_month = year + month // 12, month % 12 + 1
            following = self.day_of(following_year, following_month, 1)
            yield year, month, first_of_month, following
            year, month, first_of_month = following_year, following_month, following

    def _week_1_of(self, year: int) -> int:
        """The first day of week 1 of `year`."""
        return self._week_start(self.day_of(year, 1, 1) + 6 - self._deciding)

    def _require_named(self, day: int) -> None:
        if not self.first_day <= day <= self.last_day:
            raise ValueError(
                f"day {day} since 1970-01-01 is outside the {self.name} calendar ({self._range_of(Mode.DAILY)})"
            )

    def _period(self, mode: Mode, first_day: int, last_day: int, *numbers: int) -> Period:
        return Period(mode, self._forms[mode].template.format(*numbers), first_day, last_day)

    @property
    def _deciding(self) -> int:
        """The index of the day that determines the year of a week."""
        return 7 - self._minimal_days

    def _week_start(self, day: int) -> int:
        weekday = (day + 3) % 7  # 1970-01-01 was a Thursday, weekday 3 (Monday is 0).
        return day - (weekday - self._week_begins) % 7

    def _range_of(self, mode: Mode) -> str:
        return f"{self.period_of(mode, self.first_day).key} to {self.period_of(mode, self.last_day).key}"
