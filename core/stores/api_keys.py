"""The store of API keys, and the interface of that of their last uses: scopes, expiry, revocation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from core.notifications.model import derived_id
from core.stores.record_table import RecordTable
from core.stores.records import Mapper
from core.tenants import OPERATOR


class Scope(StrEnum):
    """Permissions of a key besides the summaries of single merchants."""

    SUMMARIES = "summaries"
    NOTIFICATIONS = "notifications"
    OPERATE = "operate"


TENANT_SCOPES: Final = frozenset({Scope.NOTIFICATIONS})
"""The scopes allowed for keys of tenants; other scopes concern all merchants or the whole service."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret, which is not stored.

    :param id: the part of the token that identifies the key.
    :param name: its name for people.
    :param digest: SHA-256 of the whole token, 32 bytes; not shown by `repr`.
    :param scopes: its permissions; `Scope.SUMMARIES` allows all merchants.
    :param merchants: the merchants whose summaries it may read.
    :param created_at_ms: time of creation, milliseconds since 1970 UTC; likewise the others.
    :param revoked_at_ms: time of revocation, or None.
    :param tenant_name: the given name of its tenant, or None: see `tenant`.
    :param expires_at_ms: time of expiry, or None: never.
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
        """Whether it has expired at `now_ms`, revoked or not."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def is_valid(self, now_ms: int) -> bool:
        """Whether it is neither revoked nor expired at `now_ms`."""
        return self.revoked_at_ms is None and not self.has_expired(now_ms)

    @property
    def tenant(self) -> str:
        """The tenant: the named one, or that of all keys with the same merchants, or `core.tenants.OPERATOR`."""
        if self.tenant_name is not None:
            return self.tenant_name
        return f"merchants:{derived_id(*sorted(self.merchants))}" if self.merchants else OPERATOR

    @property
    def allowed_scopes(self) -> frozenset[Scope]:
        """The effective `scopes`: earlier versions allowed any scope for keys of single merchants."""
        return self.scopes if self.tenant == OPERATOR else self.scopes & TENANT_SCOPES


_MAPPER: Final = Mapper(
    ApiKey,
    read={"digest": bytes.fromhex, "scopes": lambda names: frozenset(map(Scope, names)), "merchants": frozenset},
)
key_to_record, key_from_record = _MAPPER.to_record, _MAPPER.from_record


class ApiKeyStore:
    """Stores API keys in `table`, without ever deleting one. Thread-safe (calls take turns), but not fork-safe.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def __init__(self, table: RecordTable) -> None:
        self._table = table

    def add(self, key: ApiKey) -> None:
        """Store `key`; durable when it returns.

        :raises ValueError: the id exists; nothing was changed.
        """
        if not self._table.insert(key_to_record(key)):
            raise ValueError(f"there is a key {key.id} already")

    def get(self, key_id: str) -> ApiKey | None:
        """The key with that id, also if revoked or expired, or None."""
        record = self._table.get(key_id)
        return None if record is None else key_from_record(record)

    def all(self) -> list[ApiKey]:
        """All keys, including revoked and expired ones, ordered by creation, then id."""
        return [key_from_record(record) for record in self._table.find()]

    def revoke(self, key_id: str, at_ms: int) -> ApiKey:
        """Revoke the key at `at_ms` (milliseconds since 1970 UTC); durable when it returns.

        :returns: the revoked key; an earlier revocation is not changed.
        :raises LookupError: the key does not exist.
        """
        self._table.update({"revoked_at_ms": at_ms}, ("id", "=", key_id), ("revoked_at_ms", "=", None))
        key = self.get(key_id)
        if key is None:
            raise LookupError(f"there is no key {key_id}")
        return key


class KeyUseStore(Protocol):
    """Stores the last use of each API key. Thread-safe (calls take turns), but not fork-safe.

    It is separate from the keys, so that a pending write does not block lookups and cannot undo a revocation. A power
    cut may lose the latest uses.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def record(self, last_used_ms: Mapping[str, int]) -> None:
        """Record the last use of keys, unless a later use is recorded.

        :param last_used_ms: instants by key id, milliseconds since 1970 UTC.
        """

    def all(self) -> dict[str, int]:
        """The last use of each key, by id, without unused keys."""


def all_tenants(keys: ApiKeyStore) -> frozenset[str]:
    """The tenants with a key, also if revoked, and the operator.

    :raises StoreUnavailable: the store does not answer.
    """
    return frozenset({OPERATOR, *(key.tenant for key in keys.all())})
