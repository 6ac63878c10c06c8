"""The title and body of an announcement of one period, in the language of the subscription."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.calendar.digits import persian_digits
from core.calendar.periods import Locale, Mode
from core.money import grouped
from core.notifications.model import AnnouncedTotals

# The mark before the minus keeps it at the left of the number in a line of Persian.
_PERSIAN_MARKS: Final = str.maketrans({",": "\u066c", ".": "\u066b", "-": "\u200e\u2212"})
_PERSIAN_CURRENCIES: Final[Mapping[str, str]] = {"IRR": "ریال", "IRT": "تومان"}
_LONGEST_NAME: Final = 100
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
# Line breaks and the like, which a title cannot have; characters that would change the direction of further text.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_PERSIAN_TEXT: Final = frozenset({"R", "AL", "NSM", "WS", "BN"})


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


def write(totals: AnnouncedTotals, merchant_id: str | None, label: str, locale: Locale) -> tuple[str, str]:
    """The title and the body about `totals`, a line each.

    :param merchant_id: the merchant, or None: all merchants together.
    :param label: the name of the period in the language of the message.

    >>> totals = AnnouncedTotals(Mode.DAILY, "1403/04/04", 0, 0, amount=1234567, count=12, currency="IRR", scale=0)
    >>> write(totals, "m1", "4 Tir 1403", "en")
    ('Daily summary for merchant m1', '4 Tir 1403: 1,234,567 IRR in 12 transactions.')
    """
    template = _TEMPLATES[locale]
    whose = template.everyone if merchant_id is None else template.merchant.format(name=shown(merchant_id, locale))
    body = template.body(totals.count).format(
        label=label,
        amount=separated(totals.amount, locale, totals.scale),
        currency=_PERSIAN_CURRENCIES.get(totals.currency, totals.currency) if locale == "fa" else totals.currency,
        count=separated(totals.count, locale),
    )
    return template.titles[totals.mode].format(whose=whose), body


def shown(name: str, locale: Locale) -> str:
    """`name`, any text of any length, in the form for a line of text in `locale`.

    A name of the other direction is isolated by invisible marks (UAX #9): without them, ``12-ab`` in a line of Persian
    would be shown as ``ab-12``. They are left out if not needed, because they would double the price of an SMS.
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

    :param scale: the number of decimals among its digits.

    >>> separated(-1234567, "fa")
    '\u200e−۱٬۲۳۴٬۵۶۷'
    >>> separated(-1234567, "fa", scale=2)
    '\u200e−۱۲٬۳۴۵٫۶۷'
    """
    text = grouped(number, scale)
    return text if locale == "en" else persian_digits(text.translate(_PERSIAN_MARKS))
