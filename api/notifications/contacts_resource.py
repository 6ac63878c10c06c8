"""``/api/users/{user_id}/contacts``: where a user is reached."""

from __future__ import annotations

import falcon

from api.auth.principal import Principal
from api.http.answering import send_document
from api.http.request_body import addresses_in, read_object
from api.notifications.tenants import read_tenant, tenant_to_read, tenant_to_write
from api.notifications.user_path import checked_user_id
from api.openapi.bodies import UserContacts
from api.store_access import StoreAccess
from core.stores import Stores
from core.stores.keys import Scope


class ContactsResource:
    """The addresses of one user, by channel.

    :param access: the stores.
    :param channels: over which something can be sent.
    """

    def __init__(self, access: StoreAccess, channels: frozenset[str]) -> None:
        self._access = access
        self._channels = channels

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """The addresses of the user, none if nothing is known of them."""
        caller: Principal = req.context.principal
        caller.require_scope(Scope.NOTIFICATIONS)
        asked = read_tenant(req.query_string)
        user_id = checked_user_id(user_id)

        def read(stores: Stores) -> UserContacts:
            tenant = tenant_to_read(stores, caller, asked, user_id)
            return UserContacts(tenant=tenant, user_id=user_id, contacts=stores.contacts.get(user_id, tenant=tenant))

        send_document(resp, self._access.call(read))

    def on_put(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Let the user be reached at these addresses, and nowhere else.

        Whoever does must be allowed to read all summaries that the user is told of: they go there from now on.
        """
        caller: Principal = req.context.principal
        caller.require_scope(Scope.NOTIFICATIONS)
        asked = read_tenant(req.query_string)
        user_id = checked_user_id(user_id)
        addresses = addresses_in(read_object(req), self._channels)

        def replace(stores: Stores) -> str:
            tenant = tenant_to_write(stores, caller, asked, user_id)
            for subscription in stores.subscriptions.all(tenant=tenant, user_id=user_id, in_force=True):
                caller.require_merchant(subscription.merchant_id)
            stores.contacts.replace(user_id, addresses, tenant=tenant)
            return tenant

        tenant = self._access.call(replace)
        send_document(resp, UserContacts(tenant=tenant, user_id=user_id, contacts=addresses))

    on_head = on_get
