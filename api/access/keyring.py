"""The keys as this process knows them: asked of the store at most once per freshness, so that revoking takes effect."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cachetools import TTLCache

from api.access.keys import digest_of, id_in
from api.access.principal import Principal, principal_of
from api.reading.store_access import StoreAccess
from core.stores.keys import ApiKey

_KNOWN_KEYS: Final = 4096


class KeyRing:
    """Looks up keys in the store behind `access`.

    :param freshness_s: how long an answer of the store is believed.
    :param monotonic: seconds, never going back.
    """

    def __init__(self, access: StoreAccess, *, freshness_s: float, monotonic: Callable[[], float]) -> None:
        self._access = access
        self._freshness_s = freshness_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: TTLCache[str, ApiKey] = TTLCache(_KNOWN_KEYS, freshness_s, timer=monotonic)
        # Apart, so that made-up keys do not push out real ones.
        self._unknown: TTLCache[str, None] = TTLCache(_KNOWN_KEYS, freshness_s, timer=monotonic)
        self._closed = False
        self._open_until = float("-inf")

    def is_open(self) -> bool:
        """Whether no key was ever made. Once one was, this process never says so again.

        :raises StoreMissing: there is no store yet, and none was there before.
        :raises StoreUnavailable: the store does not answer, and it is not known.
        """
        if self._closed:
            return False
        if self._monotonic() < self._open_until:
            return True
        if self._access.call(lambda stores: stores.keys.ever_made()):
            self._closed = True  # and nothing makes it False, not even a thread that asked a moment earlier
        self._open_until = self._monotonic() + self._freshness_s
        return not self._closed

    def find(self, token: str) -> Principal | None:
        """The caller that `token` stands for, or None when no key in force has it.

        :raises StoreUnavailable: the store does not answer.
        """
        key_id = id_in(token)
        key = None if key_id is None else self._key(key_id)
        if key is None or not hmac.compare_digest(digest_of(token), key.digest) or key.revoked_at_ms is not None:
            return None
        return principal_of(key)

    def _key(self, key_id: str) -> ApiKey | None:
        with self._lock:
            for cache in (self._known, self._unknown):
                with suppress(KeyError):  # not `in` and then `[]`, between which it may run out
                    return cache[key_id]
        key = self._access.call(lambda stores: stores.keys.get(key_id))
        with self._lock:
            if key is None:
                self._unknown[key_id] = None
            else:
                self._known[key_id] = key
        return key
