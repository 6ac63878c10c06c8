"""The Gregorian calendar with the weeks of ISO 8601."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from core.calendar.periods import Locale, Mode
from core.calendar.solar import MONDAY, KeyForm, SolarCalendar, day_number, gregorian_date


class GregorianCalendar(SolarCalendar):
    """Gregorian days ``2024-06-24``, ISO 8601 weeks ``2024-W26`` from Monday to Sunday, and months ``2024-06``.

    A week has the year of its Thursday. The calendar has the years 1800 to 2299.

    >>> GregorianCalendar().parse(Mode.MONTHLY, "1970-01")
    Period(mode=<Mode.MONTHLY: 'monthly'>, key='1970-01', first_day=0, last_day=30)
    """

    name = "gregorian"
    first_day = day_number(date(1800, 1, 1))
    last_day = day_number(date(2299, 12, 31))
    _week_begins = MONDAY
    _minimal_days = 4
    _forms: ClassVar = {
        Mode.DAILY: KeyForm("{:04}-{:02}-{:02}", "([0-9]{4})-([0-9]{2})-([0-9]{2})", "2024-06-24"),
        Mode.WEEKLY: KeyForm("{:04}-W{:02}", "([0-9]{4})-W([0-9]{2})", "2024-W26"),
        Mode.MONTHLY: KeyForm("{:04}-{:02}", "([0-9]{4})-([0-9]{2})", "2024-06"),
    }

    # The Persian names end in an ezafe where possible, like CLDR's names before a year.
    _month_names: ClassVar[dict[Locale, tuple[str, ...]]] = {
        "fa": (
            "ژانویهٔ",
            "فوریهٔ",
            "مارس",
            "آوریل",
            "مهٔ",
            "ژوئن",
            "ژوئیهٔ",
            "اوت",
            "سپتامبر",
            "اکتبر",
            "نوامبر",
            "دسامبر",
        ),
        "en": (
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ),
    }

    def date_of(self, day: int) -> tuple[int, int, int]:
        gregorian = gregorian_date(day)
        return gregorian.year, gregorian.month, gregorian.day

    def day_of(self, year: int, month: int, day: int) -> int:
        return day_number(date(year, month, day))

    def month_names(self, locale: Locale) -> tuple[str, ...]:
        return self._month_names[locale]
