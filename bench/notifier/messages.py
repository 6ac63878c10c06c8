"""The messages of the bench: many users with an address each, a Persian text of a usual length."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Final

from core.notifications.model import Notification, new_id
from core.stores import Stores, wall_clock_ms

CHANNEL: Final = "sms"
TITLE: Final = "خلاصهٔ فروش روزانه"
BODY: Final = "فروش فروشگاه شما در تاریخ ۴ تیر ۱۴۰۳ به ۱۲٬۳۴۵٬۶۷۰ ریال در ۲۱۴ تراکنش رسید. جزئیات در داشبورد است."
LOCALE: Final = "fa"
_FAR_MS: Final = 24 * 3600 * 1000  # so that no sweep queues them
_USERS: Final = tuple(f"user-{number}" for number in range(100))


def add_users(stores: Stores) -> None:
    """Store an address for each user."""
    for number, user_id in enumerate(_USERS):
        stores.contacts.replace(user_id, {CHANNEL: f"+98912{number:07}"})


def add_messages(stores: Stores, count: int) -> list[str]:
    """Store notifications for `CHANNEL` and return their ids; nothing is queued."""
    now_ms, ids = wall_clock_ms(), [new_id() for _ in range(count)]
    for notification_id, user_id in zip(ids, cycle(_USERS), strict=False):
        notification = Notification(notification_id, user_id, TITLE, BODY, (CHANNEL,), LOCALE, now_ms)
        stores.notifications.add(notification, now_ms + _FAR_MS)
    return ids


def payloads() -> Iterator[dict[str, object]]:
    """The bodies that a client posts, for one user after the other, without end."""
    return (
        {"user_id": user_id, "title": TITLE, "body": BODY, "channels": [CHANNEL], "locale": LOCALE}
        for user_id in cycle(_USERS)
    )
