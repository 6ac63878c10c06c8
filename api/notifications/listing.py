"""``GET /api/notifications``: a page of notifications, the newest first."""

from __future__ import annotations

from typing import Annotated, Final

from falcon import to_query_str
from pydantic import Field

from api.auth.principal import Principal
from api.http.pagination import Place, cursor_of, place_in
from api.http.query_parameters import Findings, WholeNumber, checked, fields_of
from api.notifications.tenants import OfTenant, tenant_to_list
from api.notifications.views import listed_view
from api.openapi.bodies import Notifications
from api.store_access import StoreAccess
from core.notifications.model import NotificationStatus
from core.stores import Stores
from core.stores.notifications import Listed

PATH: Final = "/api/notifications"


class NotificationsParameters(OfTenant):
    """The parameters of ``GET /api/notifications``."""

    user_id: str | None = Field(default=None, min_length=1, description="Only notifications to this user.")
    status: NotificationStatus | None = Field(default=None, description="Only notifications with this status.")
    limit: Annotated[WholeNumber, Field(ge=1, le=1000)] = Field(
        default=100, description="The number of notifications in a page."
    )
    cursor: str | None = Field(
        default=None, min_length=1, description="The start of a page: `next_cursor` of the page before."
    )


def read_parameters(query_string: str) -> tuple[NotificationsParameters, Place | None]:
    """The checked query, and after which notification the page begins.

    :raises Problem: bad parameter, with all that is wrong; or the query string cannot be read.
    """
    findings = Findings()
    parameters = checked(NotificationsParameters, fields_of(query_string, findings), findings)
    after = None
    if parameters is not None and parameters.cursor is not None:
        after = place_in(parameters.cursor, _query(parameters), findings)
    findings.raise_if_any()
    assert parameters is not None  # because what is not checked has findings
    return parameters, after


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
    cursor = None
    if len(found) > limit:
        last = found[limit - 1].notification
        cursor = cursor_of((last.created_at_ms, last.id), _query(parameters))
    document = Notifications(notifications=[listed_view(listed) for listed in found[:limit]], next_cursor=cursor)
    given = parameters.model_dump(mode="json", exclude_none=True)
    return document, cursor and PATH + to_query_str(given | {"cursor": cursor})


def _query(parameters: NotificationsParameters) -> tuple[str | None, str | None, str | None, int]:
    return parameters.tenant, parameters.user_id, parameters.status and parameters.status.value, parameters.limit
