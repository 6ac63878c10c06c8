"""Requests for notifications, and delivery events in the store behind the API."""

from __future__ import annotations

import json
from typing import Any, Final

from api_client import Api
from falcon.testing import Result

from core.notifications.events import Event, EventKind
from core.stores import Stores, open_stores

NOTIFICATIONS: Final = "/api/notifications"
SUBSCRIPTIONS: Final = "/api/subscriptions"
NEW: Final[dict[str, Any]] = {
    "user_id": "sara",
    "title": "سلام",
    "body": "یک خط\nو یکی دیگر",
    "channels": ["sms", "email"],
}
SUBSCRIPTION: Final[dict[str, Any]] = {
    "user_id": "sara",
    "all_merchants": True,
    "modes": ["daily"],
    "channels": ["sms"],
}
JSON: Final = {"Content-Type": "application/json"}

_LEASE_MS: Final = 120_000


def contacts_of(user_id: str) -> str:
    """The path of the contacts of a user whose id needs no encoding."""
    return f"/api/users/{user_id}/contacts"


def subscription(merchant_id: str | None = None, **changes: Any) -> dict[str, Any]:
    """The body of a subscription to the summaries of that merchant, or of all together."""
    whose = {"all_merchants": True} if merchant_id is None else {"all_merchants": False, "merchant_id": merchant_id}
    return SUBSCRIPTION | whose | changes


def send(
    api: Api,
    path: str = NOTIFICATIONS,
    body: Any = NEW,
    query: str = "",
    *,
    method: str = "POST",
    key: str | None = None,
    repeatable: str | None = None,
) -> Result:
    """The answer to a write.

    :param body: bytes as they are, anything else as JSON.
    :param repeatable: the header Idempotency-Key.
    """
    headers = JSON | ({} if repeatable is None else {"Idempotency-Key": repeatable})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.ask(path, query, method=method, key=key, headers=headers, body=raw)


def made(api: Api, **changes: Any) -> str:
    """The id of a new notification."""
    answer = send(api, body=NEW | changes)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def append_events(url: str, notification_id: str, channel: str, *kinds: EventKind, at_ms: int) -> None:
    """Append delivery events as a worker does."""
    with open_stores(url, timeout_s=10) as stores:
        for kind in kinds:
            _happen(stores, notification_id, channel, kind, at_ms)


def _happen(stores: Stores, notification_id: str, channel: str, kind: EventKind, at_ms: int) -> None:
    kept = stores.notifications.get(notification_id)
    assert kept is not None
    state = kept.log(channel).state
    until_ms = at_ms + _LEASE_MS if kind in (EventKind.ATTEMPT, EventKind.FAILED, EventKind.MAYBE) else None
    error = "the gateway says no" if kind in (EventKind.FAILED, EventKind.DEAD, EventKind.UNKNOWN) else None
    sender = "kavenegar" if kind is EventKind.ATTEMPT else None
    event = Event(state.number + 1, kind, at_ms, until_ms=until_ms, error=error, sender=sender)
    assert stores.notifications.append(kept.notification, channel, state, event) is not None
