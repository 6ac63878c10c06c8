"""``GET /api/subscriptions``: a page of subscriptions that have not ended, the oldest first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.pagination import PageCursor, PageLimit, Place, cursor_of
from api.notifications.pages import PageParameters, cut
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
    limit: PageLimit = 100
    cursor: PageCursor = None

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        return "subscriptions", self.tenant, self.user_id, self.limit


def page(
    access: StoreAccess, caller: Principal, parameters: SubscriptionsParameters, after: Place | None
) -> tuple[Subscriptions, str | None]:
    """The page, and the address of the next one; None after the last page.

    Neither the page nor the cursor shows whether there is anything that `caller` may not see.

    :raises Problem: bad parameter, or out of scope: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """

    def visible(stores: Stores) -> list[Subscription]:
        return stores.subscriptions.all(
            tenant=tenant_to_list(stores, caller, parameters.tenant),
            merchants=caller.readable_merchants,
            user_id=parameters.user_id,
            active=True,
            after=after,
            limit=parameters.limit + 1,
        )

    def cursor_after(last: Subscription, query: Hashable) -> str:
        return cursor_of((last.created_at_ms, last.id), query)

    found, cursor, following = cut(PATH, parameters, access.call(visible), cursor_after)
    return Subscriptions(subscriptions=list(map(subscription_view, found)), next_cursor=cursor), following
