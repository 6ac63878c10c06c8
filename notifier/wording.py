"""What subscribers receive: title and body of a notification about one period, in the language they chose."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.calendar.digits import persian_digits
from core.calendar.periods import Locale, Mode
from core.money import grouped

# The mark before the minus keeps it at the left of the number in a line of Persian.
_PERSIAN_MARKS: Final = str.maketrans({",": "\u066c", ".": "\u066b", "-": "\u200e\u2212"})
_PERSIAN_CURRENCIES: Final[Mapping[str, str]] = {"IRR": "ریال", "IRT": "تومان"}
_LONGEST_NAME: Final = 100
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
# Line breaks and the like, which a title cannot have; characters that would turn the text behind them around.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_PERSIAN_TEXT: Final = frozenset({"R", "AL", "NSM", "WS", "BN"})


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """What one period came to.

    :param merchant_id: whose, or None: of all merchants together.
    :param label: what people call the period, in the language of the message.
    :param amount: in the unit `currency`, or where `scale` is not 0 in units of so many decimal places.
    """

    mode: Mode
    merchant_id: str | None
    label: str
    amount: int
    count: int
    currency: str
    scale: int = 0


@dataclass(frozen=True, slots=True)
class _Template:
    titles: Mapping[Mode, str]
    merchant: str
    everyone: str
    none: str
    one: str
    many: str

    def body(self, count: int) -> str:
        return self.many if count > 1 else self.one if count else self.none


_TEMPLATES: Final[Mapping[Locale, _Template]] = {
    "en": _Template(
        titles={
            Mode.DAILY: "Daily summary for {whose}",
            Mode.WEEKLY: "Weekly summary for {whose}",
            Mode.MONTHLY: "Monthly summary for {whose}",
        },
        merchant="merchant {name}",
        everyone="all merchants",
        none="{label}: no transactions.",
        one="{label}: {amount} {currency} in {count} transaction.",
        many="{label}: {amount} {currency} in {count} transactions.",
    ),
    # In Persian a noun behind a number has no plural.
    "fa": _Template(
        titles={
            Mode.DAILY: "خلاصهٔ روزانهٔ {whose}",
            Mode.WEEKLY: "خلاصهٔ هفتگی {whose}",
            Mode.MONTHLY: "خلاصهٔ ماهانهٔ {whose}",
        },
        merchant="پذیرندهٔ {name}",
        everyone="همهٔ پذیرندگان",
        none="{label}: بدون تراکنش.",
        one="{label}: {amount} {currency} در {count} تراکنش.",
        many="{label}: {amount} {currency} در {count} تراکنش.",
    ),
}


def write(totals: PeriodTotals, locale: Locale) -> tuple[str, str]:
    """The title and the body that tell of `totals`, a line each.

    >>> write(PeriodTotals(Mode.DAILY, "m1", "4 Tir 1403", 1234567, 12, "IRR"), "en")
    ('Daily summary for merchant m1', '4 Tir 1403: 1,234,567 IRR in 12 transactions.')
    """
    template = _TEMPLATES[locale]
    whose = template.everyone
    if totals.merchant_id is not None:
        whose = template.merchant.format(name=shown(totals.merchant_id, locale))
    body = template.body(totals.count).format(
        label=totals.label,
        amount=separated(totals.amount, locale, totals.scale),
        currency=_PERSIAN_CURRENCIES.get(totals.currency, totals.currency) if locale == "fa" else totals.currency,
        count=separated(totals.count, locale),
    )
    return template.titles[totals.mode].format(whose=whose), body


def shown(name: str, locale: Locale) -> str:
    """`name`, which may be any text of any length, as it can stand in a line of `locale`.

    What is not of the direction of that line is set apart by invisible marks (UAX #9): else ``12-ab`` in a line of
    Persian would be read as ``ab-12``. Where none are needed there are none: they would make an SMS twice as dear.
    """
    printable = "".join(" " if unicodedata.category(character) in _UNPRINTABLE else character for character in name)
    plain = "".join(character for character in printable if unicodedata.bidirectional(character) not in _DIRECTING)
    if len(plain) > _LONGEST_NAME:
        plain = plain[: _LONGEST_NAME - 1] + "…"
    directions = {unicodedata.bidirectional(character) for character in plain}
    fits = not directions & _RIGHT_TO_LEFT if locale == "en" else directions <= _PERSIAN_TEXT
    if fits or (plain.isascii() and plain.isalnum()):
        return plain
    return f"{_ISOLATE}{plain}{_END_OF_ISOLATE}"


def separated(number: int, locale: Locale, scale: int = 0) -> str:
    """`number` in groups of three digits, in the digits of `locale`.

    :param scale: how many of its digits are decimals.

    >>> separated(-1234567, "fa")
    '\u200e−۱٬۲۳۴٬۵۶۷'
    >>> separated(-1234567, "fa", scale=2)
    '\u200e−۱۲٬۳۴۵٫۶۷'
    """
    text = grouped(number, scale)
    return text if locale == "en" else persian_digits(text.translate(_PERSIAN_MARKS))
