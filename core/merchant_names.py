"""Names of merchants: validation, choice by language, search and sorting.

A merchant may have a name in each language of `LANGUAGES`. A reader sees the name in their language, else in the other
language, else only the id.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from core.calendar.digits import ascii_digits
from core.calendar.periods import Locale

LANGUAGES: Final[tuple[Locale, ...]] = get_args(Locale)
LONGEST_NAME: Final = 200
"""Characters."""

_ALLOWED_FORMATS: Final = "\u200c\u200d\u200e\u200f\u061c"
"""Joiners, which Persian words need, and directional marks, whose effect ends with the word. Other invisible characters
would affect the text around a name."""

_ALPHABET: Final = "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
_VARIANTS: Final = {"ی": "يىئ", "ک": "ك", "ه": "ةۀ", "ا": "أإٱ", "و": "ؤ"}
_MARKS: Final = [*range(0x0610, 0x061B), 0x0640, *range(0x064B, 0x0660), 0x0670, *range(0x06D6, 0x06DD)]
_LETTERS: Final[dict[int, str | None]] = {
    **{ord(variant): letter for letter, variants in _VARIANTS.items() for variant in variants},
    **dict.fromkeys([*_MARKS, *map(ord, _ALLOWED_FORMATS)]),
}
_FOLDED: Final = {**_LETTERS, ord("آ"): "ا"}
_RANKS: Final = {ord(letter): chr(0xE000 + rank) for rank, letter in enumerate(_ALPHABET)}
_LATIN_LAST: Final = {letter: chr(0xE100 + letter) for letter in range(ord("a"), ord("z") + 1)}


@dataclass(frozen=True, slots=True)
class MerchantNames:
    """A snapshot of the names of all merchants.

    :param version: changes with each update; empty before the first.
    :param by_merchant: by merchant id the names by language, at least one each.
    """

    version: str
    by_merchant: Mapping[str, Mapping[Locale, str]]

    def name(self, merchant_id: str, locale: Locale) -> str | None:
        """The name for readers of `locale`: in that language, else in the other; None if there is none.

        >>> MerchantNames("1", {"42": {"en": "Tea House"}}).name("42", "fa")
        'Tea House'
        """
        names = self.by_merchant.get(merchant_id)
        if names is None:
            return None
        return names.get(locale) or next(iter(names.values()))

    def texts(self, merchant_id: str) -> tuple[str, ...]:
        """The id and all names of the merchant, for search."""
        return (merchant_id, *self.by_merchant.get(merchant_id, {}).values())


NO_NAMES: Final = MerchantNames("", {})


def checked_name(text: str) -> str:
    """Validate a name and strip surrounding white space.

    :raises ValueError: it is empty, too long, or has invisible characters that affect the text around them.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not name.strip(_ALLOWED_FORMATS):
        raise ValueError("the name is empty")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the name has {len(name)} characters, and at most {LONGEST_NAME} are allowed")
    for character in name:
        category = unicodedata.category(character)
        if (category in ("Cc", "Cf", "Zl", "Zp") and character not in _ALLOWED_FORMATS) or category == "Cs":
            raise ValueError(f"the name has the character U+{ord(character):04X}, which cannot be seen")
    return name


def folded(text: str) -> str:
    """`text` normalized for search: without case, white space, joiners and vowel signs; letters and digits in one form.

    >>> folded("كافه‌هاي ۲۴") == folded("کافه های 24")
    True
    """
    return "".join(ascii_digits(unicodedata.normalize("NFKC", text)).casefold().translate(_FOLDED).split())


def sort_key(name: str, locale: Locale) -> tuple[str, str]:
    """The sort key of `name`: digits first, then the script of `locale`; Persian letters in alphabetical order.

    >>> sorted(["یاس", "پارس", "کوروش", "بهار"], key=lambda name: sort_key(name, "fa"))
    ['بهار', 'پارس', 'کوروش', 'یاس']
    """
    ranked = ascii_digits(unicodedata.normalize("NFKC", name)).casefold().translate(_LETTERS).translate(_RANKS)
    letters = "".join(one for one in unicodedata.normalize("NFKD", ranked) if not unicodedata.combining(one))
    return letters.translate(_LATIN_LAST) if locale == "fa" else letters, name
