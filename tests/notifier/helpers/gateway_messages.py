"""Messages for the tests of senders."""

from __future__ import annotations

from typing import Final

from notifier.senders.base import Message

CREATED_AT_MS: Final = 1_750_000_000_123  # 2025-06-15T15:06:40.123Z
PERSIAN_TITLE: Final = "خلاصهٔ روزانهٔ فروشگاه ۱۲"
PERSIAN_BODY: Final = "مبلغ: ۱٬۲۵۰٬۰۰۰ ریال\nتعداد: ۳۴ می‌شود 🙂"
ADDRESSES: Final = {
    "sms": "+989123456789",
    "email": "reader@shop.example",
    "telegram": "123456789",
    "webhook": "https://hooks.example/in/path-secret",
}


def message_over(channel: str, **changes: object) -> Message:
    """A Persian message over `channel`, with `changes` to its fields."""
    fields: dict[str, object] = {
        "id": f"abcdefghijklmnopqrstuvwxyz:{channel}",
        "title": PERSIAN_TITLE,
        "body": PERSIAN_BODY,
        "locale": "fa",
        "created_at_ms": CREATED_AT_MS,
        "address": ADDRESSES[channel],
    }
    return Message(**{**fields, **changes})  # type: ignore[arg-type]
