"""The caller of a request, and what the scopes of a key allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import falcon

from api.problems import Problem, ProblemKind
from core.stores.api_keys import ApiKey, Scope
from core.tenants import OPERATOR


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller.

    :param key_id: the id of the key, or None for a person who signed in and for a program on this host.
    :param name: the name of the key.
    :param scopes: what the key allows in addition to `merchants`.
    :param merchants: the merchants whose summaries it may read even without the scope ``summaries``.
    :param tenant: the owner of the notifications, contacts and subscriptions that it may read and write.
    :param session_id: of a person who signed in.
    """

    key_id: str | None
    name: str | None
    scopes: frozenset[Scope]
    merchants: frozenset[str]
    tenant: str
    session_id: str | None = None

    @property
    def is_operator(self) -> bool:
        """Whether it belongs to the operator, who may read and write what belongs to any tenant."""
        return self.tenant == OPERATOR

    def may_touch(self, tenant: str) -> bool:
        """Whether it may read and write what belongs to `tenant`."""
        return self.is_operator or tenant == self.tenant

    @property
    def readable_merchants(self) -> frozenset[str] | None:
        """The merchants whose summaries it may read; None for all, and for all together."""
        return None if Scope.SUMMARIES in self.scopes else self.merchants

    @property
    def counted_as(self) -> str | None:
        """The name by which its requests are counted; or None: by address."""
        return self.key_id if self.session_id is None else f"session {self.session_id}"

    def require_scope(self, scope: Scope) -> None:
        """Check that this caller has `scope`.

        :raises Problem: out of scope; names the scope.
        """
        if scope not in self.scopes:
            raise Problem(ProblemKind.OUT_OF_SCOPE, f"This needs the scope {scope}.")

    def require_merchant(self, merchant_id: str | None) -> None:
        """Check that this caller may read the summaries of `merchant_id` (None: of all merchants together).

        :raises Problem: out of scope, whether or not there is such a merchant.
        """
        if Scope.SUMMARIES in self.scopes or merchant_id in self.merchants:
            return
        what = "all merchants together" if merchant_id is None else "this merchant"
        raise Problem(ProblemKind.OUT_OF_SCOPE, f"The key does not allow the summaries of {what}.")

    def visible_merchants(self) -> frozenset[str] | None:
        """The merchants that this caller may see, or None for all.

        :raises Problem: out of scope: the key allows no merchant's summaries.
        """
        if self.readable_merchants == frozenset():
            raise Problem(ProblemKind.OUT_OF_SCOPE, f"This needs the scope {Scope.SUMMARIES}, or that of a merchant.")
        return self.readable_merchants


LOCAL: Final = Principal(key_id=None, name=None, scopes=frozenset(Scope), merchants=frozenset(), tenant=OPERATOR)
"""A program on this host that needs no key (``API_ACCESS=open-loopback``): it may do everything."""


def caller_with(req: falcon.Request, scope: Scope) -> Principal:
    """The caller of `req`, who has `scope`.

    :raises Problem: out of scope; names the scope.
    """
    caller: Principal = req.context.principal
    caller.require_scope(scope)
    return caller


def principal_of(key: ApiKey) -> Principal:
    """The caller with `key`."""
    return Principal(key.id, key.name, key.allowed_scopes, key.merchants, key.tenant)
