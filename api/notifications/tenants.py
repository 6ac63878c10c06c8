"""Which tenant a request is about: the caller's own, or for the operator the one that ``tenant=`` names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.query_parameters import Findings, Parameters, fields_of, validated
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
    """The parameter that says whose something is."""

    tenant: str | None = Field(
        default=None,
        min_length=1,
        description="Only those of this tenant (for keys of the operator; `operator` names its own).",
        examples=[OPERATOR],
    )


class OfUser(Parameters):
    """The parameter that says whose user is meant."""

    tenant: str | None = Field(
        default=None,
        min_length=1,
        description="The tenant of the user (for keys of the operator; `operator` names its own). Required when "
        "another tenant has a user of this id.",
        examples=[OPERATOR],
    )


def read_tenant(query_string: str, model: type[OfUser] | type[OfTenant] = OfUser) -> str | None:
    """The tenant that a query names, if it does; it may have no other parameters.

    :param model: what the tenant is named for.
    :raises Problem: bad parameter, with all that is wrong; or the query string cannot be read.
    """
    findings = Findings()
    tenant = validated(model, fields_of(query_string, findings), findings).tenant
    findings.raise_if_any()
    return tenant


def tenant_to_list(stores: Stores, caller: Principal, asked: str | None) -> str | None:
    """The tenant whose things `caller` may see of those that it has asked for; None for those of all.

    :raises Problem: out of scope: it is another's, whether or not there is such a tenant; bad parameter: the operator
        has asked for one that there is not.
    :raises StoreUnavailable: the store does not answer.
    """
    if asked is not None and not caller.may_touch(asked):
        raise Problem(ProblemKind.OUT_OF_SCOPE, "The key is not of this tenant.")
    if not caller.is_operator:
        return caller.tenant
    if asked is not None and asked not in all_tenants(stores.keys):
        raise bad_parameters([ParameterError(_NAME, "is no tenant: python -m api keys list shows those of all keys")])
    return asked


def visible_to(stores: Stores, caller: Principal, asked: str | None, wanted: NotificationFilter) -> NotificationFilter:
    """`wanted`, narrowed to the notifications that `caller` may see of the tenant that it has asked for.

    :raises Problem: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """
    return replace(wanted, tenant=tenant_to_list(stores, caller, asked), merchants=caller.readable_merchants)


def tenant_to_read(stores: Stores, caller: Principal, asked: str | None, user_id: str) -> str:
    """The tenant whose user of that id is meant by a request that only reads.

    :raises Problem: as `tenant_to_list`; bad parameter: several tenants have such a user, and none was asked for.
    :raises StoreUnavailable: the store does not answer.
    """
    return _tenant_of_user(stores, caller, asked, user_id, users.tenant_to_read)


def tenant_to_write(stores: Stores, caller: Principal, asked: str | None, user_id: str) -> str:
    """The tenant whose user of that id is meant by a request that writes, or sends something.

    :raises Problem: as `tenant_to_list`; bad parameter: a tenant has such a user, and the operator has asked for none.
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
    raise bad_parameters([ParameterError(_NAME, f"is needed: a user of this id may be of the tenants {named}{more}")])
