"""Finds the format options with which most values of a field are counted: scale, text, and forms of times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bson import Decimal128

from jobs.decode.formats import EPOCH_MS, EPOCH_S, ISO, MAX_SCALE, Formats, format_words
from jobs.inspection.values import RoleValues

_FRACTION: Final = re.compile(r"[.,٫](\d+)$")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
"""An amount whose commas may separate thousands."""
_DATES: Final = ("%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y")
_TIMES: Final = (" %H:%M:%S", " %H:%M", "")
_PATTERNS: Final = (*(date + time for date in _DATES for time in _TIMES), "%Y%m%d%H%M%S")
_LIKELY_MS: Final = (631_152_000_000, 4_102_444_800_000)
"""1990 to 2100: no number is in these years both as seconds and as milliseconds."""
_ALMOST: Final = 0.99
"""Share of the values that any scale would count: doubles with rounding errors of sums do not need more places."""


@dataclass(frozen=True, slots=True)
class Context:
    """Settings that affect reading and proposals.

    :param named_ms: the half-open range of the calendar.
    :param time_zone: the zone of days, which is proposed for text without an offset.
    :param formats: the formats of the settings.
    """

    named_ms: tuple[int, int]
    time_zone: str
    formats: Formats = field(default_factory=Formats)


def best_formats(values: RoleValues, context: Context) -> Formats:
    """The formats that count the most of `values`; those of `context` if none counts more."""
    best, fewest = context.formats, values.rejected(context.named_ms, context.formats).total()
    if not fewest:
        return best
    for formats in _proposals(values, context):
        named_ms = _LIKELY_MS if values.role == "time" else context.named_ms
        rejected = values.rejected(named_ms, formats).total()
        if rejected < fewest:
            best, fewest = formats, rejected
    return best


def added_words(formats: Formats, better: Formats) -> list[str]:
    """The options that change `formats` to `better`."""
    return [] if better == formats else format_words(better)


def _proposals(values: RoleValues, context: Context) -> Iterator[Formats]:
    formats = context.formats
    if values.role == "amount":
        texts = [value for value in values.values if isinstance(value, str)]
        commas = (False, True) if any("," in text and not _THOUSANDS.fullmatch(text) for text in texts) else (False,)
        for text in (False, True):
            for comma in commas:
                written = replace(
                    formats,
                    amount_text=formats.amount_text or text,
                    csv_decimal_comma=formats.csv_decimal_comma or comma,
                )
                yield replace(written, amount_scale=_scale(values, written, context))
    if values.role == "time":
        in_zone = replace(formats, text_zone=context.time_zone, takes_earlier=True)
        yield replace(formats, time_format=ISO)
        yield replace(in_zone, time_format=ISO)
        yield replace(formats, time_format=EPOCH_S)
        yield replace(formats, time_format=EPOCH_MS)
        for pattern in _PATTERNS:
            yield replace(in_zone, time_format=pattern)


def _scale(amounts: RoleValues, formats: Formats, context: Context) -> int:
    """The smallest scale that counts nearly as many amounts as any other."""
    values = amounts.values
    counted = [
        len(values) - amounts.rejected(context.named_ms, replace(formats, amount_scale=scale)).total()
        for scale in range(MAX_SCALE + 1)
    ]
    needed = next(scale for scale, count in enumerate(counted) if count >= _ALMOST * max(counted))
    return max(needed, *(min(_places(value), MAX_SCALE) for value in values)) if needed else 0


def _places(value: Any) -> int:
    """The decimal places of a text or Decimal128, including trailing zeros."""
    fraction = _FRACTION.search(str(value)) if isinstance(value, str | Decimal128) else None
    return len(fraction[1]) if fraction else 0
