"""Notifications as clients see them."""

from __future__ import annotations

from typing import Any

from core.instants import iso_instant, iso_instant_or_none
from core.notifications.events import Event
from core.notifications.model import Notification, NotificationStatus
from core.stores.notifications import Kept, Listed, Log
from core.stores.subscriptions import Subscription


def notification_view(kept: Kept) -> dict[str, Any]:
    """A notification with its logs and their history."""
    return {
        **_notification(kept.notification, kept.status),
        "logs": [_log(kept.notification, log) for log in kept.logs],
    }


def listed_view(listed: Listed) -> dict[str, Any]:
    """A notification in a list, without its logs."""
    return _notification(listed.notification, listed.status)


def subscription_view(subscription: Subscription) -> dict[str, Any]:
    """A subscription."""
    return {
        "id": subscription.id,
        "user_id": subscription.user_id,
        "merchant_id": subscription.merchant_id,
        "modes": list(subscription.modes),
        "channels": list(subscription.channels),
        "locale": subscription.locale,
        "created_at": iso_instant(subscription.created_at_ms),
        "ended_at": iso_instant_or_none(subscription.ended_at_ms),
    }


def _notification(notification: Notification, status: NotificationStatus) -> dict[str, Any]:
    return {
        "id": notification.id,
        "user_id": notification.user_id,
        "title": notification.title,
        "body": notification.body,
        "channels": list(notification.channels),
        "locale": notification.locale,
        "status": status,
        "created_at": iso_instant(notification.created_at_ms),
        "expires_at": iso_instant_or_none(notification.expires_at_ms),
    }


def _log(notification: Notification, log: Log) -> dict[str, Any]:
    state = log.state
    return {
        "id": notification.log_id(log.channel),
        "channel": log.channel,
        "status": state.status,
        "attempts": state.attempts,
        "last_attempt_at": iso_instant_or_none(state.last_attempt_at_ms),
        "error_message": state.error_message,
        "reference": state.reference,
        "due_at": iso_instant_or_none(state.due_at_ms),
        "cancelling": state.cancelling,
        "finished_at": iso_instant_or_none(state.finished_at_ms),
        "history": [_event(event) for event in log.events],
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "number": event.number,
        "kind": event.kind,
        "at": iso_instant(event.at_ms),
        "until": iso_instant_or_none(event.until_ms),
        "error": event.error,
        "reference": event.reference,
        "sender": event.sender,
    }
