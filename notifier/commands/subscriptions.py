"""``subscriptions``: which users are notified of which summaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from core.calendar.periods import Locale, Mode
from core.command_line import opened, print_json, print_message, print_result
from core.errors import ServiceError, UsageError
from core.instants import iso_instant, iso_instant_or_none, to_the_second
from core.notifications.model import new_id
from core.notifications.reach_warnings import subscribable_channels, subscription_warnings
from core.notifications.subscribing import subscribe
from core.notifications.users import tenant_to_write
from core.notifications.values import MerchantId, UserId
from core.stores import wall_clock_ms
from core.stores.subscriptions import Subscription
from core.tenants import OPERATOR
from notifier.commands.arguments import require_channels, require_tenant, tenant_of, text, warn, warnings_view


def add(
    user_id: str,
    merchant_id: str | None,
    all_merchants: bool,
    modes: frozenset[str],
    channels: Sequence[str],
    locale: Locale,
    tenant: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Subscribe a user, unless an equivalent subscription is active."""
    if (merchant_id is None) != all_merchants:
        raise UsageError(
            "give either --merchant or --all-merchants",
            "Give --merchant ID, or --all-merchants for the summaries of all merchants together.",
        )
    user_id = text("USER", UserId, user_id)
    if merchant_id is not None:
        merchant_id = text("--merchant", MerchantId, merchant_id)
    with opened(store_url, create=True) as (settings, stores):
        require_channels(channels, subscribable_channels(settings.senders), settings)
        wanted = Subscription(
            id=new_id(),
            merchant_id=merchant_id,
            user_id=user_id,
            modes=tuple(mode for mode in Mode if mode in modes),
            channels=tuple(channels),
            locale=locale,
            created_at_ms=wall_clock_ms(),
            tenant=tenant_of(stores, user_id, tenant, tenant_to_write),
        )
        found = subscribe(stores.subscriptions, wanted)
        stored = found.subscription
        warnings = subscription_warnings(stores, stored, settings.senders)
    print_result(as_json, _as_json(stored) | {"warnings": warnings_view(warnings)}, stored.id)
    print_message(f"{'This subscription already exists: ' if found.there_was else ''}{_sentence(stored)}")
    warn(warnings)


def show(user_id: str | None, tenant: str | None, with_ended: bool, store_url: str | None, as_json: bool) -> None:
    with opened(store_url) as (_, stores):
        require_tenant(stores, tenant)
        found = stores.subscriptions.all(tenant=tenant, user_id=user_id, active=not with_ended)
        if as_json:
            print_json({"subscriptions": [_as_json(subscription) for subscription in found]})
            return
        if not found:
            typer.echo("There is no subscription.")
        for subscription in found:
            ended = subscription.ended_at_ms
            typer.echo(f"{subscription.id}  {_sentence(subscription)}", nl=False)
            typer.echo("" if ended is None else f" It ended at {to_the_second(ended)}.")


def end(subscription_id: str, store_url: str | None, as_json: bool) -> None:
    """End a subscription; ending again changes nothing."""
    with opened(store_url) as (_, stores):
        now_ms = wall_clock_ms()
        try:
            ended = stores.subscriptions.end(subscription_id, now_ms)
        except LookupError:
            raise ServiceError(
                f"there is no subscription {subscription_id}", "python -m notifier subscriptions list shows their ids."
            ) from None
        if as_json:
            print_json(_as_json(ended))
        print_message(f"Subscription {ended.id} {'has ended' if ended.ended_at_ms == now_ms else 'had ended before'}.")


def _sentence(subscription: Subscription) -> str:
    whose = "all merchants" if subscription.merchant_id is None else f"merchant {subscription.merchant_id}"
    return (
        f"User {subscription.user_id}{_of_tenant(subscription)} receives {', '.join(subscription.modes)} summaries of "
        f"{whose} over {', '.join(subscription.channels)} ({subscription.locale}), "
        f"since {to_the_second(subscription.created_at_ms)}."
    )


def _of_tenant(subscription: Subscription) -> str:
    return "" if subscription.tenant == OPERATOR else f" of the tenant {subscription.tenant}"


def _as_json(subscription: Subscription) -> dict[str, Any]:
    ended_at_ms = subscription.ended_at_ms
    return {
        "id": subscription.id,
        "tenant": subscription.tenant,
        "user_id": subscription.user_id,
        "merchant_id": subscription.merchant_id,
        "all_merchants": subscription.merchant_id is None,
        "modes": list(subscription.modes),
        "channels": list(subscription.channels),
        "locale": subscription.locale,
        "created_at": iso_instant(subscription.created_at_ms),
        "ended_at": iso_instant_or_none(ended_at_ms),
    }
