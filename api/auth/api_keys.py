"""API keys: the tokens that clients send, and their lookup.

A token is ``tss_<id>_<secret>``. The stored key is found by the id, and has only the SHA-256 of the token. The secret
has 256 random bits, so a plain hash is enough.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import Final

from cachetools import TTLCache

from api.auth.lookups import Lookups
from api.auth.principal import Principal, principal_of
from api.problems import Problem, ProblemKind
from api.store_access import StoreAccess
from api.threads import SingleFlight, ThreadPool
from core.errors import StoreError
from core.instants import to_the_second
from core.stores import Clock, Stores
from core.stores.api_keys import ApiKey

_ID_BYTES: Final = 7  # ten characters of base32 are 50 bits of them: two keys will hardly have the same id
_ID_LENGTH: Final = 10
_SECRET_BYTES: Final = 32
_RECORDED_FOR_S: Final = 300.0
_MOST_RECORDED: Final = 4096
_TOKEN: Final = re.compile(r"tss_([a-z2-7]{10})_[A-Za-z0-9_-]{43}")


def new_token() -> tuple[str, str]:
    """The id and token of a new key. The token is shown once, and not stored."""
    key_id = base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode("ascii").lower()[:_ID_LENGTH]
    return key_id, token_of(key_id)


def token_of(key_id: str) -> str:
    """A new token with the id `key_id`."""
    return f"tss_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def id_in(token: str) -> str | None:
    """The id of the key in `token`, or None if it does not have the form of a token."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None


def digest_of(token: str) -> bytes:
    """The SHA-256 of `token`, 32 bytes."""
    return hashlib.sha256(token.encode("utf-8")).digest()


class KeyRing(Lookups[ApiKey]):
    """Looks up keys, and records their uses."""

    @cached_property
    def _uses(self) -> _KeyUses:
        return _KeyUses(self._access, self._clock, self._monotonic)

    def _row(self, stores: Stores, row_id: str) -> ApiKey | None:
        return stores.keys.get(row_id)

    def _row_ids(self, stores: Stores) -> frozenset[str]:
        return frozenset(key.id for key in stores.keys.all())

    def fresh(self, row_id: str) -> ApiKey | None:
        """The valid key of `row_id`, always the same object, if it was read recently."""
        key = super().fresh(row_id)
        return key if key is not None and key.is_valid(self._clock()) else None

    async def find(
        self, token: str, may_guess: Callable[[], Awaitable[bool]], *, stale_s: float = 0.0
    ) -> Principal | None:
        """The caller with `token`, or None if it belongs to no valid key.

        :param may_guess: see `Lookups.get`; likewise `stale_s`.
        :raises Problem: bad key: it has expired.
        :raises StoreUnavailable: the store does not answer.
        """
        key_id = id_in(token)
        key = None if key_id is None else await self.get(key_id, may_guess, stale_s=stale_s)
        if key is None or not hmac.compare_digest(digest_of(token), key.digest) or key.revoked_at_ms is not None:
            return None
        if key.expires_at_ms is not None and key.has_expired(self._clock()):
            raise Problem(ProblemKind.BAD_KEY, f"The key expired at {to_the_second(key.expires_at_ms)}.")
        self._uses.record(key.id)
        return principal_of(key)


class _KeyUses:
    """Records when keys were used: each key at most every few minutes, in a separate thread.

    Requests on the fast path are not recorded: a request with the same key passes through Falcon at least once in half
    of ``API_FRESHNESS_S``.

    :param clock: milliseconds since 1970 UTC.
    :param monotonic: seconds, never going back.
    """

    def __init__(self, access: StoreAccess, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._access = access
        self._clock = clock
        self._pool = ThreadPool("key uses", 1, 1)  # separate from lookups: a write may wait for other writers
        self._recorded: TTLCache[str, None] = TTLCache(_MOST_RECORDED, _RECORDED_FOR_S, timer=monotonic)
        self._waiting: dict[str, int] = {}
        self._writing: SingleFlight[None] = SingleFlight()

    def record(self, key_id: str) -> None:
        """Record in the background that the key is used now, unless that was done recently."""
        if key_id not in self._recorded:
            self._recorded[key_id] = None
            self._waiting[key_id] = self._clock()
            self._writing.begin(None, self._write)

    async def _write(self) -> None:
        while self._waiting:
            uses, self._waiting = self._waiting, {}
            with suppress(StoreError, Problem):  # the next use is recorded
                await self._pool.run(self._access.call, partial(_write_uses, uses))


def _write_uses(uses: Mapping[str, int], stores: Stores) -> None:
    stores.key_uses.record(uses)
