"""Which tenant's user the operator means: tenants choose user ids independently of each other."""

from __future__ import annotations

from core.stores.contacts import ContactStore
from core.stores.subscriptions import SubscriptionStore
from core.tenants import OPERATOR


class AmbiguousUser(Exception):
    """The operator has to name the tenant of the user.

    :param tenants: those that have a user with this id, in order.
    """

    def __init__(self, tenants: list[str]) -> None:
        super().__init__(tenants)
        self.tenants = tenants


def tenant_to_read(contacts: ContactStore, subscriptions: SubscriptionStore, user_id: str) -> str:
    """The only tenant that has a user with this id; the operator if no tenant has.

    :raises AmbiguousUser: several tenants have.
    :raises StoreUnavailable: the store does not answer.
    """
    tenants = _tenants_of(contacts, subscriptions, user_id)
    if len(tenants) > 1:
        raise AmbiguousUser(sorted(tenants))
    return next(iter(tenants), OPERATOR)


def tenant_to_write(contacts: ContactStore, subscriptions: SubscriptionStore, user_id: str) -> str:
    """The operator, unless a tenant has a user with this id.

    It is never a tenant: tenants choose ids, and so one could receive what is meant for a user of the operator.

    :raises AmbiguousUser: a tenant has.
    :raises StoreUnavailable: the store does not answer.
    """
    if tenants := _tenants_of(contacts, subscriptions, user_id) - {OPERATOR}:
        raise AmbiguousUser(sorted(tenants | {OPERATOR}))
    return OPERATOR


def _tenants_of(contacts: ContactStore, subscriptions: SubscriptionStore, user_id: str) -> frozenset[str]:
    subscribed = subscriptions.all(user_id=user_id, active=True)
    return contacts.tenants_of(user_id) | {subscription.tenant for subscription in subscribed}
