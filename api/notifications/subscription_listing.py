"""``GET /api/subscriptions``: a page of subscriptions that have not ended, the oldest first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.pagination import Place
from api.http.query_parameters import WholeNumber
from api.notifications.pages import PageParameters, next_page
from api.notifications.tenants import tenant_to_list
from api.notifications.views import subscription_view
from api.openapi.bodies import Subscriptions
from api.store_access import StoreAccess
from core.stores import Stores
from core.stores.subscriptions import Subscription

PATH: Final = "/api/subscriptions"


class SubscriptionsParameters(PageParameters):
    """The parameters of ``GET /api/subscriptions``."""

    user_id: str | None = Field(default=None, min_length=1, description="Only subscriptions of this user.")
    limit: Annotated[WholeNumber, Field(ge=1, le=1000)] = Field(
        default=100, description="The number of subscriptions in a page."
    )
    cursor: str | None = Field(
        default=None, min_length=1, description="The start of a page: `next_cursor` of the page before."
    )

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        return "subscriptions", self.tenant, self.user_id, self.limit


def page(
    access: StoreAccess, caller: Principal, parameters: SubscriptionsParameters, after: Place | None
) -> tuple[Subscriptions, str | None]:
    """The page, and where the next one is; None after the last.

    What `caller` may not see is not there for it: neither the page nor the cursor shows that there is any.

    :raises Problem: bad parameter, or out of scope: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """
    limit = parameters.limit

    def visible(stores: Stores) -> list[Subscription]:
        return stores.subscriptions.all(
            tenant=tenant_to_list(stores, caller, parameters.tenant),
            merchants=caller.readable_merchants,
            user_id=parameters.user_id,
            active=True,
            after=after,
            limit=limit + 1,
        )

    found = access.call(visible)
    cursor = following = None
    if len(found) > limit:
        last = found[limit - 1]
        cursor, following = next_page(PATH, parameters, (last.created_at_ms, last.id))
    document = Subscriptions(
        subscriptions=[subscription_view(subscription) for subscription in found[:limit]], next_cursor=cursor
    )
    return document, following
