"""Users of one id in several tenants, who have nothing in common: whom the operator means."""

from __future__ import annotations

from core.stores.contacts import ContactStore
from core.stores.subscriptions import SubscriptionStore
from core.tenants import OPERATOR


class AmbiguousUser(Exception):
    """The operator has to say of which tenant the user is.

    :param tenants: those that have a user of that id, in order.
    """

    def __init__(self, tenants: list[str]) -> None:
        super().__init__(tenants)
        self.tenants = tenants


def tenant_to_read(contacts: ContactStore, subscriptions: SubscriptionStore, user_id: str) -> str:
    """The one tenant that has a user of that id; the operator where none has.

    :raises AmbiguousUser: several have.
    :raises StoreUnavailable: the store does not answer.
    """
    tenants = _tenants_of(contacts, subscriptions, user_id)
    if len(tenants) > 1:
        raise AmbiguousUser(sorted(tenants))
    return next(iter(tenants), OPERATOR)


def tenant_to_write(contacts: ContactStore, subscriptions: SubscriptionStore, user_id: str) -> str:
    """The operator, unless a tenant has a user of that id.

    Never another tenant: it chose the id, and could lead there what is meant for a user of the operator's.

    :raises AmbiguousUser: a tenant has.
    :raises StoreUnavailable: the store does not answer.
    """
    if tenants := _tenants_of(contacts, subscriptions, user_id) - {OPERATOR}:
        raise AmbiguousUser(sorted(tenants | {OPERATOR}))
    return OPERATOR


def _tenants_of(contacts: ContactStore, subscriptions: SubscriptionStore, user_id: str) -> frozenset[str]:
    subscribed = subscriptions.all(user_id=user_id, active=True)
    return contacts.tenants_of(user_id) | {subscription.tenant for subscription in subscribed}
