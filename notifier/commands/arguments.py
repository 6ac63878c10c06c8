"""Validates arguments of several commands by the rules of the API: users and their tenants, channels, texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.command_line import print_message
from core.errors import UsageError
from core.notifications import users
from core.notifications.addresses import BadAddress, normalised
from core.notifications.reach_warnings import ReachWarning
from core.notifications.users import AmbiguousUser
from core.notifications.values import UserId, in_words
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


def user_id(given: str) -> str:
    """The id of a user.

    :raises UsageError: it is not valid.
    """
    return text("USER", UserId, given)


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


def tenant_to_read(stores: Stores, user: str, asked: str | None) -> str:
    """The tenant of a user to show.

    :raises UsageError: there is no tenant of that name, or several have such a user.
    """
    return _tenant_of(stores, user, asked, users.tenant_to_read)


def tenant_to_write(stores: Stores, user: str, asked: str | None) -> str:
    """The tenant of a user to change, or to send to.

    :raises UsageError: there is no tenant of that name, or a tenant has such a user and none is named.
    """
    return _tenant_of(stores, user, asked, users.tenant_to_write)


def require_tenant(stores: Stores, name: str | None) -> None:
    """Check that there is a tenant of that name, if any is given.

    :raises UsageError: there is none.
    """
    if name is not None and name not in all_tenants(stores.keys):
        raise UsageError(f"there is no tenant {name!r}", "python -m api keys list shows the tenants of all keys.")


def warn(warnings: Sequence[ReachWarning]) -> None:
    """Print the warnings."""
    for warning in warnings:
        print_message(warning.detail, "warning")


def warnings_view(warnings: Sequence[ReachWarning]) -> list[dict[str, str]]:
    """The warnings as JSON, as in the API."""
    return [{"code": warning.code.value, "detail": warning.detail} for warning in warnings]


def _tenant_of(
    stores: Stores, user: str, asked: str | None, choice: Callable[[ContactStore, SubscriptionStore, str], str]
) -> str:
    require_tenant(stores, asked)
    try:
        return asked or choice(stores.contacts, stores.subscriptions, user)
    except AmbiguousUser as ambiguous:
        tenants = ambiguous.tenants
    raise UsageError(f"the tenant of user {user} is ambiguous: {', '.join(tenants)}", "Name it with --tenant NAME.")
