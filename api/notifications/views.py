"""Converts notifications and subscriptions to response bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.openapi import bodies
from core.calendar.periods import Locale
from core.instants import iso_instant, iso_instant_or_none
from core.merchant_names import MerchantNames
from core.notifications.addresses import masked
from core.notifications.events import Event
from core.notifications.model import Notification, NotificationStatus
from core.notifications.reach_warnings import ReachWarning
from core.stores.notifications import Listed, Log, StoredNotification
from core.stores.subscriptions import Subscription


def notification_view(stored: StoredNotification) -> bodies.Notification:
    """A notification with its logs and their history."""
    listed = _listed(stored.notification, stored.status)
    return bodies.Notification(**dict(listed), logs=[_log(stored.notification, log) for log in stored.logs])


def details_view(stored: StoredNotification, addresses: Mapping[str, str]) -> bodies.NotificationDetails:
    """A notification with its logs, and the addresses of its user.

    :param addresses: of the user, by channel.
    """
    channels = stored.notification.channels
    return bodies.NotificationDetails(
        **dict(notification_view(stored)),
        addresses={channel: masked(channel, addresses[channel]) for channel in channels if channel in addresses},
    )


def listed_view(listed: Listed) -> bodies.ListedNotification:
    """A notification in a list, without its logs."""
    return _listed(listed.notification, listed.status)


def subscription_view(subscription: Subscription) -> bodies.Subscription:
    """A subscription."""
    return bodies.Subscription(
        id=subscription.id,
        tenant=subscription.tenant,
        user_id=subscription.user_id,
        merchant_id=subscription.merchant_id,
        all_merchants=subscription.merchant_id is None,
        modes=list(subscription.modes),
        channels=list(subscription.channels),
        locale=subscription.locale,
        created_at=iso_instant(subscription.created_at_ms),
        ended_at=iso_instant_or_none(subscription.ended_at_ms),
    )


def listed_subscription_view(
    subscription: Subscription, names: MerchantNames, locale: Locale | None
) -> bodies.ListedSubscription:
    """A subscription in a list.

    :param locale: the language of the name of its merchant; None to leave the name out.
    """
    merchant_id = subscription.merchant_id
    name = None if merchant_id is None or locale is None else names.name(merchant_id, locale)
    named = {} if locale is None else {"merchant_name": name}
    return bodies.ListedSubscription(**dict(subscription_view(subscription)), **named)


def created_subscription_view(
    subscription: Subscription, warnings: Sequence[ReachWarning]
) -> bodies.CreatedSubscription:
    """A new subscription, with the warnings about its delivery."""
    return bodies.CreatedSubscription(
        **dict(subscription_view(subscription)),
        warnings=[bodies.SubscriptionWarning(code=warning.code, detail=warning.detail) for warning in warnings],
    )


def _listed(notification: Notification, status: NotificationStatus) -> bodies.ListedNotification:
    return bodies.ListedNotification(
        id=notification.id,
        tenant=notification.tenant,
        user_id=notification.user_id,
        title=notification.title,
        body=notification.body,
        channels=list(notification.channels),
        locale=notification.locale,
        status=status,
        created_at=iso_instant(notification.created_at_ms),
        expires_at=iso_instant_or_none(notification.expires_at_ms),
    )


def _log(notification: Notification, log: Log) -> bodies.NotificationLog:
    state = log.state
    return bodies.NotificationLog(
        id=notification.log_id(log.channel),
        channel=log.channel,
        status=state.status,
        attempts=state.attempts,
        last_attempt_at=iso_instant_or_none(state.last_attempt_at_ms),
        error_message=state.error_message,
        reference=state.reference,
        due_at=iso_instant_or_none(state.due_at_ms),
        cancelling=state.cancelling,
        finished_at=iso_instant_or_none(state.finished_at_ms),
        history=[_event(event) for event in log.events],
    )


def _event(event: Event) -> bodies.HistoryEvent:
    return bodies.HistoryEvent(
        number=event.number,
        kind=event.kind,
        at=iso_instant(event.at_ms),
        until=iso_instant_or_none(event.until_ms),
        error=event.error,
        reference=event.reference,
        sender=event.sender,
    )
