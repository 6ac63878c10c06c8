"""Warnings of the API and the command line that a valid message or subscription may not be delivered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.notifications.model import BUILT_IN_CHANNELS
from core.stores import Stores
from core.stores.subscriptions import Subscription

_PRINT: Final = "print"


class WarningCode(StrEnum):
    """The kinds of warnings, for programs."""

    UNKNOWN_MERCHANT = "unknown-merchant"
    CHANNEL_NOT_SET_UP = "channel-not-set-up"
    NO_ADDRESS = "no-address"


@dataclass(frozen=True, slots=True)
class ReachWarning:
    """Why a message may not be delivered with the present settings and data.

    :param detail: a sentence, with its full stop.
    """

    code: WarningCode
    detail: str


def subscribable_channels(senders: Mapping[str, str]) -> frozenset[str]:
    """The channels that a subscription may name: also built-in ones that may be set up later."""
    return BUILT_IN_CHANNELS | senders.keys()


def subscription_warnings(stores: Stores, subscription: Subscription, senders: Mapping[str, str]) -> list[ReachWarning]:
    """The warnings about `subscription`.

    :param senders: the name of the sender of each channel, as in ``NOTIFY_SENDERS``.
    :raises StoreUnavailable: the store does not answer.
    """
    merchant_id, warnings = subscription.merchant_id, []
    if merchant_id is not None and not stores.summaries.has_merchant(merchant_id):
        detail = f"There are no summaries of merchant {merchant_id!r} yet, so nothing is announced."
        warnings.append(ReachWarning(WarningCode.UNKNOWN_MERCHANT, detail))
    addresses = stores.contacts.get(subscription.user_id, tenant=subscription.tenant)
    return warnings + message_warnings(subscription.user_id, subscription.channels, senders, addresses)


def message_warnings(
    user_id: str, channels: Sequence[str], senders: Mapping[str, str], addresses: Collection[str]
) -> list[ReachWarning]:
    """The warnings about a message to the user over `channels`.

    :param senders: the name of the sender of each channel, as in ``NOTIFY_SENDERS``.
    :param addresses: the channels for which the user has an address.
    """
    warnings = [
        ReachWarning(WarningCode.CHANNEL_NOT_SET_UP, _not_set_up(channel, senders))
        for channel in channels
        if senders.get(channel, _PRINT) == _PRINT
    ]
    if lacking := [channel for channel in channels if channel not in addresses]:
        detail = f"User {user_id} has no address for {', '.join(lacking)}, so these messages cannot be delivered yet."
        warnings.append(ReachWarning(WarningCode.NO_ADDRESS, detail))
    return warnings


def _not_set_up(channel: str, senders: Mapping[str, str]) -> str:
    if channel in senders:
        return f"Messages over {channel} are only logged, and reach nobody: its sender in NOTIFY_SENDERS is print."
    return f"Nothing is sent over {channel} until NOTIFY_SENDERS names a sender for it."
