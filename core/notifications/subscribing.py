"""Subscribing a user to summaries: idempotent, also when several clients do it at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.notifications.model import derived_id
from core.stores.subscriptions import Subscription, SubscriptionStore


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The result of `subscribe`.

    :param subscription: the active subscription, or the one with the id that the caller chose.
    :param there_was: whether it existed before.
    """

    subscription: Subscription
    there_was: bool


def subscribe(store: SubscriptionStore, wanted: Subscription, *, named: bool = False) -> Subscribed:
    """Store `wanted`, unless an equivalent subscription is active.

    If several callers do this at once, one subscription is stored: its id is derived from its content and from the
    number of equivalent ones that have ended.

    :param wanted: its id is used only with `named`.
    :param named: whether the caller chose the id. A subscription that is stored under it already is returned, with
        whatever content, and also if it has ended.
    :raises StoreUnavailable: the store could not be read or written.
    """
    if named and (stored := store.get(wanted.id)) is not None:
        return Subscribed(stored, there_was=False)
    of_user = store.all(tenant=wanted.tenant, user_id=wanted.user_id)
    equivalent = [found for found in of_user if found.is_equivalent_to(wanted)]
    if active := [found for found in equivalent if found.ended_at_ms is None]:
        return Subscribed(active[0], there_was=True)
    if named:
        return Subscribed(store.add(wanted), there_was=False)
    turn = len(equivalent)
    while (stored := store.add(new := replace(wanted, id=_id_of(wanted, turn)))).ended_at_ms is not None:
        turn += 1  # some of those that ended may have been removed
    return Subscribed(stored, there_was=stored != new)


def _id_of(wanted: Subscription, turn: int) -> str:
    whose = ("all",) if wanted.merchant_id is None else ("merchant", wanted.merchant_id)
    modes, channels = (",".join(sorted(names)) for names in (wanted.modes, wanted.channels))
    return derived_id("subscribing", wanted.tenant, str(turn), wanted.user_id, modes, channels, wanted.locale, *whose)
