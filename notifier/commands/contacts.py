"""``contacts``: the addresses of a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from core.command_line import opened, print_json, print_message
from core.errors import UsageError
from core.notifications.users import tenant_to_read, tenant_to_write
from core.notifications.values import UserId
from core.settings import Settings
from core.tables import aligned
from notifier.commands.arguments import normalised_address, require_channels, tenant_of, text


def put(user: str, addresses: Sequence[str], tenant: str | None, store_url: str | None, as_json: bool) -> None:
    """Set `addresses` of the user, each ``CHANNEL=ADDRESS``; those of other channels do not change."""
    user = text("USER", UserId, user)
    pairs = [_pair(given) for given in addresses]
    with opened(store_url, create=True) as (settings, stores):
        require_channels([channel for channel, _ in pairs], settings.senders, settings)
        given = {channel: normalised_address("the address", channel, address) for channel, address in pairs}
        owner = tenant_of(stores, user, tenant, tenant_to_write)
        contacts = stores.contacts.change(user, given, tenant=owner)
    _show(owner, user, contacts, as_json)
    _warn_of_print_sender(given, settings)


def show(user: str, tenant: str | None, store_url: str | None, as_json: bool) -> None:
    user = text("USER", UserId, user)
    with opened(store_url) as (_, stores):
        owner = tenant_of(stores, user, tenant, tenant_to_read)
        contacts = stores.contacts.get(user, tenant=owner)
    _show(owner, user, contacts, as_json)


def remove(user: str, channels: Sequence[str], tenant: str | None, store_url: str | None, as_json: bool) -> None:
    """Remove the addresses of the user for `channels`, or all addresses if that is empty."""
    user = text("USER", UserId, user)
    with opened(store_url) as (_, stores):
        owner = tenant_of(stores, user, tenant, tenant_to_write)
        removed = channels or list(stores.contacts.get(user, tenant=owner))
        contacts = stores.contacts.change(user, dict.fromkeys(removed), tenant=owner)
    _show(owner, user, contacts, as_json)


def _pair(given: str) -> tuple[str, str]:
    channel, separator, address = given.partition("=")
    if not separator:
        raise UsageError(f"{given!r} is not CHANNEL=ADDRESS", "Such as: sms=09127654321 email=sara@example.com.")
    return channel, address


def _show(tenant: str, user: str, contacts: Mapping[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"tenant": tenant, "user_id": user, "contacts": dict(contacts)})
        return
    typer.echo(aligned(contacts.items()), nl=False)
    if not contacts:
        print_message(f"User {user} of the tenant {tenant} has no contacts.")


def _warn_of_print_sender(channels: Mapping[str, str], settings: Settings) -> None:
    if printed := [channel for channel in channels if settings.senders[channel] == "print"]:
        print_message(
            f"Messages over {', '.join(printed)} are only logged until NOTIFY_SENDERS names a sender for them."
        )
