"""Parses periods as typed by people and schedules: keys, or Gregorian dates in every calendar."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import Final

from core.calendar.digits import ascii_digits
from core.calendar.periods import Calendar, Mode, Period
from core.calendar.solar import day_number

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXAMPLE: Final = "2024-06-24"


def period_named(calendar: Calendar, mode: Mode, text: str) -> Period:
    """The period of `mode` with the key `text`, or with the Gregorian date `text`.

    :raises ValueError: it is neither; the message has an example of both.
    """
    plain = ascii_digits(text)
    if _DATE.fullmatch(plain):
        with suppress(ValueError):  # no date, or one outside of the calendar
            return calendar.period_of(mode, day_number(date.fromisoformat(plain)))
    try:
        return calendar.parse(mode, text)
    except ValueError as error:
        detail = str(error)
        raise ValueError(detail if _EXAMPLE in detail else f"{detail}, or like the Gregorian date {_EXAMPLE}") from None
