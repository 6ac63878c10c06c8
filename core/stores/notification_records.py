"""Notifications, events, copies of log states and subscriptions as flat records: see `core.stores.records`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from core.calendar.periods import Mode
from core.notifications.events import Event, EventKind, LogState
from core.notifications.model import AnnouncedTotals, Notification
from core.stores.records import Record, storable
from core.stores.subscriptions import Subscription
from core.tenants import OPERATOR

_MODES: Final = tuple(Mode)


def notification_to_record(notification: Notification) -> Record:
    """`notification` as a record."""
    sender_key_id, merchant_id = notification.sender_key_id, notification.merchant_id
    return {
        "id": notification.id,
        "user_id": storable(notification.user_id),
        "title": storable(notification.title),
        "body": storable(notification.body),
        "channels": list(notification.channels),
        "locale": notification.locale,
        "created_at_ms": notification.created_at_ms,
        "expires_at_ms": notification.expires_at_ms,
        "sender_key_id": None if sender_key_id is None else storable(sender_key_id),
        "request_digest": notification.request_digest,
        "announces": notification.announces,
        "merchant_id": None if merchant_id is None else storable(merchant_id),
        "tenant": storable(notification.tenant),
        "announced": [] if notification.announced is None else [_totals_to_record(notification.announced)],
    }


def notification_from_record(record: Record) -> Notification:
    """The notification that `notification_to_record` made `record` from; other entries are ignored."""
    return Notification(
        id=record["id"],
        user_id=record["user_id"],
        title=record["title"],
        body=record["body"],
        channels=tuple(record["channels"]),
        locale=record["locale"],
        created_at_ms=record["created_at_ms"],
        expires_at_ms=record["expires_at_ms"],
        sender_key_id=record["sender_key_id"],
        request_digest=record["request_digest"],
        announces=bool(record["announces"]),
        merchant_id=record["merchant_id"],
        tenant=record.get("tenant", OPERATOR),  # while documents of earlier versions are migrated
        announced=next(map(_totals_from_record, record.get("announced", ())), None),
    )


def _totals_to_record(totals: AnnouncedTotals) -> Record:
    return asdict(totals) | {"mode": totals.mode.value}


def _totals_from_record(record: Record) -> AnnouncedTotals:
    return AnnouncedTotals(**record | {"mode": Mode(record["mode"])})


def event_to_record(event: Event) -> Record:
    """`event` as a record."""
    return {
        "number": event.number,
        "kind": event.kind.value,
        "at_ms": event.at_ms,
        "until_ms": event.until_ms,
        "error": None if event.error is None else storable(event.error),
        "reference": None if event.reference is None else storable(event.reference),
        "worker": None if event.worker is None else storable(event.worker),
        "sender": None if event.sender is None else storable(event.sender),
    }


def event_from_record(record: Record) -> Event:
    """The event that `event_to_record` made `record` from; other entries are ignored."""
    return Event(
        number=record["number"],
        kind=EventKind(record["kind"]),
        at_ms=record["at_ms"],
        until_ms=record["until_ms"],
        error=record["error"],
        reference=record["reference"],
        worker=record["worker"],
        sender=record.get("sender"),  # which documents of earlier versions lack
    )


def state_to_record(state: LogState) -> Record:
    """What a copy shows of `state`."""
    return {
        "status": state.status.value,
        "number": state.number,
        "attempts": state.attempts,
        "last_attempt_at_ms": state.last_attempt_at_ms,
        "error_message": None if state.error_message is None else storable(state.error_message),
        "reference": None if state.reference is None else storable(state.reference),
        "finished_at_ms": state.finished_at_ms,
        "due_at_ms": state.due_at_ms,
    }


def subscription_to_record(subscription: Subscription) -> Record:
    """`subscription` as a record."""
    merchant_id = subscription.merchant_id
    return {
        "id": subscription.id,
        "merchant_id": None if merchant_id is None else storable(merchant_id),
        "user_id": storable(subscription.user_id),
        "modes": [mode.value for mode in _MODES if mode in subscription.modes],
        "channels": list(subscription.channels),
        "locale": subscription.locale,
        "created_at_ms": subscription.created_at_ms,
        "ended_at_ms": subscription.ended_at_ms,
        "tenant": storable(subscription.tenant),
    }


def subscription_from_record(record: Record) -> Subscription:
    """The subscription that `subscription_to_record` made `record` from; other entries are ignored."""
    return Subscription(
        id=record["id"],
        merchant_id=record["merchant_id"],
        user_id=record["user_id"],
        modes=tuple(map(Mode, record["modes"])),
        channels=tuple(record["channels"]),
        locale=record["locale"],
        created_at_ms=record["created_at_ms"],
        ended_at_ms=record["ended_at_ms"],
        tenant=record.get("tenant", OPERATOR),  # likewise
    )
