"""The texts of announcements."""

from __future__ import annotations

import doctest
import unicodedata
from dataclasses import replace

import pytest

import notifier.wording
from core.calendar.periods import Locale, Mode
from core.notifications.model import AnnouncedTotals
from core.notifications.texts import sms_parts
from notifier.wording import separated, shown, write

TOTALS = AnnouncedTotals(
    Mode.DAILY, "1403/04/04", start_ms=0, end_ms=0, amount=1_234_567, count=12, currency="IRR", scale=0
)


def written(locale: Locale, merchant_id: str | None = "m1", totals: AnnouncedTotals = TOTALS) -> tuple[str, str]:
    return write(totals, merchant_id, "4 Tir 1403", locale)


def test_the_documented_examples_are_correct() -> None:
    failed, tried = doctest.testmod(notifier.wording)
    assert (failed, tried) == (0, 4)


@pytest.mark.parametrize(
    ("mode", "locale", "title"),
    [
        (Mode.DAILY, "en", "Daily summary for merchant m1"),
        (Mode.WEEKLY, "en", "Weekly summary for merchant m1"),
        (Mode.MONTHLY, "en", "Monthly summary for merchant m1"),
        (Mode.DAILY, "fa", "خلاصهٔ روزانهٔ پذیرندهٔ m1"),
        (Mode.WEEKLY, "fa", "خلاصهٔ هفتگی پذیرندهٔ m1"),
        (Mode.MONTHLY, "fa", "خلاصهٔ ماهانهٔ پذیرندهٔ m1"),
    ],
)
def test_the_title_names_period_length_and_merchant(mode: Mode, locale: Locale, title: str) -> None:
    assert written(locale, totals=replace(TOTALS, mode=mode))[0] == title


@pytest.mark.parametrize(
    ("amount", "count", "locale", "body"),
    [
        (1_234_567, 12, "en", "4 Tir 1403: 1,234,567 IRR in 12 transactions."),
        (999, 1, "en", "4 Tir 1403: 999 IRR in 1 transaction."),
        (0, 0, "en", "4 Tir 1403: no transactions."),
        (0, 2, "en", "4 Tir 1403: 0 IRR in 2 transactions."),
        (-(2**63), 1_000, "en", "4 Tir 1403: -9,223,372,036,854,775,808 IRR in 1,000 transactions."),
        (1_234_567, 12_000, "fa", "4 Tir 1403: ۱٬۲۳۴٬۵۶۷ ریال در ۱۲٬۰۰۰ تراکنش."),
        (-5, 1, "fa", "4 Tir 1403: \u200e−۵ ریال در ۱ تراکنش."),
        (0, 0, "fa", "4 Tir 1403: بدون تراکنش."),
    ],
)
def test_the_body_has_total_and_count(amount: int, count: int, locale: Locale, body: str) -> None:
    assert written(locale, totals=replace(TOTALS, amount=amount, count=count))[1] == body


@pytest.mark.parametrize(
    ("currency", "locale", "named"),
    [("IRT", "fa", "تومان"), ("IRT", "en", "IRT"), ("EUR", "fa", "EUR"), ("{x}", "en", "{x}")],
)
def test_the_currency_is_named_in_the_language(currency: str, locale: Locale, named: str) -> None:
    assert f" {named} " in written(locale, totals=replace(TOTALS, currency=currency))[1]


@pytest.mark.parametrize("name", ["{}", "{label}", "{whose!r}", "{0}", "%s", "}{", "{{x}}"])
@pytest.mark.parametrize("locale", ["en", "fa"])
def test_braces_in_a_merchant_name_are_unchanged(name: str, locale: Locale) -> None:
    title, _ = written(locale, name)
    assert title.strip("\u2069").endswith(name)


@pytest.mark.parametrize(
    ("name", "locale"),
    [
        ("shop-1", "en"), ("507f1f77bcf86cd799439011", "en"), ("507f1f77bcf86cd799439011", "fa"), ("42", "fa"),
        ("فروشگاه تهران", "fa"), ("نیم\u200cفاصله", "fa"), ("ß-Straße", "en"),
    ],
)  # fmt: skip
def test_a_name_with_the_same_text_direction_is_unchanged(name: str, locale: Locale) -> None:
    assert shown(name, locale) == name


@pytest.mark.parametrize(
    ("name", "locale"), [("12-ab", "fa"), ("-42", "fa"), ("فروشگاه", "en"), ("فروشگاه 7", "fa"), ("a ۱", "fa")]
)
def test_a_name_with_the_other_text_direction_is_isolated(name: str, locale: Locale) -> None:
    assert shown(name, locale) == f"\u2068{name}\u2069"


@pytest.mark.parametrize(
    "name", ["a\nBcc: x@y", "a\r\nb", "a\x00b", "a\u2028b", "a\ud800b", "a\u202eb", "\u2069\u2069a"]
)
def test_a_name_cannot_break_or_reverse_the_line(name: str) -> None:
    title, _ = written("en", name)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in title)
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") & set(title)
    assert len(title.splitlines()) == 1


def test_a_long_name_is_shortened_in_the_title() -> None:
    title, _ = written("en", "x" * 100_000)
    assert title.endswith("x…")
    assert len(title) <= 200
    assert shown("y" * 100, "en") == "y" * 100


def test_an_english_summary_fits_one_sms() -> None:
    totals = replace(TOTALS, amount=123_456_789_012, count=123_456)
    title, body = written("en", "507f1f77bcf86cd799439011", totals)
    found = sms_parts(f"{title}\n{body}")
    assert (found.encoding, found.parts) == ("gsm", 1)


@pytest.mark.parametrize("number", [0, 7, 999, 1_000, -1_000, 2**63 - 1, -(2**63)])
def test_numbers_with_separators_keep_their_value(number: int) -> None:
    assert int(separated(number, "en").replace(",", "")) == number
    persian = separated(number, "fa").replace("\u066c", "").replace("\u200e\u2212", "-")
    assert int(persian) == number


@pytest.mark.parametrize(
    ("amount", "scale", "locale", "shown"),
    [
        (123450, 2, "en", ": 1,234.50 IRR in"),
        (123450, 2, "fa", ": ۱٬۲۳۴٫۵۰ ریال در"),
        (-5, 2, "en", ": -0.05 IRR in"),
        (-5, 3, "fa", ": \u200e\u2212۰٫۰۰۵ ریال در"),
        (10**9, 9, "en", ": 1.000000000 IRR in"),
    ],
)
def test_amounts_have_the_decimals_of_their_unit(amount: int, scale: int, locale: Locale, shown: str) -> None:
    assert shown in written(locale, totals=replace(TOTALS, amount=amount, scale=scale))[1]
