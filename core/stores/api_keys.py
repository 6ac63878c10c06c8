"""The interfaces of the stores of API keys: scopes, expiry, revocation, and the last use of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from core.notifications.model import derived_id
from core.tenants import OPERATOR


class Scope(StrEnum):
    """What a key may be allowed beside the summaries of single merchants."""

    SUMMARIES = "summaries"
    NOTIFICATIONS = "notifications"
    OPERATE = "operate"


TENANT_SCOPES: Final = frozenset({Scope.NOTIFICATIONS})
"""What keys of tenants may be allowed: the others concern all merchants, or the whole service."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret, which nobody keeps.

    :param id: the part of the token by which the key is found.
    :param name: what people call it.
    :param digest: SHA-256 of the whole token, 32 bytes; not shown by `repr`.
    :param scopes: what it allows; `Scope.SUMMARIES` means those of all merchants.
    :param merchants: the merchants whose summaries it allows.
    :param created_at_ms: when it was made, milliseconds since 1970 UTC.
    :param revoked_at_ms: since when it is of no use, or None while it is.
    :param tenant_name: the name of its tenant, or None where it was given none: see `tenant`.
    :param expires_at_ms: from when on it is not valid, likewise, or None: it never expires.
    """

    id: str
    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    merchants: frozenset[str]
    created_at_ms: int
    revoked_at_ms: int | None = None
    tenant_name: str | None = None
    expires_at_ms: int | None = None

    def has_expired(self, now_ms: int) -> bool:
        """Whether it is no longer valid at `now_ms`, revoked or not."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def is_valid(self, now_ms: int) -> bool:
        """Whether it is of use at `now_ms`: neither revoked nor expired."""
        return self.revoked_at_ms is None and not self.has_expired(now_ms)

    @property
    def tenant(self) -> str:
        """Whose key it is: the named tenant, or that of all keys of the same merchants, or `core.tenants.OPERATOR`."""
        if self.tenant_name is not None:
            return self.tenant_name
        return f"merchants:{derived_id(*sorted(self.merchants))}" if self.merchants else OPERATOR

    @property
    def allowed_scopes(self) -> frozenset[Scope]:
        """Those of `scopes` that it may use: earlier versions gave keys of single merchants any."""
        return self.scopes if self.tenant == OPERATOR else self.scopes & TENANT_SCOPES


class ApiKeyStore(Protocol):
    """Where API keys are kept, for ever. Threads may share an instance, and take turns; processes may not."""

    def add(self, key: ApiKey) -> None:
        """Keep `key`; durable when it returns.

        :raises ValueError: there is a key of that id; it stays as it is.
        :raises StoreUnavailable: the store could not be written.
        """

    def get(self, key_id: str) -> ApiKey | None:
        """The key of that id, also one that is revoked or has expired, or None.

        :raises StoreUnavailable: the store does not answer.
        """

    def all(self) -> list[ApiKey]:
        """Every key, also those that are revoked or have expired, by the instant of creation, then by id.

        :raises StoreUnavailable: the store does not answer.
        """

    def revoke(self, key_id: str, at_ms: int) -> ApiKey:
        """Make the key of no use from `at_ms` (milliseconds since 1970 UTC) on; durable when it returns.

        :returns: the key as it is now: one that was revoked before keeps the instant of that.
        :raises LookupError: there is no such key.
        :raises StoreUnavailable: the store could not be written.
        """


class KeyUseStore(Protocol):
    """When each API key was last used. Threads may share an instance, and take turns; processes may not.

    It is separate from the keys, which are looked up while a use waits to be written, and whose revocation nothing may
    undo. A power cut may take the latest uses away.
    """

    def record(self, last_used_ms: Mapping[str, int]) -> None:
        """Remember that keys were used, unless a later use is known.

        :param last_used_ms: instants by the id of the key, milliseconds since 1970 UTC.
        :raises StoreUnavailable: the store could not be written.
        """

    def all(self) -> dict[str, int]:
        """When each key was last used, by its id; those that never were are absent.

        :raises StoreUnavailable: the store does not answer.
        """


def all_tenants(keys: ApiKeyStore) -> frozenset[str]:
    """The tenants that have a key, also a revoked one, and the operator.

    :raises StoreUnavailable: the store does not answer.
    """
    return frozenset({OPERATOR, *(key.tenant for key in keys.all())})
