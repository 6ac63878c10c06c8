"""Notifications, contacts, a subscription and a sign-in link for the examples in the OpenAPI document."""

from __future__ import annotations

from typing import Final

from api.auth.api_keys import digest_of, id_in
from core.calendar import Mode
from core.notifications.events import Event, EventKind
from core.notifications.model import Notification
from core.stores import Stores
from core.stores.sessions import Session
from core.stores.subscriptions import Subscription

LINK_TOKEN: Final = "tss_abcdefghij_" + 43 * "s"
"""Of a sign-in link that was not used."""
FAILED_ID: Final = "bl3242i67mrn3pykcbnxtwocpq"
"""A notification that went out over SMS, and not by e-mail."""
PENDING_ID: Final = "wltizeoegbkwyb4kr634u5cuq4"
"""A notification that is not sent yet, which came with the Idempotency-Key ``order-63``."""
SUBSCRIPTION_ID: Final = "o6u24tp4vhtzjgmcowk6ts5ol4"

_BOUNCED: Final = "550 5.1.1 there is no such mailbox"


def add_notifications(stores: Stores, created_at_ms: int) -> None:
    """Store a notification refused by an e-mail gateway, a pending one, and contacts of users."""
    stores.sessions.add(Session(f"link:{id_in(LINK_TOKEN)}", digest_of(LINK_TOKEN), created_at_ms, 4_102_444_800_000))
    stores.contacts.replace("sara", {"sms": "+989121234567", "email": "sara@example.com"})
    stores.subscriptions.add(
        Subscription(SUBSCRIPTION_ID, "tea-house", "sara", (Mode.WEEKLY,), ("email",), "fa", created_at_ms)
    )
    stores.notifications.add(_notification(PENDING_ID, "reza", 63, ("sms",), created_at_ms), created_at_ms)
    failed = _notification(FAILED_ID, "sara", 64, ("sms", "email"), created_at_ms)
    stores.notifications.add(failed, created_at_ms)
    begun_ms, ended_ms = created_at_ms + 1000, created_at_ms + 2000
    for channel, outcome in {
        "sms": Event(2, EventKind.SUCCESS, ended_ms, reference="8792343"),
        "email": Event(2, EventKind.DEAD, ended_ms, error=_BOUNCED),
    }.items():
        kept = stores.notifications.get(FAILED_ID)
        assert kept is not None
        sender = {"sms": "kavenegar", "email": "smtp"}[channel]
        until_ms = begun_ms + 120_000
        attempt = Event(1, EventKind.ATTEMPT, begun_ms, until_ms=until_ms, worker="worker:1", sender=sender)
        begun = stores.notifications.append(failed, channel, kept.log(channel).state, attempt)
        assert begun is not None
        assert stores.notifications.append(failed, channel, begun, outcome) is not None


def _notification(
    notification_id: str, user_id: str, number: int, channels: tuple[str, ...], created_at_ms: int
) -> Notification:
    title = f"Order {number}"
    return Notification(notification_id, user_id, title, "It is on its way.", channels, "en", created_at_ms)
