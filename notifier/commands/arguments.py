"""Validates arguments of several commands by the rules of the API: users and their tenants, channels, texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.command_line import print_message
from core.errors import UsageError
from core.notifications.addresses import BadAddress, normalised
from core.notifications.reach_warnings import ReachWarning
from core.notifications.users import AmbiguousUser
from core.notifications.values import in_words
from core.settings import Settings
from core.stores import Stores
from core.stores.api_keys import all_tenants
from core.stores.contacts import ContactStore
from core.stores.subscriptions import SubscriptionStore


def text(name: str, kind: Any, given: str) -> str:
    """`given` in the form for the store.

    :param kind: one of `core.notifications.values`.
    :raises UsageError: it is not valid; the sentence names `name`.
    """
    try:
        return str(TypeAdapter(kind).validate_python(given))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
    raise UsageError(f"{name} {in_words(detail)}", "The rules are those of the API, which /docs describes.")


def normalised_address(name: str, channel: str, given: str) -> str:
    """The address `given` in the form for the store.

    :raises UsageError: it is not an address of `channel`; the sentence names `name`.
    """
    try:
        return normalised(channel, given)
    except BadAddress as error:
        hint = "Such as 09127654321 for sms, or sara@example.com for email."
        raise UsageError(f"{name} is not valid for {channel}: {error}", hint) from None


def require_channels(channels: Sequence[str], known: Collection[str], settings: Settings) -> None:
    """Check that `channels` are `known`, each once.

    :raises UsageError: names those that are not.
    """
    if strange := [channel for channel in dict.fromkeys(channels) if channel not in known]:
        raise UsageError(
            f"there is no channel {', '.join(strange)}", f"NOTIFY_SENDERS has {', '.join(settings.senders)}."
        )
    if len(set(channels)) < len(channels):
        raise UsageError("a channel is named twice", "Name each channel once.")


def tenant_of(
    stores: Stores, user: str, asked: str | None, choice: Callable[[ContactStore, SubscriptionStore, str], str]
) -> str:
    """The tenant of a user.

    :param choice: `tenant_to_read` or `tenant_to_write` of `core.notifications.users`, if none is `asked` for.
    :raises UsageError: there is no tenant of that name, or it is ambiguous.
    """
    require_tenant(stores, asked)
    try:
        return asked or choice(stores.contacts, stores.subscriptions, user)
    except AmbiguousUser as ambiguous:
        tenants = ambiguous.tenants
    raise UsageError(f"the tenant of user {user} is ambiguous: {', '.join(tenants)}", "Name it with --tenant NAME.")


def require_tenant(stores: Stores, name: str | None) -> None:
    """Check that there is a tenant of that name, if any is given.

    :raises UsageError: there is none.
    """
    if name is not None and name not in all_tenants(stores.keys):
        raise UsageError(f"there is no tenant {name!r}", "python -m api keys list shows the tenants of all keys.")


def warn(warnings: Sequence[ReachWarning]) -> None:
    for warning in warnings:
        print_message(warning.detail, "warning")


def warnings_view(warnings: Sequence[ReachWarning]) -> list[dict[str, str]]:
    """The warnings as JSON, as in the API."""
    return [{"code": warning.code.value, "detail": warning.detail} for warning in warnings]
