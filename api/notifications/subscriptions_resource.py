"""``/api/subscriptions``: which users are notified of which summaries once a period has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import falcon

from api.auth.principal import caller_with
from api.http.json_response import send_document
from api.http.query_parameters import refuse_parameters
from api.http.request_body import Nothing, checked_payload, read_object
from api.notifications.field_types import ValidationContext
from api.notifications.idempotency import conflict, known_id
from api.notifications.pages import read_page
from api.notifications.payloads import NewSubscription
from api.notifications.subscription_listing import PATH, CurrentNames, SubscriptionsParameters, page
from api.notifications.tenants import read_tenant, tenant_to_write
from api.notifications.views import created_subscription_view, subscription_view
from api.problems import Problem, ProblemKind
from api.store_access import StoreAccess
from core.calendar import Mode
from core.notifications.model import new_id
from core.notifications.reach_warnings import ReachWarning, subscribable_channels, subscription_warnings
from core.notifications.subscribing import Subscribed, subscribe
from core.stores import Clock, Stores
from core.stores.api_keys import Scope
from core.stores.subscriptions import Subscription


class SubscriptionsResource:
    """All subscriptions.

    :param access: the stores.
    :param senders: the name of the sender of each channel.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, access: StoreAccess, senders: Mapping[str, str], clock: Clock) -> None:
        self._access = access
        self._senders = senders
        self._channels = subscribable_channels(senders)
        self._clock = clock
        self._names = CurrentNames()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of subscriptions that have not ended, to summaries that the caller may read, the oldest first."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        query = read_page(SubscriptionsParameters, req.query_string)
        document, following = page(self._access, caller, self._names, *query)
        if following is not None:
            resp.append_link(following, "next")
        send_document(resp, document)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Subscribe a user, unless an active subscription is equivalent. The key must allow reading those summaries."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        asked = read_tenant(req.query_string)
        known = known_id(req, "subscription")
        now_ms = self._clock()
        payload = checked_payload(read_object(req), NewSubscription, ValidationContext(self._channels, now_ms))
        caller.require_merchant(payload.merchant_id)

        def make(stores: Stores) -> tuple[Subscribed, list[ReachWarning]]:
            repeated_id = None if known is None else known.current(lambda one_id: _tenant_of(stores, one_id))
            tenant = None if repeated_id is None or asked is not None else _tenant_of(stores, repeated_id)
            subscription = Subscription(
                id=repeated_id or new_id(),
                merchant_id=payload.merchant_id,
                user_id=payload.user_id,
                modes=tuple(mode for mode in Mode if mode in payload.modes),
                channels=payload.channels,
                locale=payload.locale,
                created_at_ms=now_ms,
                tenant=tenant or tenant_to_write(stores, caller, asked, payload.user_id),
            )
            found = subscribe(stores.subscriptions, subscription, named=known is not None)
            as_new = replace(found.subscription, created_at_ms=now_ms, ended_at_ms=None)
            if known is not None and not found.there_was and as_new != subscription:
                raise conflict()
            return found, subscription_warnings(stores, found.subscription, self._senders)

        found, warnings = self._access.call(make)
        stored = found.subscription
        created_at = None if found.there_was else f"{PATH}/{stored.id}"
        send_document(resp, created_subscription_view(stored, warnings), created_at=created_at)

    on_head = on_get


class SubscriptionResource:
    """One subscription, for keys that may read its summaries.

    :param access: the stores.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, access: StoreAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response, subscription_id: str) -> None:
        """The subscription, also an ended one."""
        send_document(resp, subscription_view(self._found(req, subscription_id)))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, subscription_id: str) -> None:
        """End the subscription; ending again changes nothing."""
        self._found(req, subscription_id)
        checked_payload(read_object(req, needed=False), Nothing, None)
        now_ms = self._clock()
        ended = self._access.call(lambda stores: stores.subscriptions.end(subscription_id, now_ms))
        send_document(resp, subscription_view(ended))

    def _found(self, req: falcon.Request, subscription_id: str) -> Subscription:
        caller = caller_with(req, Scope.NOTIFICATIONS)
        refuse_parameters(req.query_string)
        found = self._access.call(lambda stores: stores.subscriptions.get(subscription_id))
        if found is None or not caller.may_touch(found.tenant):
            raise Problem(ProblemKind.UNKNOWN_SUBSCRIPTION, "There is no subscription of this id.")
        caller.require_merchant(found.merchant_id)
        return found

    on_head = on_get


def _tenant_of(stores: Stores, subscription_id: str) -> str | None:
    found = stores.subscriptions.get(subscription_id)
    return None if found is None else found.tenant
