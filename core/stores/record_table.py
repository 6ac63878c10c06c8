"""The interface of a table of flat records, over which API keys, sessions and subscriptions are stored."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from core.stores.records import Record

Condition = tuple[str, Literal["=", "<", ">", "in"], Any]
"""An entry of a record, a comparison, and a value: text, an integer, None, or a tuple of texts for ``in``.

None is equal to None, and neither less nor greater than anything.
"""


class RecordTable(Protocol):
    """A table of records with the entries ``id`` and ``created_at_ms``. Thread-safe (calls take turns), not fork-safe.

    Writes are durable when they return. Each method raises `StoreUnavailable` if the store does not answer or cannot be
    written.
    """

    def insert(self, record: Record) -> bool:
        """Insert `record`; False if its id exists, and then nothing is changed. Atomic."""

    def get(self, record_id: str) -> Record | None:
        """The record with that id, or None."""

    def find(self, *where: Condition, after: tuple[int, str] | None = None, limit: int | None = None) -> list[Record]:
        """The records that fulfil all conditions, ordered by creation, then id.

        :param after: ``created_at_ms`` and id of the last one of the previous page.
        :param limit: maximal number, at least 1; None for all.
        """

    def ids(self, *where: Condition) -> frozenset[str]:
        """The ids of the records that fulfil all conditions; faster than `find`."""

    def update(self, changes: Record, *where: Condition) -> int:
        """Set the entries of `changes` in the records that fulfil all conditions; returns the number of changed ones.

        If updates are not atomic, either of two concurrent ones may set an entry; none undoes the other.
        """

    def delete(self, *where: Condition) -> int:
        """Delete the records that fulfil all conditions; returns their number."""
