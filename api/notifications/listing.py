"""``GET /api/notifications``: a page of notifications, the newest first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.pagination import Place
from api.http.query_parameters import WholeNumber
from api.notifications.pages import PageParameters, next_page
from api.notifications.tenants import tenant_to_list
from api.notifications.views import listed_view
from api.openapi.bodies import Notifications
from api.store_access import StoreAccess
from core.notifications.model import NotificationStatus
from core.stores import Stores
from core.stores.notifications import Listed

PATH: Final = "/api/notifications"


class NotificationsParameters(PageParameters):
    """The parameters of ``GET /api/notifications``."""

    user_id: str | None = Field(default=None, min_length=1, description="Only notifications to this user.")
    status: NotificationStatus | None = Field(default=None, description="Only notifications with this status.")
    limit: Annotated[WholeNumber, Field(ge=1, le=1000)] = Field(
        default=100, description="The number of notifications in a page."
    )
    cursor: str | None = Field(
        default=None, min_length=1, description="The start of a page: `next_cursor` of the page before."
    )

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        return self.tenant, self.user_id, self.status and self.status.value, self.limit


def page(
    access: StoreAccess, caller: Principal, parameters: NotificationsParameters, after: Place | None
) -> tuple[Notifications, str | None]:
    """The page, and where the next one is; None after the last.

    What `caller` may not see is not there for it: neither the page nor the cursor shows that there is any.

    :raises Problem: bad parameter, or out of scope: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """
    limit = parameters.limit

    def visible(stores: Stores) -> list[Listed]:
        return stores.notifications.listed(
            tenant=tenant_to_list(stores, caller, parameters.tenant),
            merchants=caller.readable_merchants,
            user_id=parameters.user_id,
            status=parameters.status,
            after=after,
            limit=limit + 1,
        )

    found = access.call(visible)
    cursor = following = None
    if len(found) > limit:
        last = found[limit - 1].notification
        cursor, following = next_page(PATH, parameters, (last.created_at_ms, last.id))
    document = Notifications(notifications=[listed_view(listed) for listed in found[:limit]], next_cursor=cursor)
    return document, following
