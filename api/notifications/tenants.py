"""The tenant of a request: the caller's own, or for the operator the one in the parameter ``tenant``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.query_parameters import Parameters
from api.problems import ParameterError, Problem, ProblemKind, bad_parameters
from core.notifications import users
from core.notifications.users import AmbiguousUser
from core.stores import Stores
from core.stores.api_keys import all_tenants
from core.stores.contacts import ContactStore
from core.stores.notifications import NotificationFilter
from core.stores.subscriptions import SubscriptionStore
from core.tenants import OPERATOR

_NAME: Final = "tenant"
_MOST_NAMED: Final = 10

Choice = Callable[[ContactStore, SubscriptionStore, str], str]


class OfTenant(Parameters):
    """The parameter that filters by tenant."""

    tenant: str | None = Field(
        default=None,
        min_length=1,
        description="Only data of this tenant; `operator`: the operator's own data. For API keys of the operator.",
        examples=[OPERATOR],
    )


class OfUser(Parameters):
    """The parameter with the tenant of a user."""

    tenant: str | None = Field(
        default=None,
        min_length=1,
        description="The tenant of the user; `operator`: a user of the operator. For API keys of the operator, and "
        "required if a tenant has a user with this id.",
        examples=[OPERATOR],
    )


def tenant_to_list(stores: Stores, caller: Principal, asked: str | None) -> str | None:
    """The tenant to list for `caller`, who has named `asked`; None for all tenants.

    :raises Problem: out of scope: `asked` is another tenant, whether or not it exists; bad parameter: the operator has
        named a tenant that does not exist.
    :raises StoreUnavailable: the store does not answer.
    """
    if asked is not None and not caller.may_touch(asked):
        raise Problem(ProblemKind.OUT_OF_SCOPE, "The key does not belong to this tenant.")
    if not caller.is_operator:
        return caller.tenant
    if asked is not None and asked not in all_tenants(stores.keys):
        detail = "is not a tenant: python -m api keys list shows the tenants of all keys"
        raise bad_parameters([ParameterError(_NAME, detail, "unknown-tenant")])
    return asked


def visible_to(stores: Stores, caller: Principal, asked: str | None, wanted: NotificationFilter) -> NotificationFilter:
    """`wanted`, narrowed to the notifications that `caller`, who has named the tenant `asked`, may see.

    :raises Problem: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """
    return replace(wanted, tenant=tenant_to_list(stores, caller, asked), merchants=caller.readable_merchants)


def tenant_to_read(stores: Stores, caller: Principal, asked: str | None, user_id: str) -> str:
    """The tenant of the user in a request that only reads.

    :raises Problem: see `tenant_to_list`; bad parameter: several tenants have such a user, and none was named.
    :raises StoreUnavailable: the store does not answer.
    """
    return _tenant_of_user(stores, caller, asked, user_id, users.tenant_to_read)


def tenant_to_write(stores: Stores, caller: Principal, asked: str | None, user_id: str) -> str:
    """The tenant of the user in a request that writes or sends.

    :raises Problem: see `tenant_to_list`; bad parameter: a tenant has such a user, and the operator has named none.
    :raises StoreUnavailable: the store does not answer.
    """
    return _tenant_of_user(stores, caller, asked, user_id, users.tenant_to_write)


def _tenant_of_user(stores: Stores, caller: Principal, asked: str | None, user_id: str, choice: Choice) -> str:
    if (tenant := tenant_to_list(stores, caller, asked)) is not None:
        return tenant
    try:
        return choice(stores.contacts, stores.subscriptions, user_id)
    except AmbiguousUser as ambiguous:
        named = ", ".join(ambiguous.tenants[:_MOST_NAMED])
        more = f" and {len(ambiguous.tenants) - _MOST_NAMED} more" if len(ambiguous.tenants) > _MOST_NAMED else ""
    detail = f"is required, because these tenants may have a user with this id: {named}{more}"
    raise bad_parameters([ParameterError(_NAME, detail, "ambiguous-user")])
