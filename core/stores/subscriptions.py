"""The store of subscriptions of users to summaries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from core.calendar.periods import Locale, Mode
from core.stores.record_table import Condition, RecordTable
from core.stores.records import Mapper
from core.tenants import OPERATOR


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; immutable except for its end.

    :param id: 26 letters and digits, see `core.notifications.model.new_id`.
    :param merchant_id: the merchant of the summaries, or None for the overall ones.
    :param modes: in the order daily, weekly, monthly.
    :param created_at_ms: earlier periods are not announced; milliseconds since 1970 UTC.
    :param ended_at_ms: the end, likewise, or None while it is active.
    :param tenant: the owner: only they and the operator may see or end it, and the user's contacts are of this tenant.
    """

    id: str
    merchant_id: str | None
    user_id: str
    modes: tuple[Mode, ...]
    channels: tuple[str, ...]
    locale: Locale
    created_at_ms: int
    ended_at_ms: int | None = None
    tenant: str = OPERATOR

    def is_equivalent_to(self, other: Subscription) -> bool:
        """Whether it is a duplicate of `other`: the same notifications to the same user."""
        return self._content == other._content

    @property
    def _content(self) -> tuple[object, ...]:
        return self.tenant, self.user_id, self.merchant_id, {*self.modes}, {*self.channels}, self.locale


_MAPPER: Final = Mapper(
    Subscription,
    read={"modes": lambda names: tuple(map(Mode, names)), "channels": tuple},
    write={"modes": lambda modes: [mode.value for mode in Mode if mode in modes]},
)


class SubscriptionStore:
    """Stores subscriptions in `table`. Thread-safe (calls take turns), but not fork-safe.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def __init__(self, table: RecordTable) -> None:
        self._table = table

    def add(self, subscription: Subscription) -> Subscription:
        """Store `subscription` unless its id exists; durable when it returns.

        :returns: the stored subscription with the id.
        """
        record = _MAPPER.to_record(subscription)
        while not self._table.insert(record):
            stored = self.get(subscription.id)
            if stored is not None:  # else it ended and was removed after the attempt to insert
                return stored
        return _MAPPER.from_record(record)

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription with that id, also if ended, or None."""
        record = self._table.get(subscription_id)
        return None if record is None else _MAPPER.from_record(record)

    def all(
        self,
        *,
        tenant: str | None = None,
        merchants: Collection[str] | None = None,
        user_id: str | None = None,
        active: bool = False,
        after: tuple[int, str] | None = None,
        limit: int | None = None,
    ) -> list[Subscription]:
        """Subscriptions that fulfil the conditions that are given, ordered by creation, then id.

        :param after: ``created_at_ms`` and id of the last one of the previous page.
        :param limit: maximal number, at least 1; None for all.
        """
        where: list[Condition] = [("ended_at_ms", "=", None)] if active else []
        if tenant is not None:
            where.append(("tenant", "=", tenant))
        if merchants is not None:
            where.append(("merchant_id", "in", tuple(merchants)))
        if user_id is not None:
            where.append(("user_id", "=", user_id))
        return [_MAPPER.from_record(record) for record in self._table.find(*where, after=after, limit=limit)]

    def end(self, subscription_id: str, at_ms: int) -> Subscription:
        """End the subscription at `at_ms`; durable when it returns.

        :returns: the ended subscription; an earlier end is not changed.
        :raises LookupError: the subscription does not exist.
        """
        found = self._present(subscription_id)
        if found.ended_at_ms is not None:
            return found
        changes = {"ended_at_ms": at_ms}
        if self._table.update(changes, ("id", "=", subscription_id), ("ended_at_ms", "=", None)):
            return replace(found, ended_at_ms=at_ms)
        return self._present(subscription_id)

    def remove_ended(self, before_ms: int) -> int:
        """Remove the subscriptions that ended before `before_ms`; returns their number."""
        return self._table.delete(("ended_at_ms", "<", before_ms))

    def _present(self, subscription_id: str) -> Subscription:
        subscription = self.get(subscription_id)
        if subscription is None:
            raise LookupError(f"there is no subscription {subscription_id}")
        return subscription
