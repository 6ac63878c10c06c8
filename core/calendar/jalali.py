"""The Jalali (Solar Hijri) calendar, the official calendar of Iran."""

from __future__ import annotations

import os
from datetime import date
from functools import cache
from typing import Any, ClassVar

from core.calendar.periods import Locale, Mode
from core.calendar.solar import SATURDAY, KeyForm, SolarCalendar, day_number, gregorian_date


@cache
def _jdatetime() -> Any:
    """The module jdatetime, imported on demand, as the Gregorian calendar does not need it."""
    try:
        import jdatetime
    except ValueError:  # it reads the locale of the environment, which Python does not know
        os.environ["LC_ALL"] = "C.UTF-8"
        import jdatetime
    return jdatetime


class JalaliCalendar(SolarCalendar):
    """Jalali days ``1403/04/04``, weeks ``1403/W15`` from Saturday to Friday, and months ``1403/04``.

    A week has the Jalali year of its Friday, the CLDR rule for fa_IR (first day Saturday, minimal days 1): 2024-03-16
    to 22 is ``1403/W01``. jdatetime converts the dates; its week numbers are not used, as they split the week of
    Nowruz.

    The calendar has the years 1200 to 1501. There the 33-year rule of jdatetime agrees with every version of ICU. Later
    they differ: by the equinox 1503 is a leap year and 1502 is not (ICU 78), but jdatetime and ICU 72 say the opposite.

    >>> calendar = JalaliCalendar()
    >>> calendar.parse(Mode.WEEKLY, "۱۴۰۳/W۰۱")
    Period(mode=<Mode.WEEKLY: 'weekly'>, key='1403/W01', first_day=19798, last_day=19804)
    >>> calendar.period_of(Mode.DAILY, 19804).key
    '1403/01/03'
    """

    name = "jalali"
    first_day = day_number(date(1821, 3, 21))
    last_day = day_number(date(2123, 3, 20))
    _week_begins = SATURDAY
    _minimal_days = 1
    _forms: ClassVar = {
        Mode.DAILY: KeyForm("{:04}/{:02}/{:02}", "([0-9]{4})/([0-9]{2})/([0-9]{2})", "1403/04/04"),
        Mode.WEEKLY: KeyForm("{:04}/W{:02}", "([0-9]{4})/W([0-9]{2})", "1403/W15"),
        Mode.MONTHLY: KeyForm("{:04}/{:02}", "([0-9]{4})/([0-9]{2})", "1403/04"),
    }

    def date_of(self, day: int) -> tuple[int, int, int]:
        jalali = _jdatetime().date.fromgregorian(date=gregorian_date(day))
        return jalali.year, jalali.month, jalali.day

    def day_of(self, year: int, month: int, day: int) -> int:
        return day_number(_jdatetime().date(year, month, day).togregorian())

    def month_names(self, locale: Locale) -> list[str]:
        months = _jdatetime().date
        names: list[str] = months.j_months_fa if locale == "fa" else months.j_months_en
        return names
