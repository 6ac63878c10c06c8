"""What a sender is: the interface of every gateway, ours or a plug-in's, and how a send can end.

::

    DeliveryFailure
    ├── TemporaryFailure     nothing was sent; the same may succeed later
    │   ├── Unreachable      likewise, and the gateway did not even answer
    │   └── Refused          likewise, and the gateway takes no other message either for a while
    ├── PermanentFailure     nothing was sent, and the same would fail again
    │   └── NotSent          likewise, and the gateway received no request
    └── Ambiguous            the gateway may have taken it, and did not say so
        └── UnclearAnswer    likewise, though it did answer
    NotAskable               the gateway cannot say what became of a message

Reasons are kept with the message and shown to people: they hold neither secrets nor whole addresses.
"""

from __future__ import annotations

import hashlib
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
    """Whom messages are handed to.

    :param host: of a channel whose addresses are URLs, the server that the URL names, for each is a gateway of its own;
        else empty.
    :param receiver: a digest of the address, where this is about messages to it alone; else empty.
    """

    channel: str
    host: str = ""
    receiver: str = ""

    @property
    def whole(self) -> Gateway:
        """The gateway, for whomever its messages are."""
        return Gateway(self.channel, self.host)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.channel, self.host, self.receiver)))


@dataclass(frozen=True, slots=True)
class Message:
    """One notification for one channel.

    :param id: the id of its log, ``<notification id>:<channel>``: the same at each attempt.
    :param address: where to, as `core.notifications.addresses.normalised` gives it; empty for a sender that needs none.
    :param created_at_ms: milliseconds since 1970 UTC.
    :param attempted_at_ms: when the last attempt was begun, likewise; None before the first.
    :param edition: how often somebody had it sent again after it was dead: to a gateway that knows messages by
        `number_id`, each edition is another one.
    :param announced: the figures that it announces, for receivers that are programs; None for other messages.
    :param merchant_id: whose figures these are, or None: of all merchants together.
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
        """The channel it goes over."""
        return self.id.rpartition(":")[2]

    @property
    def gateway(self) -> Gateway:
        """Whom it is handed to, and for whom."""
        receiver = hashlib.blake2b(self.address.encode(), digest_size=8).hexdigest() if self.address else ""
        return Gateway(self.channel, _host_in(self.address), receiver)

    @property
    def number_id(self) -> int:
        """A number from 1 to 2^63-1 for `id` and `edition`, for gateways that know messages by numbers only."""
        name = f"{self.id}#{self.edition}" if self.edition else self.id
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 1) or 1

    @property
    def masked_address(self) -> str:
        """The address as it may be shown."""
        return masked(self.channel, self.address) if self.address else ""

    def checked_address(self) -> str:
        """The address, validated again just before it is used: another program may have written it to the store.

        :raises NotSent: it cannot be one.
        """
        try:
            return normalised(self.channel, self.address)
        except BadAddress as error:
            raise NotSent(f"the address cannot be used: {error}") from None

    @property
    def created_at(self) -> datetime:
        """When it was made, in UTC."""
        return datetime.fromtimestamp(self.created_at_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The gateway has taken the message.

    :param reference: what the gateway calls it, or None.
    :param parts: how many short messages it was paid for as, or None.
    :param moved_to: where the receiver is reached from now on, where the gateway says that the address has changed.
    :param printed: whether there is no gateway, and the message was only logged.
    """

    reference: str | None = None
    parts: int | None = None
    moved_to: str | None = None
    printed: bool = False


class DeliveryFailure(Exception):
    """A send that did not end in a receipt.

    :param reason: what went wrong, without a final full stop, without secrets or whole addresses.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TemporaryFailure(DeliveryFailure):
    """Nothing was sent; the same may succeed later.

    :param retry_after_s: seconds after which the gateway wants the next request, or None.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Unreachable(TemporaryFailure):
    """Nothing was sent: there was no connection, or no answer in time. What comes next would fare no better."""


class Refused(TemporaryFailure):
    """Nothing was sent, and the gateway takes no other message either for a while: a rate, a login, an account.

    :param retry_after_s: for how long, where the gateway says so; or None.
    :param receiver_only: whether that may be so for this receiver alone.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, *, receiver_only: bool = False) -> None:
        super().__init__(reason, retry_after_s)
        self.receiver_only = receiver_only


class PermanentFailure(DeliveryFailure):
    """Nothing was sent, and sending the same again would fail again."""


class NotSent(PermanentFailure):
    """Nothing was sent, and the gateway received no request: this side found the message or its address unusable."""


class Ambiguous(DeliveryFailure):
    """The gateway may have taken the message: the connection, or the time, ended before it said so."""


class UnclearAnswer(Ambiguous):
    """The gateway may have taken the message: it answered, but with what leaves that open, such as HTTP 502."""


class NotAskable(Exception):
    """The gateway cannot say what became of a message."""


def _host_in(address: str) -> str:
    if "://" not in address:
        return ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # no URL after all
        return ""


def operator_must_mend(reason: str) -> Refused:
    """A refusal that lies in the settings or the account: not the message's fault, and not gone within seconds."""
    return Refused(f"{reason} (for the operator to fix)")


class Sender(Protocol):
    """Sends messages over one channel. Made once a process; tasks of the process take turns.

    A plug-in is any class of this shape, named in ``NOTIFY_SENDERS`` by its dotted path.
    """

    channels: ClassVar[frozenset[str]]
    """The channels it can send over; empty for any."""

    needs_address: ClassVar[bool]
    """Whether a message without an address cannot be sent."""

    deduplicates: ClassVar[bool]
    """Whether sending a message of the same id again is recognised at the other end, and does nothing there."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A sender as `settings` describe it; connects to nothing.

        :raises SettingsError: a variable that it needs is missing or cannot be; the sentence names it.
        """

    def send(self, message: Message) -> Receipt:
        """Hand `message` to the gateway, in at most ``NOTIFY_SEND_TIMEOUT_S`` seconds.

        :raises TemporaryFailure: it was not sent, and may be later; `Unreachable` where the gateway did not
            answer: it is paused when it happens again; `Refused` where the gateway would refuse any other message
            too: it is paused for all workers.
        :raises PermanentFailure: it was not sent, and never will be; `NotSent` where that was found without a request
            to the gateway, of which it therefore says nothing.
        :raises Ambiguous: it may have been sent; `UnclearAnswer` where the gateway answered all the same.
        """

    def find(self, message: Message) -> Receipt | None:
        """What the gateway says became of `message`: its receipt, or None when it never took it.

        :raises NotAskable: it cannot be asked, or can no longer.
        :raises TemporaryFailure: it does not answer.
        :raises PermanentFailure: it took the message, and has since given it up.
        """

    def close(self) -> None:
        """Give back connections; a sender that is used again makes new ones."""
