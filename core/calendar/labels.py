"""Labels of periods for people, by locale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from core.calendar.digits import persian_digits
from core.calendar.periods import Locale, Mode


@dataclass(frozen=True, slots=True)
class _Wording:
    """`str.format` templates for the labels of one locale, by mode."""

    templates: Mapping[Mode, str]
    digits: Callable[[str], str]


_DAY, _MONTH = "{2} {month} {0}", "{month} {0}"

_WORDINGS: Final[Mapping[Locale, _Wording]] = {
    "fa": _Wording({Mode.DAILY: _DAY, Mode.WEEKLY: "{0} هفته {1}", Mode.MONTHLY: _MONTH}, persian_digits),
    "en": _Wording({Mode.DAILY: _DAY, Mode.WEEKLY: "{0} week {1}", Mode.MONTHLY: _MONTH}, str),
}


def label(mode: Mode, numbers: tuple[int, ...], months: tuple[str, ...], locale: Locale) -> str:
    """The label of the period of `mode` with the key `numbers`.

    :param numbers: its year; then its month and day, its week, or its month.
    :param months: the names of the twelve months in `locale`, in the form before a year.

    >>> label(Mode.WEEKLY, (1403, 15), (), "en")
    '1403 week 15'
    """
    wording = _WORDINGS[locale]
    month = "" if mode is Mode.WEEKLY else months[numbers[1] - 1]
    return wording.digits(wording.templates[mode].format(*numbers, month=month))
