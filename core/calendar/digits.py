"""Digits in text: Persian ones for people, ASCII ones for machines."""

from __future__ import annotations

from typing import Final

_PERSIAN: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_ASCII: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)


def persian_digits(text: str) -> str:
    """`text` with every ASCII digit as a Persian one.

    >>> persian_digits("1403/W15")
    '۱۴۰۳/W۱۵'
    """
    return text.translate(_PERSIAN)


def ascii_digits(text: str) -> str:
    """`text` with every Persian (۰-۹) and Arabic (٠-٩) digit as an ASCII one.

    >>> ascii_digits("۱۴۰۳/W١٥")
    '1403/W15'
    """
    return text.translate(_ASCII)
