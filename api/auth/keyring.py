"""The keys as this process knows them: read again once per freshness, so that revoking takes effect."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from api.auth.api_keys import digest_of, id_in
from api.auth.lookups import Lookups, anyone_may_guess
from api.auth.principal import Principal, principal_of
from api.store_access import StoreAccess
from api.threads import ThreadPool
from core.stores.keys import ApiKey


class KeyRing:
    """Looks up keys in the store behind `access`.

    :param freshness_s: how long an answer of the store is believed.
    :param monotonic: seconds, never going back.
    """

    def __init__(
        self, access: StoreAccess, pool: ThreadPool, *, freshness_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._keys: Lookups[ApiKey] = Lookups(
            lambda key_id: access.call(lambda stores: stores.keys.get(key_id)),
            lambda: access.call(lambda stores: frozenset(key.id for key in stores.keys.all())),
            pool=pool,
            freshness_s=freshness_s,
            monotonic=monotonic,
        )

    def fresh(self, key_id: str) -> ApiKey | None:
        """The valid key of `key_id`, the same object each time, if it was read a moment ago."""
        key = self._keys.fresh(key_id)
        return None if key is None or key.revoked_at_ms is not None else key

    async def find(self, token: str, may_guess: Callable[[], Awaitable[bool]] = anyone_may_guess) -> Principal | None:
        """The caller that `token` stands for, or None when no valid key has it.

        :param may_guess: see `Lookups.get`.
        :raises StoreUnavailable: the store does not answer.
        """
        key_id = id_in(token)
        key = None if key_id is None else await self._keys.get(key_id, may_guess)
        if key is None or not hmac.compare_digest(digest_of(token), key.digest) or key.revoked_at_ms is not None:
            return None
        return principal_of(key)
