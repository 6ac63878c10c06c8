"""Idempotency keys: a message is made once per key, however often the API or the command line is called with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.calendar.periods import Locale
from core.notifications.model import derived_id, digest_of

QUEUED_AFTER_MS: Final = 10_000
"""Until then it is trusted that a new message was queued; after it the sweep sees to it."""


def id_of_request(what: str, tenant: str, idempotency_key: str) -> str:
    """The id of what is made with a key of the tenant's choice.

    :param what: is made; one key can make one of each. Keys of different tenants never meet.
    """
    return derived_id("idempotency of a tenant", what, tenant, idempotency_key)


def request_digest(
    user_id: str, title: str, body: str, locale: Locale, expires_at_ms: int | None, channels: Sequence[str]
) -> str:
    """What distinguishes a request for a message from another with the same key, however it was written."""
    return digest_of(user_id, title, body, locale, str(expires_at_ms), *channels)
