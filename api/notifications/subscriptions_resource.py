"""``/api/subscriptions…``: which users are notified of which summaries once a period has ended."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Final

import falcon
from pydantic import Field

from api.auth.principal import caller_with
from api.http.json_response import send_document
from api.http.pagination import PageCursor, PageLimit, cursor_of
from api.http.query_parameters import parameters_in, refuse_parameters
from api.http.request_body import Nothing, checked_payload, read_object
from api.notifications.field_types import ValidationContext
from api.notifications.idempotency import conflict, known_id
from api.notifications.pages import PageParameters, cut, read_page
from api.notifications.payloads import NewSubscription
from api.notifications.tenants import OfUser, tenant_to_list, tenant_to_write
from api.notifications.views import created_subscription_view, listed_subscription_view, subscription_view
from api.openapi.bodies import Locale, Subscriptions
from api.problems import Problem, ProblemKind
from api.store_access import StoreAccess
from core.calendar import Mode
from core.merchant_names import NO_NAMES, MerchantNames
from core.notifications.model import new_id
from core.notifications.reach_warnings import ReachWarning, subscribable_channels, subscription_warnings
from core.notifications.subscribing import Subscribed, subscribe
from core.stores import Clock, Stores
from core.stores.api_keys import Scope
from core.stores.subscriptions import Subscription

PATH: Final = "/api/subscriptions"


class SubscriptionsParameters(PageParameters):
    """The parameters of ``GET /api/subscriptions``."""

    user_id: str | None = Field(default=None, min_length=1, description="Only subscriptions of this user.")
    locale: Locale | None = Field(
        default=None,
        description="Adds the name of each merchant in Persian (`fa`) or English (`en`) as `merchant_name`. If a "
        "merchant has no name in that language, its name in the other language is used.",
    )
    limit: PageLimit = 100
    cursor: PageCursor = None

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        return "subscriptions", self.tenant, self.user_id, self.limit


class SubscriptionsResource:
    """Subscriptions: those that are active, and each of them, for keys that may read its summaries.

    :param senders: the name of the sender of each channel.
    """

    def __init__(self, access: StoreAccess, senders: Mapping[str, str], clock: Clock) -> None:
        self._access = access
        self._senders = senders
        self._channels = subscribable_channels(senders)
        self._clock = clock
        self._names = NO_NAMES

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of active subscriptions, to summaries that the caller may read, the oldest first.

        Neither the page nor the cursor shows whether there is anything that the caller may not see.
        """
        caller = caller_with(req, Scope.NOTIFICATIONS)
        parameters, after = read_page(SubscriptionsParameters, req.query_string)
        locale = parameters.locale

        def visible(stores: Stores) -> tuple[list[Subscription], MerchantNames]:
            subscriptions = stores.subscriptions.all(
                tenant=tenant_to_list(stores, caller, parameters.tenant),
                merchants=caller.readable_merchants,
                user_id=parameters.user_id,
                active=True,
                after=after,
                limit=parameters.limit + 1,
            )
            return subscriptions, NO_NAMES if locale is None else self._current_names(stores)

        def cursor_after(last: Subscription, query: Hashable) -> str:
            return cursor_of((last.created_at_ms, last.id), query)

        subscriptions, names = self._access.call(visible)
        found, cursor, following = cut(PATH, parameters, subscriptions, cursor_after)
        views = [listed_subscription_view(one, names, locale) for one in found]
        send_document(resp, Subscriptions(subscriptions=views, next_cursor=cursor), following=following)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Subscribe a user, unless an active subscription is equivalent. The key must allow reading those summaries."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        asked = parameters_in(req.query_string, OfUser).tenant
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

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, subscription_id: str) -> None:
        """The subscription, also an ended one."""
        send_document(resp, subscription_view(self._found(req, subscription_id)))

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, subscription_id: str) -> None:
        """End the subscription; ending again changes nothing."""
        self._found(req, subscription_id)
        checked_payload(read_object(req, needed=False), Nothing, None)
        now_ms = self._clock()
        ended = self._access.call(lambda stores: stores.subscriptions.end(subscription_id, now_ms))
        send_document(resp, subscription_view(ended))

    on_head = on_get
    on_head_one = on_get_one

    def _found(self, req: falcon.Request, subscription_id: str) -> Subscription:
        caller = caller_with(req, Scope.NOTIFICATIONS)
        refuse_parameters(req.query_string)
        found = self._access.call(lambda stores: stores.subscriptions.get(subscription_id))
        if found is None or not caller.may_touch(found.tenant):
            raise Problem(ProblemKind.UNKNOWN_SUBSCRIPTION, "There is no subscription with this id.")
        caller.require_merchant(found.merchant_id)
        return found

    def _current_names(self, stores: Stores) -> MerchantNames:
        """The names of all merchants, which are read again only after they have changed. Threads share them."""
        if self._names.version != stores.merchant_names.version():
            self._names = stores.merchant_names.read()
        return self._names


def _tenant_of(stores: Stores, subscription_id: str) -> str | None:
    found = stores.subscriptions.get(subscription_id)
    return None if found is None else found.tenant
