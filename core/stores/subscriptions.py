"""The interface of the store of subscriptions: which users are notified of which summaries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from core.calendar.periods import Locale, Mode
from core.tenants import OPERATOR


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription, which never changes but for its end.

    :param id: 26 letters and digits, see `core.notifications.model.new_id`.
    :param merchant_id: whose summaries, or None: of all merchants together.
    :param modes: the lengths of periods, in the order daily, weekly, monthly.
    :param created_at_ms: periods that ended before are not announced; milliseconds since 1970 UTC.
    :param ended_at_ms: since when nothing is announced any more, likewise, or None while it is active.
    :param tenant: whose it is: only they and the operator may see or end it, and their contacts of the user count.
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
        """Whether it tells the same user of the same as `other` in the same way: both together tell no more."""
        return all(
            (
                self.tenant == other.tenant,
                self.user_id == other.user_id,
                self.merchant_id == other.merchant_id,
                set(self.modes) == set(other.modes),
                set(self.channels) == set(other.channels),
                self.locale == other.locale,
            )
        )


class SubscriptionStore(Protocol):
    """Where subscriptions are kept. Threads may share an instance, and take turns; processes may not."""

    def add(self, subscription: Subscription) -> Subscription:
        """Keep `subscription`; durable when it returns. Where one of that id is kept already it stays.

        :returns: what is kept under the id now.
        :raises StoreUnavailable: the store could not be written.
        """

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription of that id, also an ended one, or None.

        :raises StoreUnavailable: the store does not answer.
        """

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
        """Subscriptions by the instant of creation, then by id.

        :param tenant: only those of this tenant.
        :param merchants: only those to summaries of one of these merchants.
        :param user_id: only those of this user.
        :param active: only those that have not ended.
        :param after: ``created_at_ms`` and id of the last one of the page before.
        :param limit: at most so many, one or more; None for all.
        :raises StoreUnavailable: the store does not answer.
        """

    def end(self, subscription_id: str, at_ms: int) -> Subscription:
        """Let the subscription end at `at_ms`; durable when it returns.

        :returns: it as it is now: one that ended before keeps the instant of that.
        :raises LookupError: there is no such subscription.
        :raises StoreUnavailable: the store could not be written.
        """

    def remove_ended(self, before_ms: int) -> int:
        """Remove the subscriptions that ended before `before_ms`; how many those were.

        :raises StoreUnavailable: the store could not be written.
        """
