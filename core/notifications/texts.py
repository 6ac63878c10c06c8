"""The text that each sender makes from a title and a body, and the longest text that its gateway accepts.

It is here, and not with the senders, so that the API refuses a message that could never be sent. A text is split into
short messages, each of which is paid for, by 3GPP TS 23.038 and 23.040.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

_MOST_PARTS: Final = 10
_MOST_SMS_CHARACTERS: Final = 900  # Kavenegar's own limit
_MOST_CHAT_UNITS: Final = 4096
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")  # each is sent as an escape and a character
_GSM_SINGLE, _GSM_JOINED = 160, 153
_UCS2_SINGLE, _UCS2_JOINED = 70, 67


def sms_text(title: str, body: str) -> str:
    """The text of a short message: the title, then the body on the next line."""
    return f"{title}\n{body}".strip()


def chat_text(title: str, body: str) -> str:
    """The text of a chat message: the title, an empty line, the body."""
    return f"{title}\n\n{body}".strip()


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


def too_long(sender: str, title: str, body: str) -> str | None:
    """Why the gateway of `sender` would refuse this text as too long, without a final full stop; None if it would not.

    :param sender: its name in ``NOTIFY_SENDERS``; other senders have no limit here.
    """
    check = _LIMITS.get(sender)
    return None if check is None else check(title, body)


def _sms_too_long(title: str, body: str) -> str | None:
    text = sms_text(title, body)
    parts = sms_parts(text).parts
    if parts <= _MOST_PARTS and len(text) <= _MOST_SMS_CHARACTERS:
        return None
    return (
        f"the text has {len(text)} characters in {parts} SMS parts; at most {_MOST_SMS_CHARACTERS} characters in "
        f"{_MOST_PARTS} are sent"
    )


def _chat_too_long(title: str, body: str) -> str | None:
    units = len(chat_text(title, body).encode("utf-16-le", "surrogatepass")) // 2
    if units <= _MOST_CHAT_UNITS:
        return None
    return f"the text is {units} UTF-16 units long, and Telegram takes {_MOST_CHAT_UNITS}"


_LIMITS: Final[Mapping[str, Callable[[str, str], str | None]]] = {
    "kavenegar": _sms_too_long,
    "telegram": _chat_too_long,
}
