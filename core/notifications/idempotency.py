"""Idempotency keys: the API and the command line create a message once for each key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.calendar.periods import Locale
from core.notifications.model import derived_id, digest_of

QUEUED_AFTER_MS: Final = 10_000
"""The sweep queues a new message only after this time: until then it is assumed to be in the queue."""


def id_of_request(what: str, tenant: str, idempotency_key: str) -> str:
    """The id of what a tenant creates with an idempotency key.

    :param what: the kind of thing; one key can create one of each kind. Keys of different tenants are independent.
    """
    return derived_id("idempotency of a tenant", what, tenant, idempotency_key)


def request_digest(
    user_id: str, title: str, body: str, locale: Locale, expires_at_ms: int | None, channels: Sequence[str]
) -> str:
    """The digest of the content of a request for a message, to detect another request with the same key."""
    return digest_of(user_id, title, body, locale, str(expires_at_ms), *channels)
