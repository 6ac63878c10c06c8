"""``GET /api/subscriptions``: a page of subscriptions that have not ended, the oldest first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.pagination import PageCursor, PageLimit, Place, cursor_of
from api.notifications.pages import PageParameters, cut
from api.notifications.tenants import tenant_to_list
from api.notifications.views import listed_subscription_view
from api.openapi import bodies
from api.openapi.bodies import Subscriptions
from api.store_access import StoreAccess
from core.merchant_names import NO_NAMES, MerchantNames
from core.stores import Stores
from core.stores.subscriptions import Subscription

PATH: Final = "/api/subscriptions"


class SubscriptionsParameters(PageParameters):
    """The parameters of ``GET /api/subscriptions``."""

    user_id: str | None = Field(default=None, min_length=1, description="Only subscriptions of this user.")
    locale: bodies.Locale | None = Field(
        default=None,
        description="Adds the name of each merchant in Persian (`fa`) or English (`en`) as `merchant_name`. If a "
        "merchant has no name in that language, its name in the other language is used.",
    )
    limit: PageLimit = 100
    cursor: PageCursor = None

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        return "subscriptions", self.tenant, self.user_id, self.limit


class CurrentNames:
    """The names of merchants, which are read again only after they have changed. Threads share it."""

    def __init__(self) -> None:
        self._names = NO_NAMES

    def read(self, stores: Stores) -> MerchantNames:
        """The names of all merchants.

        :raises StoreUnavailable: the store does not answer.
        """
        if self._names.version != stores.merchant_names.version():
            self._names = stores.merchant_names.read()
        return self._names


def page(
    access: StoreAccess,
    caller: Principal,
    names: CurrentNames,
    parameters: SubscriptionsParameters,
    after: Place | None,
) -> tuple[Subscriptions, str | None]:
    """The page, and the address of the next one; None after the last page.

    Neither the page nor the cursor shows whether there is anything that `caller` may not see.

    :raises Problem: bad parameter, or out of scope: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """
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
        return subscriptions, NO_NAMES if locale is None else names.read(stores)

    def cursor_after(last: Subscription, query: Hashable) -> str:
        return cursor_of((last.created_at_ms, last.id), query)

    subscriptions, current_names = access.call(visible)
    found, cursor, following = cut(PATH, parameters, subscriptions, cursor_after)
    views = [listed_subscription_view(one, current_names, locale) for one in found]
    return Subscriptions(subscriptions=views, next_cursor=cursor), following
