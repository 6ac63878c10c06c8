"""``senders test``: sends one message now, and prints the outcome."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Final

import typer

from core.calendar.periods import Locale
from core.command_line import command_settings, print_json, print_message
from core.errors import MaybeSent, ServiceError, UsageError
from core.notifications.model import new_id
from core.settings import Settings
from core.stores import wall_clock_ms
from notifier.commands.arguments import normalised_address
from notifier.commands.queue import Queue
from notifier.commands.status import workers_view
from notifier.senders.base import Ambiguous, Message, PermanentFailure, Receipt, Sender, TemporaryFailure
from notifier.senders.registry import senders_from
from notifier.worker_settings import WorkerSettings, differences

_TITLES: Final[Mapping[Locale, str]] = {"en": "Test message", "fa": "پیام آزمایشی"}
_BODIES: Final[Mapping[Locale, str]] = {"en": "The sender works.", "fa": "فرستنده کار می‌کند."}

_GIVEN_UP: Final = "Another attempt would fail too: a worker would not retry it."


def run(channel: str, address: str, body: str | None, locale: Locale, as_json: bool) -> None:
    """Print a test message, and send it over `channel`."""
    settings = command_settings()
    sender = _sender(channel, settings)
    message = Message(
        id=f"{new_id()}:{channel}",
        title=_TITLES[locale],
        body=_BODIES[locale] if body is None else body,
        locale=locale,
        created_at_ms=wall_clock_ms(),
        address=normalised_address("ADDRESS", channel, address),
    )
    print_message(f"Sending over {channel} with {settings.senders[channel]} to {message.masked_address}:")
    print_message(f"  {message.title}")
    for line in message.body.splitlines():
        print_message(f"  {line}")
    workers = _workers(settings)
    for sentence in differences(workers):
        print_message(f"{sentence[0].upper()}{sentence[1:]}.")
    try:
        # The print sender writes to standard output, which is for the outcome.
        with redirect_stdout(sys.stderr):
            receipt = _sent(sender, message)
    finally:
        sender.close()
    if receipt.printed:
        print_message("The sender print only logs. NOTIFY_SENDERS chooses senders that deliver messages.")
    if as_json:
        outcome = {"sent": not receipt.printed, "printed": receipt.printed, "reference": receipt.reference}
        print_json({"id": message.id, **outcome, "parts": receipt.parts, "workers": workers_view(workers)})
    else:
        facts = ["Printed; not sent to anyone" if receipt.printed else "Sent"]
        facts += [] if receipt.reference is None else [f"reference of the gateway: {receipt.reference}"]
        facts += [] if receipt.parts is None else [f"SMS parts to pay for: {receipt.parts}"]
        typer.echo(f"{'; '.join(facts)}.")


def _sender(channel: str, settings: Settings) -> Sender:
    """The sender of that channel, without checking the others."""
    name = settings.senders.get(channel)
    if name is None:
        raise UsageError(f"there is no channel {channel}", f"NOTIFY_SENDERS has {', '.join(settings.senders)}.")
    return senders_from(settings.model_copy(update={"notify_senders": f"{channel}={name}"}))[channel]


def _workers(settings: Settings) -> list[WorkerSettings]:
    """The workers that answer; none if the queue does not, because a sender does not need it."""
    try:
        return Queue(settings).workers()
    except ServiceError:
        return []


def _sent(sender: Sender, message: Message) -> Receipt:
    """The receipt of the gateway, from one status lookup if the send was ambiguous.

    :raises ServiceError: not sent.
    :raises MaybeSent: it may have been sent.
    """
    try:
        return sender.send(message)
    except TemporaryFailure as failure:
        raise ServiceError(f"not sent: {failure.reason}", "It may succeed later: a worker would retry it.") from None
    except PermanentFailure as failure:
        raise ServiceError(f"not sent: {failure.reason}", _GIVEN_UP) from None
    except Ambiguous as failure:
        reason = failure.reason
    except Exception as error:  # a sender's defect; its text may have a secret
        reason = f"the sender failed with {type(error).__name__}"
    try:
        receipt = sender.find(message)
    except PermanentFailure as failure:
        raise ServiceError(f"not sent: {failure.reason}", _GIVEN_UP) from None
    except Exception:  # there is no status lookup, or no answer
        receipt = None
    if receipt is None:
        raise MaybeSent(f"it may have been sent: {reason}", "Check whether it arrived before you send it again.")
    return receipt
