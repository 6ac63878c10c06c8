"""Subscribing a user to summaries: idempotent, also when several clients ask at the same moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.notifications.model import derived_id
from core.stores.subscriptions import Subscription, SubscriptionStore


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription that tells the user what was asked for.

    :param there_was: whether it existed before.
    """

    subscription: Subscription
    there_was: bool


def subscribe(store: SubscriptionStore, asked: Subscription, *, named: bool = False) -> Subscribed:
    """Keep `asked`, unless an active one tells the user the same: a second one would change nothing.

    Of several that ask at the same moment one makes it: its id is derived from what it says, and from how many like it
    have ended.

    :param asked: its id counts only where it is `named`.
    :param named: whether the caller chose the id. What is kept under it already is given back, whatever it says, also
        when it has ended.
    :raises StoreUnavailable: the store could not be read or written.
    """
    if named and (stored := store.get(asked.id)) is not None:
        return Subscribed(stored, there_was=False)
    alike = [found for found in store.all(tenant=asked.tenant, user_id=asked.user_id) if found.is_equivalent_to(asked)]
    if active := [found for found in alike if found.ended_at_ms is None]:
        return Subscribed(active[0], there_was=True)
    if named:
        return Subscribed(store.add(asked), there_was=False)
    turn = len(alike)
    while (stored := store.add(wanted := replace(asked, id=_id_of(asked, turn)))).ended_at_ms is not None:
        turn += 1  # of those that ended some may have been removed since
    return Subscribed(stored, there_was=stored != wanted)


def _id_of(asked: Subscription, turn: int) -> str:
    whose = ("all",) if asked.merchant_id is None else ("merchant", asked.merchant_id)
    said = (asked.user_id, ",".join(sorted(asked.modes)), ",".join(sorted(asked.channels)), asked.locale, *whose)
    return derived_id("subscribing", asked.tenant, str(turn), *said)
