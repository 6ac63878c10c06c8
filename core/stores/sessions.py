"""The store of sessions of the dashboard and of sign-in links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from core.stores.record_table import RecordTable
from core.stores.records import Mapper


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a browser, or a sign-in link.

    :param digest: SHA-256 of the whole token, 32 bytes; the token is not stored. Not shown by `repr`.
    :param created_at_ms: time of creation, milliseconds since 1970 UTC; likewise the others.
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


_MAPPER: Final = Mapper(Session, read={"digest": bytes.fromhex})


class SessionStore:
    """Stores sessions and sign-in links in `table`. Thread-safe, but not fork-safe.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def __init__(self, table: RecordTable) -> None:
        self._table = table

    def add(self, session: Session) -> bool:
        """Store `session`; durable when it returns.

        :returns: False if the id exists; nothing is changed then. Atomic.
        """
        return self._table.insert(_MAPPER.to_record(session))

    def get(self, session_id: str) -> Session | None:
        """The session with that id, also if ended or expired, or None."""
        record = self._table.get(session_id)
        return None if record is None else _MAPPER.from_record(record)

    def valid_ids(self, now_ms: int) -> frozenset[str]:
        """The ids of all sessions and links that are valid at `now_ms`, milliseconds since 1970 UTC."""
        return self._table.ids(("ended_at_ms", "=", None), ("expires_at_ms", ">", now_ms))

    def end(self, session_id: str, at_ms: int) -> None:
        """End the session, if it exists. Durable when it returns."""
        self._table.update({"ended_at_ms": at_ms}, ("id", "=", session_id), ("ended_at_ms", "=", None))

    def end_all(self, at_ms: int) -> int:
        """End all sessions and links; returns their number. Durable when it returns."""
        return self._table.update({"ended_at_ms": at_ms}, ("ended_at_ms", "=", None))

    def prune(self, before_ms: int) -> None:
        """Remove what expired before `before_ms`, milliseconds since 1970 UTC."""
        self._table.delete(("expires_at_ms", "<", before_ms))
