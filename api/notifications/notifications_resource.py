"""``/api/notifications…``: sending messages, and their delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import falcon

from api.auth.principal import Principal, caller_with
from api.http.json_response import send_document
from api.http.pagination import cursor_of, place_in
from api.http.query_parameters import Findings, parameters_in, refuse_parameters
from api.http.request_body import Nothing, checked_payload, read_object
from api.notifications.field_types import ValidationContext
from api.notifications.idempotency import conflict, known_id
from api.notifications.listing import PATH, Days, counts, page
from api.notifications.payloads import NewNotification, Retry, RetryAll
from api.notifications.tenants import OfTenant, OfUser, tenant_to_write, visible_to
from api.notifications.views import details_view, notification_view
from api.openapi.bodies import RetriedNotifications
from api.problems import ParameterError, Problem, ProblemKind, bad_parameters
from api.store_access import StoreAccess
from core.instants import instant_ms
from core.notifications.actions import RetryResult, cancel, retry, retry_all, statuses_in_words, unknown_channels
from core.notifications.events import LogStatus
from core.notifications.idempotency import QUEUED_AFTER_MS, request_digest
from core.notifications.model import Notification, new_id
from core.notifications.texts import too_long
from core.stores import Clock, Stores
from core.stores.api_keys import Scope
from core.stores.notifications import LogFilter, NotificationFilter, StoredNotification


class NotificationsResource:
    """Notifications: their list and counts, each of them, and how to send, retry and cancel them.

    :param senders: the name of the sender of each channel.
    :param queue: receives the id of a due notification; must return at once.
    :param days: converts the days that filter a list.
    """

    def __init__(
        self, access: StoreAccess, senders: Mapping[str, str], queue: Callable[[str], None], clock: Clock, days: Days
    ) -> None:
        self._access = access
        self._senders = senders
        self._queue = queue
        self._clock = clock
        self._days = days

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of notifications, the newest first."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        document, following = page(self._access, caller, req.query_string, self._days)
        send_document(resp, document, following=following)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store a notification; it is sent soon after."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        asked = parameters_in(req.query_string, OfUser).tenant
        known = known_id(req, "notification")
        document = read_object(req)
        now_ms = self._clock()
        repeated_id = None if known is None else known.current(self._tenant_of)
        try:
            payload = checked_payload(document, NewNotification, ValidationContext(frozenset(self._senders), now_ms))
            _require_fitting(payload, self._senders)
            tenant = self._access.call(lambda stores: tenant_to_write(stores, caller, asked, payload.user_id))
        except Problem:
            if repeated_id is None or (stored := self._repeated(repeated_id, document)) is None:
                raise
        else:
            notification = _notification(repeated_id or new_id(), payload, now_ms, caller.key_id, tenant)
            stored = self._access.call(lambda stores: stores.notifications.add(notification, now_ms + QUEUED_AFTER_MS))
            if _differs(stored.notification, notification):
                raise conflict()
            if any(log.state.is_open for log in stored.logs):
                self._queue(notification.id)
        send_document(resp, notification_view(stored), created_at=f"{PATH}/{stored.notification.id}")

    def on_get_counts(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The number of notifications of each combination of channels and statuses."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        send_document(resp, counts(self._access, caller, req.query_string, self._days))

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, notification_id: str) -> None:
        """The notification with its logs, their history, and the addresses of the user."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        refuse_parameters(req.query_string)
        stored = self._stored(notification_id, caller)
        one = stored.notification
        addresses = self._access.call(lambda stores: stores.contacts.get(one.user_id, tenant=one.tenant))
        send_document(resp, details_view(stored, addresses))

    def on_post_retry_one(self, req: falcon.Request, resp: falcon.Response, notification_id: str) -> None:
        """Send again dead, unknown and printed logs, all or those of some channels."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        refuse_parameters(req.query_string)
        # The channels of the notification matter, and not those of the settings.
        channels = checked_payload(read_object(req, needed=False), Retry, None).channels
        stored = self._stored(notification_id, caller)
        notification = stored.notification
        if strange := unknown_channels(notification, channels or ()):
            detail = f"is not one of {', '.join(notification.channels)}"
            raise bad_parameters(
                [ParameterError("channels", f"{channel!r} {detail}", "not-a-choice") for channel in strange]
            )
        if notification.has_expired(self._clock()):
            raise Problem(ProblemKind.NOT_POSSIBLE, "The notification has expired: it would not be sent.")
        chosen = notification.channels if channels is None else channels
        retried = self._access.call(lambda stores: retry(stores.notifications, stored, chosen, self._clock))
        then = self._stored(notification_id, caller)
        if not retried:
            raise Problem(ProblemKind.NOT_POSSIBLE, f"Nothing to retry: {statuses_in_words(then, chosen)}.")
        self._queue(notification_id)
        send_document(resp, notification_view(then))

    def on_post_retry_all(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send again the logs that match a filter, those of the newest notifications first."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        asked = parameters_in(req.query_string, OfTenant).tenant
        payload = checked_payload(read_object(req), RetryAll, None)
        logs = LogFilter(frozenset(map(LogStatus, payload.statuses)), frozenset(payload.channels or ()))
        wanted = NotificationFilter(
            user_id=payload.user_id,
            from_ms=None if payload.created_from is None else instant_ms(payload.created_from),
            before_ms=None if payload.created_before is None else instant_ms(payload.created_before),
        )
        narrowed = wanted.user_id, wanted.from_ms, wanted.before_ms
        query = asked, *sorted(payload.statuses), "", *sorted(payload.channels or ()), *narrowed
        findings, after = Findings(), None
        if payload.cursor is not None:
            after = place_in(payload.cursor, query, findings)
            findings.raise_if_any()

        def retry_visible(stores: Stores) -> RetryResult:
            visible = visible_to(stores, caller, asked, wanted)
            return retry_all(stores.notifications, visible, logs, self._clock, limit=payload.limit, after=after)

        retried = self._access.call(retry_visible)
        for notification_id in retried.channels:
            self._queue(notification_id)
        send_document(
            resp,
            RetriedNotifications(
                notifications=len(retried.channels),
                messages=retried.messages,
                expired=retried.expired,
                next_cursor=None if retried.after is None else cursor_of(retried.after, query),
            ),
        )

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, notification_id: str) -> None:
        """Cancel every open log; an attempt under way is completed, and not repeated."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        refuse_parameters(req.query_string)
        checked_payload(read_object(req, needed=False), Nothing, None)
        stored = self._stored(notification_id, caller)
        cancelled = self._access.call(lambda stores: cancel(stores.notifications, stored, self._clock))
        then = self._stored(notification_id, caller)
        stopped = [log.state.cancelling or log.state.status is LogStatus.CANCELLED for log in then.logs]
        if not cancelled and not any(stopped):
            channels = then.notification.channels
            raise Problem(ProblemKind.NOT_POSSIBLE, f"Nothing to cancel: {statuses_in_words(then, channels)}.")
        send_document(resp, notification_view(then))

    on_head = on_get
    on_head_counts = on_get_counts
    on_head_one = on_get_one

    def _stored(self, notification_id: str, caller: Principal) -> StoredNotification:
        """The notification with that id.

        :raises Problem: there is none that `caller` may see; or it announces summaries that `caller` may not read.
        """
        stored = self._access.call(lambda stores: stores.notifications.get(notification_id))
        if stored is None or not caller.may_touch(stored.notification.tenant):
            raise Problem(ProblemKind.UNKNOWN_NOTIFICATION, "There is no notification with this id.")
        if stored.notification.announces:
            caller.require_merchant(stored.notification.merchant_id)
        return stored

    def _tenant_of(self, notification_id: str) -> str | None:
        stored = self._access.call(lambda stores: stores.notifications.get(notification_id))
        return None if stored is None else stored.notification.tenant

    def _repeated(self, known_id: str, document: dict[str, Any]) -> StoredNotification | None:
        """What an equal request has created before: it may be invalid only now, for example because it has expired."""
        stored = self._access.call(lambda stores: stores.notifications.get(known_id))
        if stored is None:
            return None
        with suppress(Problem):
            if _digest(checked_payload(document, NewNotification, None)) == stored.notification.request_digest:
                return stored
        return None


