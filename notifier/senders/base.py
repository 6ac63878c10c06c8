"""The interface of senders, built-in or of a plug-in, and the ways in which a send can fail.

::

    DeliveryFailure
    ├── TemporaryFailure     not sent; the same message may succeed later
    │   ├── Unreachable      not sent: the gateway did not answer
    │   └── Refused          not sent: the gateway accepts no other message either for a while
    ├── PermanentFailure     not sent; the same message would fail again
    │   └── NotSent          not sent: the gateway received no request
    └── Ambiguous            may have been sent: the gateway did not confirm it
        └── UnclearAnswer    may have been sent: the gateway's answer leaves it open
    NotAskable               the gateway has no status lookup for the message

Reasons are stored with the message and shown to people, without secrets or whole addresses.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Protocol, Self
from urllib.parse import urlsplit

from core.calendar.periods import Locale
from core.notifications.addresses import BadAddress, masked, normalised
from core.notifications.model import AnnouncedTotals
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Gateway:
    """What messages are sent to.

    :param host: the host of the URL, in a channel whose addresses are URLs: each host is a gateway; else empty.
    :param receiver: a digest of the address, to distinguish the messages to one receiver; else empty.
    """

    channel: str
    host: str = ""
    receiver: str = ""

    @property
    def whole(self) -> Gateway:
        """The gateway without the receiver."""
        return Gateway(self.channel, self.host)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.channel, self.host, self.receiver)))


@dataclass(frozen=True, slots=True)
class Message:
    """A notification over one channel.

    :param id: the id of its log, ``<notification id>:<channel>``: the same at each attempt.
    :param address: as returned by `core.notifications.addresses.normalised`; empty for a sender that needs none.
    :param created_at_ms: milliseconds since 1970 UTC.
    :param attempted_at_ms: when the last attempt began, milliseconds since 1970 UTC; None before the first.
    :param edition: the number of retries after it was dead: for a gateway that identifies messages by `number_id`, each
        edition is a new message.
    :param announced: the totals of an announcement, for receivers that are programs; None in other messages.
    :param merchant_id: the merchant of the totals, or None: all merchants together.
    """

    id: str
    title: str = field(repr=False)
    body: str = field(repr=False)
    locale: Locale
    created_at_ms: int
    address: str = field(default="", repr=False)
    edition: int = 0
    attempted_at_ms: int | None = None
    announced: AnnouncedTotals | None = field(default=None, repr=False)
    merchant_id: str | None = None

    @property
    def channel(self) -> str:
        return self.id.rpartition(":")[2]

    @property
    def gateway(self) -> Gateway:
        """The gateway of the message, with the receiver."""
        receiver = hashlib.blake2b(self.address.encode(), digest_size=8).hexdigest() if self.address else ""
        return Gateway(self.channel, _host_in(self.address), receiver)

    @property
    def number_id(self) -> int:
        """A number from 1 to 2^63-1 for `id` and `edition`, for gateways that identify messages by numbers."""
        name = f"{self.id}#{self.edition}" if self.edition else self.id
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 1) or 1

    @property
    def masked_address(self) -> str:
        """The address in the form for people."""
        return masked(self.channel, self.address) if self.address else ""

    def checked_address(self) -> str:
        """The address, validated before it is used: another program may have written it to the store.

        :raises NotSent: it is not valid.
        """
        try:
            return normalised(self.channel, self.address)
        except BadAddress as error:
            raise NotSent(f"the address is not valid: {error}") from None

    @property
    def created_at(self) -> datetime:
        """When the notification was created, in UTC."""
        return datetime.fromtimestamp(self.created_at_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The gateway has accepted the message.

    :param reference: the gateway's id of the message, or None.
    :param parts: the number of short messages that were paid for, or None.
    :param moved_to: the new address of the receiver, if the gateway says that it has changed.
    :param printed: whether the message was only logged, without any gateway.
    """

    reference: str | None = None
    parts: int | None = None
    moved_to: str | None = None
    printed: bool = False


class DeliveryFailure(Exception):
    """A send without a receipt.

    :param reason: what failed, without a final full stop, secrets or whole addresses.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TemporaryFailure(DeliveryFailure):
    """Not sent; the same message may succeed later.

    :param retry_after_s: seconds after which the gateway wants the next request, or None.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Unreachable(TemporaryFailure):
    """Not sent: there was no connection, or no answer in time. The next message would fail too."""


class Refused(TemporaryFailure):
    """Not sent; the gateway accepts no other message either for a while: a rate limit, a login, an account.

    :param retry_after_s: for how long, if the gateway says so; or None.
    :param receiver_only: whether it may refuse messages to this receiver only.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, *, receiver_only: bool = False) -> None:
        super().__init__(reason, retry_after_s)
        self.receiver_only = receiver_only


class PermanentFailure(DeliveryFailure):
    """Not sent; the same message would fail again."""


class NotSent(PermanentFailure):
    """Not sent, without a request to the gateway: the message or its address is not valid."""


class Ambiguous(DeliveryFailure):
    """May have been sent: the connection was lost, or the time was over, before the gateway confirmed it."""


class UnclearAnswer(Ambiguous):
    """May have been sent: the gateway's answer leaves it open, such as HTTP 502."""


class NotAskable(Exception):
    """The gateway has no status lookup, or not for this message."""


def _host_in(address: str) -> str:
    if "://" not in address:
        return ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # not a URL
        return ""


def operator_must_fix(reason: str) -> Refused:
    """A refusal because of the settings or the account, which the operator has to fix."""
    return Refused(f"{reason} (for the operator to fix)")


class Sender(Protocol):
    """Sends messages over one channel. Each process has one instance, which its tasks use one after the other.

    A plug-in is any class with this interface, named in ``NOTIFY_SENDERS`` by its dotted path. What inherits from this
    class needs `channels`, `from_settings` and `send`, and otherwise only what differs from it.
    """

    channels: ClassVar[frozenset[str]]
    """The channels that it supports; empty for any."""

    needs_address: ClassVar[bool] = True
    """Whether it needs the address of the user."""

    deduplicates: ClassVar[bool] = False
    """Whether the receiver recognises a repeated message by its id, and ignores it."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The sender as in `settings`; does not connect.

        :raises SettingsError: a variable that it needs is missing or invalid; the sentence names it.
        """

    @abstractmethod
    def send(self, message: Message) -> Receipt:
        """Send `message` to the gateway, in at most ``NOTIFY_SEND_TIMEOUT_S`` seconds.

        :raises TemporaryFailure: it was not sent, and is tried again. `Unreachable`: the gateway did not answer, and is
            paused after several of these. `Refused`: the gateway would refuse any other message too, and is paused for
            all workers.
        :raises PermanentFailure: it was not sent, and never will be. `NotSent`: without a request to the gateway.
        :raises Ambiguous: it may have been sent. `UnclearAnswer`: the gateway answered all the same.
        """

    def find(self, message: Message) -> Receipt | None:
        """Look up the status of `message`: its receipt, or None if the gateway does not have it.

        :raises NotAskable: the gateway has no status lookup, or no longer for this message.
        :raises TemporaryFailure: the gateway does not answer.
        :raises PermanentFailure: the gateway accepted the message, and then failed to deliver it.
        """
        raise NotAskable

    def close(self) -> None:
        """Close the connections; a sender that is used again opens new ones."""
        return
