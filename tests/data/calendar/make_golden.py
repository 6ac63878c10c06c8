"""Writes the golden files beside it from ICU: Jalali dates and weeks, labels, and local dates around changes of clocks.

Needs PyICU 2.17 (`apt-get install libicu-dev pkg-config g++`, then `pip install PyICU==2.17`), which the tests do not.
PyICU takes and gives instants in seconds.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import icu

HERE = Path(__file__).parent
DAY_S = 86_400
EPOCH = date(1970, 1, 1).toordinal()
FIELD = icu.UCalendarDateFields

FIRST_YEAR, LAST_YEAR = 1200, 1501
FIRST_DAILY_YEAR, LAST_DAILY_YEAR = 1380, 1420
FIRST_LABELLED, LAST_LABELLED, LABELLED_EVERY_DAYS = date(2020, 1, 1), date(2025, 12, 31), 9
LOCALES = {"fa": "fa_IR", "en": "en_US"}
ZONES = (
    "Africa/Cairo",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Tehran",
    "Europe/Berlin",
    "Pacific/Apia",
)
# Releases of the IANA data keep revising what is before 1970; what Egypt decided for 2023 is not yet in ICU 72.
FIRST_CHANGE = datetime(1970, 1, 1, tzinfo=UTC)
LAST_CHANGE = datetime(2023, 1, 1, tzinfo=UTC)
# Iran went back to UTC+3:30 on 31 December 1978 says ICU 72, on 10 November says the release 2025b; it put clocks
# forward on 27 May 1979 say both, on 26 May says the release 2026f.
DISPUTED = {"Asia/Tehran": (datetime(1978, 11, 9, tzinfo=UTC), datetime(1979, 5, 29, tzinfo=UTC))}


class PersianCalendar:
    """ICU's Calendar for fa_IR with the persian calendar, at UTC."""

    def __init__(self) -> None:
        self._icu = icu.Calendar.createInstance(icu.TimeZone.getGMT(), icu.Locale("fa_IR@calendar=persian"))
        assert self._icu.getType() == "persian"

    def first_day_of(self, year: int) -> int:
        """The days since 1970-01-01 of the first day of `year`."""
        self._icu.clear()
        self._icu.set(FIELD.EXTENDED_YEAR, year)
        self._icu.set(FIELD.MONTH, 0)
        self._icu.set(FIELD.DATE, 1)
        return int(self._icu.getTime() // DAY_S)

    def date_and_week_of(self, day: int) -> tuple[int, int, int, int, int]:
        """The year, month from 1, day of the month, year of the week and week of the year of `day`."""
        self._icu.setTime(float(day * DAY_S + DAY_S // 2))
        year, month, day_of_month, week_year, week = (
            self._icu.get(field)
            for field in (FIELD.EXTENDED_YEAR, FIELD.MONTH, FIELD.DATE, FIELD.YEAR_WOY, FIELD.WEEK_OF_YEAR)
        )
        return year, month + 1, day_of_month, week_year, week


def jalali_days(calendar: PersianCalendar) -> Iterator[str]:
    """One line for every day of the years that most transactions fall in."""
    yield "gregorian,year,month,day,week_year,week"
    for day in range(calendar.first_day_of(FIRST_DAILY_YEAR), calendar.first_day_of(LAST_DAILY_YEAR + 1)):
        yield ",".join(map(str, (date.fromordinal(day + EPOCH), *calendar.date_and_week_of(day))))


def jalali_years(calendar: PersianCalendar) -> Iterator[str]:
    """One line for every year that the program names: its first day, its length, and the week of its first day."""
    yield "year,gregorian,length,week_year,week"
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        first_day = calendar.first_day_of(year)
        length = calendar.first_day_of(year + 1) - first_day
        week_year, week = calendar.date_and_week_of(first_day)[3:]
        yield ",".join(map(str, (year, date.fromordinal(first_day + EPOCH), length, week_year, week)))


def labels() -> Iterator[str]:
    """One line for each calendar, locale and every ninth day: the day and its month in words."""
    yield "calendar,locale,gregorian,daily,monthly"
    for calendar, icu_calendar in (("jalali", "persian"), ("gregorian", "gregorian")):
        for locale, icu_locale in LOCALES.items():
            formats = [
                icu.SimpleDateFormat(pattern, icu.Locale(f"{icu_locale}@calendar={icu_calendar}"))
                for pattern in ("d MMMM y", "MMMM y")
            ]
            for form in formats:
                form.setTimeZone(icu.TimeZone.getGMT())
            for day in range(FIRST_LABELLED.toordinal(), LAST_LABELLED.toordinal() + 1, LABELLED_EVERY_DAYS):
                instant_s = float((day - EPOCH) * DAY_S + DAY_S // 2)
                texts = (form.format(instant_s) for form in formats)
                yield ",".join((calendar, locale, str(date.fromordinal(day)), *texts))


def local_dates() -> Iterator[str]:
    """One line for each instant near a change of clocks: around the change itself, and around the midnights near it."""
    yield "zone,instant_ms,local_date"
    for name in ZONES:
        zone = icu.TimeZone.createTimeZone(name)
        calendar = icu.GregorianCalendar(zone)
        disputed_from, disputed_until = DISPUTED.get(name, (LAST_CHANGE, LAST_CHANGE))
        for instant_ms in sorted(set(_instants_near_changes(zone))):
            if disputed_from.timestamp() <= instant_ms / 1000 < disputed_until.timestamp():
                continue
            calendar.setTime(instant_ms / 1000)
            year, month, day = (calendar.get(field) for field in (FIELD.EXTENDED_YEAR, FIELD.MONTH, FIELD.DATE))
            yield f"{name},{instant_ms},{date(year, month + 1, day)}"


def _instants_near_changes(zone: icu.TimeZone) -> Iterator[int]:
    change = zone.getNextTransition(FIRST_CHANGE.timestamp(), False)
    while change and (at_s := round(change.getTime())) < LAST_CHANGE.timestamp():
        yield from (at_s * 1000 - 1, at_s * 1000, at_s * 1000 + 1)
        for rule in (change.getFrom(), change.getTo()):
            offset_s = (rule.getRawOffset() + rule.getDSTSavings()) // 1000
            today = (at_s + offset_s) // DAY_S
            for midnight_s in (day * DAY_S - offset_s for day in range(today - 1, today + 3)):
                yield from (midnight_s * 1000 - 1, midnight_s * 1000)
        change = zone.getNextTransition(float(at_s), False)


def write(name: str, lines: Iterator[str]) -> None:
    """Writes `lines` gzipped, to the same bytes every time."""
    content = "".join(f"{line}\n" for line in lines).encode()
    (HERE / name).write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


if __name__ == "__main__":
    persian = PersianCalendar()
    write("jalali_days.csv.gz", jalali_days(persian))
    write("jalali_years.csv.gz", jalali_years(persian))
    write("labels.csv.gz", labels())
    write("local_dates.csv.gz", local_dates())
    print(f"made with ICU {icu.ICU_VERSION}")
