"""Days, weeks and months: what they are called, and when they begin in a time zone.

`core.calendar.days` finds the local days of a time zone and `core.calendar.period_table` makes the table of a run's
periods; they load NumPy and Polars and are imported by name.
"""

from core.calendar.gregorian import GregorianCalendar
from core.calendar.jalali import JalaliCalendar
from core.calendar.periods import Calendar, Locale, Mode, Period

__all__ = [
    "CALENDAR_NAMES",
    "Calendar",
    "GregorianCalendar",
    "JalaliCalendar",
    "Locale",
    "Mode",
    "Period",
    "calendar_named",
]

_CALENDARS: dict[str, Calendar] = {calendar.name: calendar for calendar in (JalaliCalendar(), GregorianCalendar())}

CALENDAR_NAMES = tuple(_CALENDARS)
"""The values of the setting ``CALENDAR``."""


def calendar_named(name: str) -> Calendar:
    """The calendar that the setting ``CALENDAR`` calls `name`.

    :raises ValueError: there is none; the message names those there are.

    >>> calendar_named("gregorian").period_of(Mode.WEEKLY, 0).key
    '1970-W01'
    """
    try:
        return _CALENDARS[name]
    except KeyError:
        raise ValueError(f"there is no calendar {name!r}, only {' and '.join(_CALENDARS)}") from None
