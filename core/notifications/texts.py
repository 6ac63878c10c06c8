"""The text that each sender makes from a title and a body, and the longest text that its gateway accepts.

It is here, and not with the senders, so that the API refuses a message that could never be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from core.notifications.sms_parts import sms_parts

_MOST_PARTS: Final = 10
_MOST_SMS_CHARACTERS: Final = 900  # Kavenegar's own limit
_MOST_CHAT_UNITS: Final = 4096


def sms_text(title: str, body: str) -> str:
    """The text of a short message: the title, then the body on the next line."""
    return f"{title}\n{body}".strip()


def chat_text(title: str, body: str) -> str:
    """The text of a chat message: the title, an empty line, the body."""
    return f"{title}\n\n{body}".strip()


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
