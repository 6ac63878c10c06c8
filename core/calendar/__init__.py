"""Days, weeks and months: their names, and their bounds in a time zone.

`core.calendar.days` (local days of a time zone) and `core.calendar.period_table` (table of a run's periods) are not
imported here, as they load NumPy and Polars.
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
    """The calendar `name` of the setting ``CALENDAR``.

    :raises ValueError: it does not exist; the message lists all.

    >>> calendar_named("gregorian").period_of(Mode.WEEKLY, 0).key
    '1970-W01'
    """
    try:
        return _CALENDARS[name]
    except KeyError:
        raise ValueError(f"there is no calendar {name!r}; use {' or '.join(_CALENDARS)}") from None
