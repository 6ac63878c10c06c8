"""Validates the parameters of a query and makes the one-row table ``parameters``.

Values reach SQL as cells of this table, never as text of the statement.

================= ===========================================================================
kind              values
================= ===========================================================================
``day``           key or Gregorian date of a day; ``first`` and ``last`` are the first and last published day
``month``         key of a month, or Gregorian date in it; ``first`` and ``last`` are those of these days
``period``        key of a day, a week or a month, or Gregorian date of a day; ``first`` and ``last`` as for a month
``merchant``      a published merchant; by default null, all merchants together
``integer>=N``    an integer up to 2^31 - 1
``number>=N``     a finite number
``a|b``           one of these words
================= ===========================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import polars as pl

from core.analysis.queries import Parameter, Query
from core.calendar.dates import period_named
from core.calendar.periods import Calendar, Mode
from core.errors import UsageError

Value = str | int | float
"""The types of values; text is parsed as on the command line."""

_MODES: Final[Mapping[str, Sequence[Mode]]] = {
    "day": (Mode.DAILY,),
    "month": (Mode.MONTHLY,),
    "period": (Mode.DAILY, Mode.WEEKLY, Mode.MONTHLY),
}
_ENDS: Final = ("first", "last")
_LARGEST_INTEGER: Final = 2**31 - 1
_NUMBER: Final = re.compile(r"(integer|number)>=(\d+)")


@dataclass(frozen=True, slots=True)
class Published:
    """The keys of the first and last published day, for defaults; None if there is none."""

    calendar: Calendar
    first_day_key: str | None
    last_day_key: str | None


def bind(query: Query, given: Mapping[str, Value], published: Published) -> pl.DataFrame:
    """The table ``parameters`` for `query`: one row, one column per parameter.

    Keys, merchants and words are String, integers Int64, numbers Float64. ``first`` and ``last`` are null if no day is
    published.

    :param given: values by name; hyphens in names are equivalent to underscores.
    :raises UsageError: the query has no such parameter, or the value is invalid; or ``from`` is after ``to``.
    """
    values = {name.replace("-", "_"): value for name, value in given.items()}
    known = [parameter.name for parameter in query.parameters]
    for name in values:
        if name not in known:
            raise UsageError(
                f"the query {query.name} has no parameter {name}", f"Its parameters are: {', '.join(known) or 'none'}."
            )
    bound = pl.DataFrame([_column(parameter, values, published) for parameter in query.parameters])
    if values.keys() >= {"from", "to"}:
        first_key, last_key = bound["from"].item(), bound["to"].item()
        if first_key is not None and last_key is not None and first_key > last_key:
            raise UsageError(f"from {values['from']} is after to {values['to']}", "Exchange them.")
    return bound


def _column(parameter: Parameter, values: Mapping[str, Value], published: Published) -> pl.Series:
    kind, _, _ = parameter.kind.partition(">=")
    dtype = {"integer": pl.Int64, "number": pl.Float64}.get(kind, pl.String)
    if parameter.name in values:
        value = _checked(parameter, str(values[parameter.name]), published)
    else:
        value = None if kind == "merchant" else _checked(parameter, parameter.default, published)
    return pl.Series(parameter.name, [value], dtype)


def _checked(parameter: Parameter, text: str, published: Published) -> Value | None:
    """Parse `text`.

    :raises UsageError: it is invalid for the parameter's kind.
    """
    if modes := _MODES.get(parameter.kind):
        if text in _ENDS:
            return _published_key(parameter, text, published)
        return _key(parameter, text, published.calendar, modes)
    if number := _NUMBER.fullmatch(parameter.kind):
        return _number(parameter, text, number[1] == "integer", int(number[2]))
    if parameter.kind != "merchant" and text not in (words := parameter.kind.split("|")):
        raise _refused(parameter, text, f"one of {', '.join(words)}")
    return text


def _published_key(parameter: Parameter, end: str, published: Published) -> str | None:
    day_key = published.first_day_key if end == "first" else published.last_day_key
    if day_key is None or parameter.kind == "day":
        return day_key
    day = published.calendar.parse(Mode.DAILY, day_key).first_day
    return published.calendar.period_of(Mode.MONTHLY, day).key


def _key(parameter: Parameter, text: str, calendar: Calendar, modes: Sequence[Mode]) -> str:
    for mode in modes:
        with suppress(ValueError):
            return period_named(calendar, mode, text).key
    examples = " or ".join(calendar.period_of(mode, 19_898).key for mode in modes)
    raise _refused(parameter, text, f"a key of the {calendar.name} calendar, such as {examples}, or a Gregorian date")


def _number(parameter: Parameter, text: str, is_integer: bool, least: int) -> int | float:
    most = _LARGEST_INTEGER if is_integer else math.inf
    with suppress(ValueError):
        value = int(text) if is_integer else float(text)
        if least <= value <= most and math.isfinite(value):
            return value
    whole = "a whole" if is_integer else "a"
    raise _refused(parameter, text, f"{whole} number, {least} or more")


def _refused(parameter: Parameter, text: str, wanted: str) -> UsageError:
    return UsageError(f"{text!r} is not a value of {parameter.name} ({parameter.about})", f"It must be {wanted}.")
