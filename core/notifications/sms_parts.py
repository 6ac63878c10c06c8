"""The number of short messages into which a text is split, each of which is paid for: 3GPP TS 23.038 and 23.040."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")  # each is sent as an escape and a character
_GSM_SINGLE, _GSM_JOINED = 160, 153
_UCS2_SINGLE, _UCS2_JOINED = 70, 67


@dataclass(frozen=True, slots=True)
class SmsParts:
    """The encoding and size of a text as short messages.

    :param units: septets of the GSM alphabet, or 16-bit units of UCS-2.
    :param parts: short messages; 0 for an empty text.
    """

    encoding: Literal["gsm", "ucs2"]
    units: int
    parts: int


def sms_parts(text: str) -> SmsParts:
    """`text` as short messages: in the GSM alphabet if that has all its characters, else in UCS-2, such as Persian.

    >>> sms_parts("x" * 160).parts, sms_parts("x" * 161).parts, sms_parts("سلام " * 14).parts, sms_parts("€" * 81).parts
    (1, 2, 1, 2)
    """
    if all(character in _BASIC or character in _EXTENSION for character in text):
        widths = [2 if character in _EXTENSION else 1 for character in text]
        return SmsParts("gsm", sum(widths), _parts(widths, _GSM_SINGLE, _GSM_JOINED))
    widths = [2 if ord(character) > 0xFFFF else 1 for character in text]
    return SmsParts("ucs2", sum(widths), _parts(widths, _UCS2_SINGLE, _UCS2_JOINED))


def _parts(widths: Iterable[int], single: int, joined: int) -> int:
    total = parts = capacity = 0
    for width in widths:
        total += width
        if capacity < width:  # a character is never split
            parts, capacity = parts + 1, joined
        capacity -= width
    return min(parts, 1) if total <= single else parts