def _notification(
    notification_id: str, payload: NewNotification, now_ms: int, sender_key_id: str | None, tenant: str
) -> Notification:
    return Notification(
        id=notification_id,
        user_id=payload.user_id,
        title=payload.title,
        body=payload.body,
        channels=payload.channels,
        locale=payload.locale,
        created_at_ms=now_ms,
        expires_at_ms=_expiry_ms(payload),
        sender_key_id=sender_key_id,
        request_digest=_digest(payload),
        tenant=tenant,
    )


def _differs(stored: Notification, asked: Notification) -> bool:
    """Whether `stored` is of another request than `asked`."""
    return (stored.request_digest, stored.tenant) != (asked.request_digest, asked.tenant)


def _digest(payload: NewNotification) -> str:
    """The digest of the values in the payload, however they are written."""
    expires_at_ms = _expiry_ms(payload)
    return request_digest(payload.user_id, payload.title, payload.body, payload.locale, expires_at_ms, payload.channels)


def _expiry_ms(payload: NewNotification) -> int | None:
    return None if payload.expires_at is None else instant_ms(payload.expires_at)


def _require_fitting(payload: NewNotification, senders: Mapping[str, str]) -> None:
    """Check that the text of `payload` is not too long for any of its channels.

    :param senders: the name of the sender of each channel, as in ``NOTIFY_SENDERS``.
    :raises Problem: bad parameter; names each channel for which it is, and the limit.
    """
    reasons = {channel: too_long(senders[channel], payload.title, payload.body) for channel in payload.channels}
    if errors := [
        ParameterError("body", f"is too long for {channel}: {why}", "too-long")
        for channel, why in reasons.items()
        if why
    ]:
        raise bad_parameters(errors)
