"""``subscriptions``: who is told of which summaries."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import typer

from core.calendar.periods import Locale, Mode
from core.command_line import edge, print_json, settings_and_store
from core.errors import ServiceError, UsageError
from core.instants import iso_instant, iso_instant_or_none, to_the_second
from core.notifications.model import new_id
from core.notifications.subscribing import subscribe
from core.notifications.users import AmbiguousUser, tenant_to_write
from core.settings import Settings
from core.stores import Stores, wall_clock_ms
from core.stores.keys import all_tenants
from core.stores.subscriptions import Subscription
from core.tenants import OPERATOR

_LONGEST_USER: Final = 128
_LONGEST_MERCHANT: Final = 1024


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
    """Subscribe a user; the same subscription is made once."""
    with edge(as_json):
        if (merchant_id is None) != all_merchants:
            raise UsageError(
                "it is not said whose summaries the user is told of",
                "Give --merchant ID, or --all-merchants for those of all together.",
            )
        _require_text("USER", user_id, _LONGEST_USER)
        if merchant_id is not None:
            _require_text("--merchant", merchant_id, _LONGEST_MERCHANT)
        settings, stores = settings_and_store(store_url, create=True)
        with stores:
            _require_channels(channels, settings)
            asked = Subscription(
                id=new_id(),
                merchant_id=merchant_id,
                user_id=user_id,
                modes=tuple(mode for mode in Mode if mode in modes),
                channels=tuple(channels),
                locale=locale,
                created_at_ms=wall_clock_ms(),
                tenant=_tenant_of(user_id, tenant, stores),
            )
            found = subscribe(stores.subscriptions, asked)
            kept = found.subscription
            warnings = _warnings(kept, stores, settings)
        if as_json:
            print_json(_as_json(kept))
        else:
            typer.echo(kept.id)
        _tell(f"{'There is already: ' if found.there_was else ''}{_sentence(kept)}")
        for warning in warnings:
            _tell(f"Warning: {warning}.")


def show(user_id: str | None, tenant: str | None, with_ended: bool, store_url: str | None, as_json: bool) -> None:
    """List subscriptions."""
    with edge(as_json):
        _, stores = settings_and_store(store_url, create=False)
        with stores:
            _require_tenant(tenant, stores)
            found = stores.subscriptions.all(tenant=tenant, user_id=user_id, in_force=not with_ended)
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
    with edge(as_json):
        _, stores = settings_and_store(store_url, create=False)
        now_ms = wall_clock_ms()
        with stores:
            try:
                ended = stores.subscriptions.end(subscription_id, now_ms)
            except LookupError:
                raise ServiceError(
                    f"there is no subscription {subscription_id}",
                    "python -m notifier subscriptions list shows the ids of all.",
                ) from None
        if as_json:
            print_json(_as_json(ended))
        _tell(f"Subscription {ended.id} {'has ended' if ended.ended_at_ms == now_ms else 'had ended before'}.")


def _require_text(name: str, text: str, longest: int) -> None:
    controls = any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
    if not text.strip() or len(text) > longest or controls:
        raise UsageError(
            f"{name} must have 1 to {longest} characters, none of them a control character",
            "Users are named as their contacts are kept, merchants as the source names them.",
        )


def _require_channels(channels: Sequence[str], settings: Settings) -> None:
    if strange := [channel for channel in dict.fromkeys(channels) if channel not in settings.senders]:
        raise UsageError(
            f"there is no channel {', '.join(strange)}", f"NOTIFY_SENDERS has {', '.join(settings.senders)}."
        )
    if len(set(channels)) < len(channels):
        raise UsageError("a channel is named twice", "Name each channel once.")


def _tenant_of(user_id: str, asked: str | None, stores: Stores) -> str:
    _require_tenant(asked, stores)
    try:
        return asked or tenant_to_write(stores.contacts, stores.subscriptions, user_id)
    except AmbiguousUser as ambiguous:
        tenants = ambiguous.tenants
    raise UsageError(
        f"it is not said of which tenant user {user_id} is: {', '.join(tenants)}", "Name it with --tenant NAME."
    )


def _require_tenant(name: str | None, stores: Stores) -> None:
    if name is not None and name not in all_tenants(stores.keys):
        raise UsageError(f"there is no tenant {name!r}", "python -m api keys list shows those of all keys.")


def _warnings(subscription: Subscription, stores: Stores, settings: Settings) -> list[str]:
    addresses = stores.contacts.get(subscription.user_id, tenant=subscription.tenant)
    warnings = [
        f"user {subscription.user_id} has no address for {channel} yet: PUT /api/users/…/contacts gives one"
        for channel in subscription.channels
        if channel not in addresses and settings.senders[channel] != "print"
    ]
    merchant_id = subscription.merchant_id
    published = stores.summaries.published() is not None
    if published and merchant_id is not None and not stores.summaries.has_merchant(merchant_id):
        warnings.append(f"there are no summaries of a merchant {merchant_id!r} yet, and until there are nobody is told")
    return warnings


def _sentence(subscription: Subscription) -> str:
    whose = "all merchants" if subscription.merchant_id is None else f"merchant {subscription.merchant_id}"
    return (
        f"User {subscription.user_id}{_of_tenant(subscription)} receives {', '.join(subscription.modes)} summaries of "
        f"{whose} "
        f"over {', '.join(subscription.channels)} ({subscription.locale}), "
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
        "modes": list(subscription.modes),
        "channels": list(subscription.channels),
        "locale": subscription.locale,
        "created_at": iso_instant(subscription.created_at_ms),
        "ended_at": iso_instant_or_none(ended_at_ms),
    }


def _tell(sentence: str) -> None:
    typer.echo(sentence, err=True)
