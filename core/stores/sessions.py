"""The interface of the store of sessions of the dashboard and of sign-in links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a browser, or a sign-in link.

    :param id: its id.
    :param digest: SHA-256 of the whole token, 32 bytes; the token is not stored. Not shown by `repr`.
    :param created_at_ms: time of creation, milliseconds since 1970 UTC; likewise the others.
    :param expires_at_ms: time of expiry.
    :param ended_at_ms: time of sign-out, or None.
    """

    id: str
    digest: bytes = field(repr=False)
    created_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        """Whether it is valid at `now_ms`, milliseconds since 1970 UTC."""
        return self.ended_at_ms is None and now_ms < self.expires_at_ms


class SessionStore(Protocol):
    """Stores sessions and sign-in links. Thread-safe, but not fork-safe.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def add(self, session: Session) -> bool:
        """Store `session`; durable when it returns.

        :returns: False if the id exists; nothing is changed then. Atomic.
        """

    def get(self, session_id: str) -> Session | None:
        """The session with that id, also if ended or expired, or None."""

    def valid_ids(self, now_ms: int) -> frozenset[str]:
        """The ids of all sessions and links that are valid at `now_ms`, milliseconds since 1970 UTC."""

    def end(self, session_id: str, at_ms: int) -> None:
        """End the session, if it exists. Durable when it returns."""

    def end_all(self, at_ms: int) -> int:
        """End all sessions and links; returns their number. Durable when it returns."""

    def prune(self, before_ms: int) -> None:
        """Remove what expired before `before_ms`, milliseconds since 1970 UTC."""
