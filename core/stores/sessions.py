"""The interface of the store of sessions: people who signed in to the dashboard, and the links with which they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a browser, or the right to begin one.

    :param id: by which it is found.
    :param digest: SHA-256 of the whole token, 32 bytes; the token itself is stored nowhere. Not shown by `repr`.
    :param created_at_ms: when it was made, milliseconds since 1970 UTC; likewise the others.
    :param expires_at_ms: from when on it is of no use.
    :param ended_at_ms: when the person signed out, or None.
    """

    id: str
    digest: bytes = field(repr=False)
    created_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        """Whether it can be used at `now_ms`, milliseconds since 1970 UTC."""
        return self.ended_at_ms is None and now_ms < self.expires_at_ms


class SessionStore(Protocol):
    """Where sessions and links are kept. Threads may share an instance; processes may not."""

    def add(self, session: Session) -> bool:
        """Keep `session`; durable when it returns.

        :returns: False where there is one of that id, which stays as it is: of two that add the same id, one does.
        :raises StoreUnavailable: the store could not be written.
        """

    def get(self, session_id: str) -> Session | None:
        """The session of that id, also one that is over, or None.

        :raises StoreUnavailable: the store does not answer.
        """

    def valid_ids(self, now_ms: int) -> frozenset[str]:
        """The ids of all sessions and links that can be used at `now_ms`, milliseconds since 1970 UTC.

        :raises StoreUnavailable: the store does not answer.
        """

    def end(self, session_id: str, at_ms: int) -> None:
        """Make the session of no use from now on; nothing where there is none. Durable when it returns.

        :raises StoreUnavailable: the store could not be written.
        """

    def end_all(self, at_ms: int) -> int:
        """Make all sessions and links of no use from now on; returns how many that were. Durable when it returns.

        :raises StoreUnavailable: the store could not be written.
        """

    def prune(self, before_ms: int) -> None:
        """Remove what expired before `before_ms`, milliseconds since 1970 UTC.

        :raises StoreUnavailable: the store could not be written.
        """
